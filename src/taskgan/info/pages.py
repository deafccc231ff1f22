"""Folders whose summary is a page: reports, audits, the demo, the figures of the explanation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskgan.core.console import duration
from taskgan.info.kind import FolderKind, yaml_reader
from taskgan.info.lines import (
    entry_lines,
    figures_text,
    interval_text,
    lookup,
    next_step,
    number_text,
    sentence_lines,
)


def _screen_report(folder: Path, record: Mapping[str, Any]) -> list[str]:
    lines = [f"report {folder}"]
    lines += entry_lines("compared", str(record.get("compared", "")).removeprefix("Compared: "))
    lines += entry_lines("result", str(record.get("headline", "")))
    lines += sentence_lines("findings", record.get("findings"), most=8)
    lines += sentence_lines("warnings", record.get("warnings"), most=5)
    return lines + next_step(f"open {folder / 'report.html'}")


def _screen_audit(folder: Path, record: Mapping[str, Any]) -> list[str]:
    method = record.get("method")
    lines = [f"audit {folder}: {method}, {record.get('subjects')} subjects, {record.get('cases')} cases"]
    lines += entry_lines("result", str(record.get("headline", "")))
    opinions = record.get("opinions")
    for judge, images in opinions.items() if isinstance(opinions, Mapping) else ():
        own = lookup(images, str(method))
        if isinstance(own, Mapping):
            fit = "" if lookup(record, "fit", judge) else " (no judge: see warnings)"
            rate = interval_text(own.get("flips"), 3)
            lines += entry_lines(
                str(judge), f"{own.get('flipped')} of {own.get('subjects')} flipped, rate {rate}{fit}"
            )
    lines += sentence_lines("findings", record.get("findings"), most=7)
    lines += sentence_lines("warnings", record.get("warnings"), most=5)
    return lines + next_step(f"open {folder / 'audit.html'}")


def _screen_demo(folder: Path, record: Mapping[str, Any]) -> list[str]:
    lines = [
        f"demo {folder}: {record.get('command', 'taskgan demo')}, {record.get('device', 'device unknown')}"
    ]
    lines += entry_lines("cohort", figures_text(record.get("cohort")))
    readers = record.get("readers")
    for name, details in readers.items() if isinstance(readers, Mapping) else ():
        clean = lookup(details, "on_clean")
        wrong = f"wrong on {lookup(clean, 'wrong')} of {lookup(clean, 'decisions')} clean test images"
        lines += entry_lines(str(name), f"{lookup(details, 'network')}, {wrong}")
    training = record.get("training")
    for name, details in training.items() if isinstance(training, Mapping) else ():
        best = number_text(lookup(details, "best"), 2)
        lines += entry_lines(str(name), f"best validation {best} at step {lookup(details, 'best_step')}")
    seconds = record.get("seconds")
    if isinstance(seconds, Mapping):
        spent = [float(value) for value in seconds.values() if isinstance(value, int | float)]
        lines += entry_lines("took", duration(sum(spent)))
    page = folder / "report" / "report.html"
    again = str(record.get("command", "taskgan demo"))
    return lines + next_step(f"open {page}" if page.is_file() else f"{again} makes it and its report")


def _screen_explain(folder: Path, record: Mapping[str, Any]) -> list[str]:
    lines = [f"figures of taskgan explain {folder}"]
    lines += entry_lines("settings", figures_text(record.get("settings")))
    lines += sentence_lines("findings", record.get("findings"), most=16)
    return lines + next_step(f"open {folder / 'figure4.png'} and {folder / 'figure5.png'}")


DEMO = FolderKind("demo", "demo.yaml", yaml_reader("demo.yaml"), _screen_demo)
AUDIT = FolderKind("audit", "audit.yaml", yaml_reader("audit.yaml"), _screen_audit)
REPORT = FolderKind("report", "report.yaml", yaml_reader("report.yaml"), _screen_report)
EXPLAIN = FolderKind("explanation", "explain.yaml", yaml_reader("explain.yaml"), _screen_explain)
