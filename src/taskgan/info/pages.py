"""Folders whose summary is a page: reports, audits, the demo, the figures of the explanation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskgan.core.console import duration
from taskgan.info.kind import Kind, from_yaml
from taskgan.info.lines import entry, figures, interval, number, pick, sentences, step


def _screen_report(folder: Path, record: Mapping[str, Any]) -> list[str]:
    lines = [f"report {folder}"]
    lines += entry("compared", str(record.get("compared", "")).removeprefix("Compared: "))
    lines += entry("result", str(record.get("headline", "")))
    lines += sentences("findings", record.get("findings"), most=8)
    lines += sentences("warnings", record.get("warnings"), most=5)
    return lines + step(f"open {folder / 'report.html'}")


def _screen_audit(folder: Path, record: Mapping[str, Any]) -> list[str]:
    method = record.get("method")
    lines = [f"audit {folder}: {method}, {record.get('subjects')} subjects, {record.get('cases')} cases"]
    lines += entry("result", str(record.get("headline", "")))
    opinions = record.get("opinions")
    for judge, images in opinions.items() if isinstance(opinions, Mapping) else ():
        own = pick(images, str(method))
        if isinstance(own, Mapping):
            fit = "" if pick(record, "fit", judge) else " (no judge: see warnings)"
            rate = interval(own.get("flips"), 3)
            lines += entry(
                str(judge), f"{own.get('flipped')} of {own.get('subjects')} flipped, rate {rate}{fit}"
            )
    lines += sentences("findings", record.get("findings"), most=7)
    lines += sentences("warnings", record.get("warnings"), most=5)
    return lines + step(f"open {folder / 'audit.html'}")


def _screen_demo(folder: Path, record: Mapping[str, Any]) -> list[str]:
    lines = [
        f"demo {folder}: {record.get('command', 'taskgan demo')}, {record.get('device', 'device unknown')}"
    ]
    lines += entry("cohort", figures(record.get("cohort")))
    readers = record.get("readers")
    for name, about in readers.items() if isinstance(readers, Mapping) else ():
        clean = pick(about, "on_clean")
        wrong = f"wrong on {pick(clean, 'wrong')} of {pick(clean, 'decisions')} clean test images"
        lines += entry(str(name), f"{pick(about, 'network')}, {wrong}")
    training = record.get("training")
    for name, about in training.items() if isinstance(training, Mapping) else ():
        best = number(pick(about, "best"), 2)
        lines += entry(str(name), f"best validation {best} at step {pick(about, 'best_step')}")
    seconds = record.get("seconds")
    if isinstance(seconds, Mapping):
        spent = [float(value) for value in seconds.values() if isinstance(value, int | float)]
        lines += entry("took", duration(sum(spent)))
    page = folder / "report" / "report.html"
    again = str(record.get("command", "taskgan demo"))
    return lines + step(f"open {page}" if page.is_file() else f"{again} makes it and its report")


def _screen_explain(folder: Path, record: Mapping[str, Any]) -> list[str]:
    lines = [f"figures of taskgan explain {folder}"]
    lines += entry("settings", figures(record.get("settings")))
    lines += sentences("findings", record.get("findings"), most=16)
    return lines + step(f"open {folder / 'figure4.png'} and {folder / 'figure5.png'}")


DEMO = Kind("demo", "demo.yaml", from_yaml("demo.yaml"), _screen_demo)
AUDIT = Kind("audit", "audit.yaml", from_yaml("audit.yaml"), _screen_audit)
REPORT = Kind("report", "report.yaml", from_yaml("report.yaml"), _screen_report)
EXPLAIN = Kind("explanation", "explain.yaml", from_yaml("explain.yaml"), _screen_explain)
