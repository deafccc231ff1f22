"""DICOM: which series a folder holds, whether each is a whole volume, and what the reader has to say of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from taskgan.core.errors import UserError
from taskgan.images.dicom.series import Series, SeriesFilter, find_series, list_series
from taskgan.info.lines import FolderKind, entry_lines, next_step, taskgan_command


def _read(place: Path) -> dict[str, Any]:
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


def _screen(place: Path, record: Mapping[str, Any]) -> list[str]:
    lines = [f"DICOM {place}: {len(record['series'])} series"]
    for name, own in record["series"].items():
        if "problem" in own:
            lines += entry_lines(name, f"cannot be used: {own['problem']}")
            continue
        shape, edges = ("×".join(f"{n:.4g}" for n in own[key]) for key in ("shape", "voxel_mm"))
        text = f"{own['modality']} {own['description']}, {shape} at {edges} mm, scale from {own['scale']}"
        lines += entry_lines(name, "; ".join((text, *own["notes"])))
    return lines + next_step(taskgan_command("restore", "MODEL", place, "-o", "OUT"))


SERIES = FolderKind("DICOM", "DICOM series", _read, _screen)
