"""A run folder, and images that its model restored."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml
from taskgan.core.tables import csv_rows
from taskgan.info.kind import Kind, from_yaml, if_there
from taskgan.info.lines import command, entry, figures, number, pick, short, step


def _read(folder: Path) -> dict[str, Any]:
    return {
        "recipe": read_yaml(folder / "recipe.yaml"),
        "last": _last_row(folder / "metrics.csv"),
        "run": if_there(folder / "run.yaml"),
        "outcome": if_there(folder / "outcome.yaml"),
    }


def _screen(folder: Path, record: Mapping[str, Any]) -> list[str]:
    recipe, run, last = record["recipe"], record["run"], dict(record["last"])
    done, steps = last.pop("step", 0), pick(recipe, "optimiser", "steps") or "?"
    status = pick(record, "outcome", "status") or run.get("status", "not begun")
    lines = [f"run {folder}: objective {recipe.get('objective')}, seed {recipe.get('seed')}, {status}"]
    lines += entry("failed", pick(record, "outcome", "message") or "")
    if recipe.get("objective") != "recogniser":
        lines += entry("step", f"{done} of {steps}{_best(recipe, run)}")
    subjects = pick(run, "cohort", "subjects")
    if isinstance(subjects, Mapping):
        who = f"{subjects.get('train')} training and {subjects.get('val')} validation subjects"
        lines += entry("cohort", f"{pick(run, 'cohort', 'name')}: {who}")
    validated = {k.removeprefix("val_"): short(v) for k, v in last.items() if k.startswith("val_")}
    losses = {k: short(v) for k, v in last.items() if not k.startswith("val_")}
    lines += entry("last losses", figures(losses))
    lines += entry("validation", figures(validated))
    device = run.get("device")
    lines += entry("device", f"{device}; {figures(run.get('machine'))}" if device else "")
    model = folder / "model"
    if run.get("status") == "complete" and recipe.get("objective") == "recogniser":
        lines += entry("made by", str(run.get("command", "")))
        for name, found in run.get("result", {}).items():
            lines += entry(name, f"{found.get('network')}, {_reads(found)}")
        return lines + step(command("train", "RECIPE", "COHORT", "RUN"))
    if run.get("status") == "complete":
        lines += entry("made by", str(run.get("command", "")))
        lines += entry("model", command("info", model))
        cohort = ("COHORT/pairs.csv", "--split", "test")
        return lines + step(command("restore", model, *cohort, "-o", "RESTORED"))
    again = run.get("command") or command("train", folder / "recipe.yaml", "COHORT", folder)
    return lines + step(f"{again} (goes on where it was)")


def _reads(found: Mapping[str, Any]) -> str:
    """How well a reader that was trained alone reads clean images."""
    area = pick(found, "clean_test_pairs", "auc_by_person")
    if isinstance(area, Mapping):
        values = (number(area[key], 3) for key in ("estimate", "low", "high"))
        return "AUC {} ({} to {}) on clean test pairs".format(*values)
    area = pick(found, "validation", "auc")
    error = pick(found, "validation", "slice_mae")
    shown = f"AUC {number(area, 3)}" if isinstance(area, float) else f"MAE {number(error, 3)}"
    return f"{shown} on validation subjects"


def _best(recipe: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    best, at = pick(run, "result", "best"), pick(run, "result", "best_step")
    if not isinstance(best, int | float):
        return ""
    by_psnr = pick(recipe, "validation", "metric") in (None, "psnr")
    value = f"PSNR {number(best, 2)} dB" if by_psnr else f"objective {number(-best, 4)}"
    return f", best validation {value} at step {at}"


def _last_row(path: Path) -> dict[str, float | int | str]:
    """The last value of every curve; validation is not looked at in every row."""
    if not path.is_file():
        return {}
    last: dict[str, float | int | str] = {}
    try:
        rows = csv_rows(path, empty=True)
    except UserError:  # what else is in the folder is worth a screen
        return {}
    for _, row in rows:
        last |= {key: _value(text) for key, text in row.items() if key and isinstance(text, str) and text}
    return last


def _value(text: str) -> float | int | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _screen_restored(folder: Path, record: Mapping[str, Any]) -> list[str]:
    status = record.get("status", "no status")
    lines = [f"restored images {folder}: {record.get('images')} images by {record.get('method')}, {status}"]
    model = ", ".join(f"{key} {record[key]}" for key in ("model", "step", "seed", "fold") if key in record)
    lines += entry("made by", model)
    lines += entry("settings", figures(record.get("settings")))
    lines += entry("property", _property(record))
    lines += entry("taskgan", str(pick(record, "versions", "taskgan") or ""))
    return lines + step(command("evaluate", folder, "COHORT", "-o", "EVALUATION"))


def _property(record: Mapping[str, Any]) -> str:
    kind, labels = (pick(record, "recipe", "task", key) for key in ("kind", "labels"))
    return f"{kind} (column {', '.join(map(str, labels or ['label']))})" if kind else ""


RUN = Kind("run", "recipe.yaml", _read, _screen)
RESTORED = Kind("restored images", "restored.yaml", from_yaml("restored.yaml"), _screen_restored)
