"""What images there are: a cohort (subjects, splits, labels, how it was made), or DICOM series."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from taskgan.cohort.folder import read_description
from taskgan.cohort.pairs import REQUIRED_TO_RESTORE, SPLITS, Pairs, read_pairs
from taskgan.cohort.verification import SETS, read_verification_pairs
from taskgan.core.errors import UserError
from taskgan.images.dicom.series import Series, SeriesFilter, find_series, list_series
from taskgan.info.lines import FolderKind, entry_lines, figures_text, lookup, next_step, taskgan_command

_FILES = (".nii", ".gz", ".png", ".jpg", ".npy")
_FEW = 8  # a column with no more values than this groups the cohort
_OWN = {*REQUIRED_TO_RESTORE, "subject", "split", "clean", "label"}


def _read(place: Path) -> dict[str, Any]:
    pairs = read_pairs(place, REQUIRED_TO_RESTORE)
    own = [column for column in pairs.columns if column not in _OWN]
    record: dict[str, Any] = {
        "pairs": len(pairs),
        "subjects": len({pair.subject for pair in pairs}),
        "splits": {name: _split(pairs.split(name)) for name in SPLITS if len(pairs.split(name))},
        "columns": own,
        "groups": _groups(pairs, own),
    }
    listed = read_verification_pairs(pairs)
    if listed is not None:
        record["verification"] = {name: len(listed.subset(name)) for name in SETS}
    return {**record, **{f"cohort.yaml {key}": v for key, v in read_description(pairs.folder).items()}}


def _screen(place: Path, record: Mapping[str, Any]) -> list[str]:
    description = {key.removeprefix("cohort.yaml "): value for key, value in record.items()}
    lines = [f"cohort {place}: {record['pairs']} pairs of {record['subjects']} subjects"]
    if "made_by" in description or "kind" in description:
        lines += entry_lines(
            "made by", f"{description.get('made_by', 'unknown')} (kind {description.get('kind', 'unknown')})"
        )
    for name, text in record["splits"].items():
        lines += entry_lines(name, text)
    grouped = record["groups"]
    lines += entry_lines("by", "; ".join(f"{name} {text}" for name, text in grouped.items()))
    lines += entry_lines("columns", ", ".join(name for name in record["columns"] if name not in grouped))
    compared = record.get("verification", {})
    lines += entry_lines("verification", ", ".join(f"{count} {name} pairs" for name, count in compared.items()))
    lines += entry_lines("measured", figures_text(description.get("measured")))
    settings = lookup(description, "settings")
    if isinstance(settings, Mapping):
        lines += entry_lines("settings", figures_text({k: v for k, v in settings.items() if k != "subjects"}))
    return lines + next_step(_next(place, record["splits"]))


def _next(place: Path, splits: Mapping[str, str]) -> str:
    if {"train", "val"} <= splits.keys():
        return taskgan_command("train", "RECIPE", place, "RUN")
    table = place / "pairs.csv" if place.is_dir() else place
    return taskgan_command("restore", "MODEL", table, "-o", "OUT")


def _split(pairs: Pairs) -> str:
    labels: dict[str, set[str]] = {}
    for p in pairs:
        labels.setdefault(p.subject, set()).add("no label" if p.label is None else f"label {p.label:g}")
    alone = {next(iter(own)) for own in labels.values()}
    if len(alone) == len(labels) > _FEW:  # everybody has a label of their own: numbers of people tell nothing
        return f"{len(labels)} subjects, {len(pairs)} pairs"
    if all(len(own) == 1 for own in labels.values()):
        return f"{len(labels)} subjects ({_labels(Counter(own.pop() for own in labels.values()))})"
    # Labels that differ within a subject, such as contrasts, are those of its pairs.
    of_pairs = Counter("no label" if p.label is None else f"label {p.label:g}" for p in pairs)
    return f"{len(labels)} subjects, {len(pairs)} pairs ({_labels(of_pairs)})"


def _labels(counts: Mapping[str, int]) -> str:
    """How many have which label; where labels are names, as of people, how many names there are."""
    return _counts(counts) if len(counts) <= _FEW else f"{len(counts)} different labels"


def _groups(pairs: Pairs, columns: list[str]) -> dict[str, str]:
    """The columns with few values, such as a dose or a contrast, with how many pairs have which."""
    groups = {}
    for column in columns:
        counts = Counter(pair.columns.get(column, "") for pair in pairs)
        if len(counts) <= min(_FEW, max(1, len(pairs) - 1)) and not any(value.endswith(_FILES) for value in counts):
            groups[column] = _counts(counts)
    return groups


def _counts(counts: Mapping[str, int]) -> str:
    parts = [f"{n} × {value or 'none'}" for value, n in sorted(counts.items())]
    return ", ".join(parts[:8]) + (f" and {len(parts) - 8} more" if len(parts) > 8 else "")


COHORT = FolderKind("cohort", "pairs.csv", _read, _screen)


def _read_series(place: Path) -> dict[str, Any]:
    listed: dict[str, Any] = {}
    for folder, uid, number, *_ in list_series(place):
        name = number or uid
        if name in listed:
            name = uid
        try:
            listed[name] = {"place": str(folder), **_summary(find_series(folder, SeriesFilter(uid)))}
        except UserError as error:
            listed[name] = {"place": str(folder), "problem": str(error)}
    return {"series": listed}


def _summary(series: Series) -> dict[str, Any]:
    first = series.first
    edges = np.linalg.norm(series.affine[:3, :3], axis=0)
    return {
        "description": first.series[2],
        "modality": first.modality,
        "shape": list(series.shape),
        "voxel_mm": [round(float(edge), 4) for edge in edges],
        "scale": first.scaling.source,
        "acquisition": dict(first.metadata),
        "notes": list(series.notes),
    }


def _screen_series(place: Path, record: Mapping[str, Any]) -> list[str]:
    lines = [f"DICOM {place}: {len(record['series'])} series"]
    for name, own in record["series"].items():
        if "problem" in own:
            lines += entry_lines(name, f"cannot be used: {own['problem']}")
            continue
        shape, edges = ("×".join(f"{n:.4g}" for n in own[key]) for key in ("shape", "voxel_mm"))
        text = f"{own['modality']} {own['description']}, {shape} at {edges} mm, scale from {own['scale']}"
        lines += entry_lines(name, "; ".join((text, *own["notes"])))
    return lines + next_step(taskgan_command("restore", "MODEL", place, "-o", "OUT"))


SERIES = FolderKind("DICOM", "DICOM series", _read_series, _screen_series)
