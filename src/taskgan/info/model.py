"""A model and a recogniser: what each was trained on and what it may be used for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskgan.info.kind import Kind, from_yaml
from taskgan.info.lines import command, entry, figures, pick, sentences, short, step


def _screen_model(folder: Path, record: Mapping[str, Any]) -> list[str]:
    marks = ", ".join(
        f"{key} {record[key]}" for key in ("objective", "seed", "fold", "step") if key in record
    )
    lines = [f"model {folder}: {record.get('name', 'without a name')} ({marks})"]
    lines += entry("trained on", _seen(record.get("seen") or record.get("cohort")))
    task, intensity = record.get("task"), pick(record, "data", "intensity")
    if isinstance(task, Mapping):
        labels = ", ".join(map(str, task.get("labels") or ["label"]))
        lines += entry("property", f"{task.get('kind')} (column {labels})")
    inputs = pick(record, "data", "inputs")
    lines += entry("inputs", ", ".join(map(str, inputs)) if isinstance(inputs, list) else "")
    lines += entry("intensity", figures(intensity))
    lines += entry("generator", _generator(record))
    lines += entry("measured", figures(record.get("measured")))
    lines += entry("use", str(record.get("intended_use", "")))
    lines += sentences("limits", record.get("limits"), most=20)  # a limit that is not shown is none
    return lines + step(command("restore", folder, "IMAGES", "-o", "OUT"))


def _generator(record: Mapping[str, Any]) -> str:
    own = record.get("custom")
    return f"{own}, the user's own (restore from Python)" if own else figures(record.get("generator"))


def _seen(seen: Any) -> str:
    if not isinstance(seen, Mapping):
        return ""
    parts = [f"{seen.get('cohort', 'a cohort')}: {seen.get('subjects')} subjects"]
    for key, what, unit in (("voxel_size", "voxels", " mm"), ("plane", "slices", ""), ("scale", "scale", "")):
        reach = seen.get(key)
        if isinstance(reach, list) and reach:
            axes = reach if all(isinstance(axis, list) for axis in reach) else [reach]
            parts.append(f"{what} {' × '.join(map(_reach, axes))}{unit}")
    return ", ".join(parts)


def _reach(ends: list[Any]) -> str:
    low, high = short(ends[0]), short(ends[-1])
    return low if low == high else f"{low} to {high}"


def _screen_recogniser(folder: Path, record: Mapping[str, Any]) -> list[str]:
    network, seed = (pick(record, "settings", key) for key in ("network", "seed"))
    lines = [f"recogniser {folder}: {record.get('title')}, {network} with seed {seed}"]
    kind, labels = (pick(record, "target", key) for key in ("kind", "labels"))
    lines += entry("property", f"{kind} (column {', '.join(map(str, labels or ['label']))})" if kind else "")
    train, val = (record.get(f"{name}_subjects") for name in ("training", "validation"))
    if isinstance(train, list) and isinstance(val, list):
        who = f"{len(train)} subjects, stopped by {len(val)} others at step {record.get('step')}"
        lines += entry("trained on", who)
    measured = {k: v for k, v in (record.get("validation") or {}).items() if k != "outputs"}
    lines += entry("validation", figures(measured))
    return lines + step(command("audit", "RESTORED", "COHORT", "--judge", folder, "-o", "AUDIT"))


MODEL = Kind("model", "model.yaml", from_yaml("model.yaml"), _screen_model)
RECOGNISER = Kind("recogniser", "recogniser.yaml", from_yaml("recogniser.yaml"), _screen_recogniser)
