"""A model and a recogniser: what each was trained on and what it may be used for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskgan.info.kind import FolderKind, yaml_reader
from taskgan.info.lines import (
    entry_lines,
    figures_text,
    lookup,
    next_step,
    sentence_lines,
    short_text,
    taskgan_command,
)


def _screen_model(folder: Path, record: Mapping[str, Any]) -> list[str]:
    marks = ", ".join(
        f"{key} {record[key]}" for key in ("objective", "seed", "fold", "step") if key in record
    )
    lines = [f"model {folder}: {record.get('name', 'without a name')} ({marks})"]
    lines += entry_lines("trained on", _training_text(record.get("seen") or record.get("cohort")))
    task, intensity = record.get("task"), lookup(record, "data", "intensity")
    if isinstance(task, Mapping):
        labels = ", ".join(map(str, task.get("labels") or ["label"]))
        lines += entry_lines("property", f"{task.get('kind')} (column {labels})")
    inputs = lookup(record, "data", "inputs")
    lines += entry_lines("inputs", ", ".join(map(str, inputs)) if isinstance(inputs, list) else "")
    lines += entry_lines("intensity", figures_text(intensity))
    lines += entry_lines("generator", _generator(record))
    lines += entry_lines("measured", figures_text(record.get("measured")))
    lines += entry_lines("use", str(record.get("intended_use", "")))
    lines += sentence_lines("limits", record.get("limits"), most=20)  # a limit that is not shown is none
    return lines + next_step(taskgan_command("restore", folder, "IMAGES", "-o", "OUT"))


def _generator(record: Mapping[str, Any]) -> str:
    own = record.get("custom")
    return f"{own}, the user's own (restore from Python)" if own else figures_text(record.get("generator"))


def _training_text(training: Any) -> str:
    if not isinstance(training, Mapping):
        return ""
    parts = [f"{training.get('cohort', 'a cohort')}: {training.get('subjects')} subjects"]
    for key, what, unit in (("voxel_size", "voxels", " mm"), ("plane", "slices", ""), ("scale", "scale", "")):
        reach = training.get(key)
        if isinstance(reach, list) and reach:
            axes = reach if all(isinstance(axis, list) for axis in reach) else [reach]
            parts.append(f"{what} {' × '.join(map(_range_text, axes))}{unit}")
    return ", ".join(parts)


def _range_text(ends: list[Any]) -> str:
    low, high = short_text(ends[0]), short_text(ends[-1])
    return low if low == high else f"{low} to {high}"


def _screen_recogniser(folder: Path, record: Mapping[str, Any]) -> list[str]:
    network, seed = (lookup(record, "settings", key) for key in ("network", "seed"))
    lines = [f"recogniser {folder}: {record.get('title')}, {network} with seed {seed}"]
    kind, labels = (lookup(record, "target", key) for key in ("kind", "labels"))
    lines += entry_lines(
        "property", f"{kind} (column {', '.join(map(str, labels or ['label']))})" if kind else ""
    )
    train, val = (record.get(f"{name}_subjects") for name in ("training", "validation"))
    if isinstance(train, list) and isinstance(val, list):
        who = f"{len(train)} subjects, stopped by {len(val)} others at step {record.get('step')}"
        lines += entry_lines("trained on", who)
    measured = {k: v for k, v in (record.get("validation") or {}).items() if k != "outputs"}
    lines += entry_lines("validation", figures_text(measured))
    return lines + next_step(taskgan_command("audit", "RESTORED", "COHORT", "--judge", folder, "-o", "AUDIT"))


MODEL = FolderKind("model", "model.yaml", yaml_reader("model.yaml"), _screen_model)
RECOGNISER = FolderKind("recogniser", "recogniser.yaml", yaml_reader("recogniser.yaml"), _screen_recogniser)
