"""Discs in three contrasts of every subject, whose rims differ, and judges of every kind that look at the rim."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from discs import AFFINE, CORE, RIM, disc, keep
from taskgan.cohort.pairs import read_pairs, write_pairs
from taskgan.images.volumes import read_volume, write_volume
from taskgan.recipe import Target

Array = NDArray[np.float32]
NAMES = ("dark", "grey", "bright")
RIMS = (1.1, 1.5, 1.9)


def make_contrasts(folder: Path, subjects: int = 8, split: str = "test") -> Path:
    """Three cases a subject, one a contrast: columns for every kind of property."""
    rng = np.random.default_rng(3)
    write_volume(folder / "rim.nii.gz", RIM.astype(np.uint8), AFFINE)
    rows: list[dict[str, Any]] = []
    for k in range(subjects):
        for number, name in enumerate(NAMES):
            case = f"s{k}_{name}"
            clean = disc(RIMS[number] + float(rng.normal(0, 0.02)), rng)
            degraded = np.maximum(clean + rng.normal(0, 0.5, clean.shape), 0).astype(np.float32)
            write_volume(folder / f"clean/{case}.nii.gz", clean, AFFINE)
            write_volume(folder / f"low/{case}.nii.gz", degraded, AFFINE)
            row = {"case": case, "subject": f"s{k}", "split": split, "degraded": f"low/{case}.nii.gz"}
            row |= {"clean": f"clean/{case}.nii.gz", "label": number, "contrast": name, "rim": RIMS[number]}
            row |= {"lit": int(number > 0), "odd": k % 2, "rim_mask": "rim.nii.gz"}
            rows.append(row)
    write_pairs(folder / "pairs.csv", rows)
    return folder


def restore(folder: Path, cohort: Path, rims: Mapping[str, float]) -> Path:
    """Another tool's restorations; the named cases get another rim."""
    for pair in read_pairs(cohort):
        assert pair.clean is not None
        clean = read_volume(pair.clean).data
        restored = keep(clean, 0, 0)
        if pair.case in rims:
            core = float(clean[CORE].mean())
            restored = np.where(RIM, core * rims[pair.case], restored).astype(np.float32)
        write_volume(folder / f"{pair.case}.nii.gz", restored, AFFINE)
    return folder


def ratio(slices: Array) -> Array:
    """Mean of the rim over that of the core, (S,)."""
    rim, core = (slices[:, mask[..., 0]].mean(axis=1) for mask in (RIM, CORE))
    return np.asarray(rim / core, dtype=np.float32)


class Classes:
    """Probability of each contrast."""

    target = Target(kind="multi_class", classes=3)

    def read(self, slices: Array) -> Array:
        score = np.exp(-40 * (ratio(slices)[:, None] - np.float32(RIMS)) ** 2)
        return np.asarray(score / score.sum(axis=1, keepdims=True), dtype=np.float32)


class Labels:
    """Whether the rim is lit, which it sees, and whether the subject's number is odd, which nobody can."""

    target = Target(kind="multi_label", labels=("lit", "odd"))

    def read(self, slices: Array) -> Array:
        lit = 1 / (1 + np.exp(-20 * (ratio(slices) - 1.3)))
        return np.stack([lit, np.full(len(slices), 0.4)], axis=1).astype(np.float32)


class Value:
    """The ratio itself."""

    def __init__(self, cut: float | None) -> None:
        self.target = Target(kind="regression", labels=("rim",), cut=cut)

    def read(self, slices: Array) -> Array:
        return ratio(slices)


class Masks:
    """The rim, where it is bright enough against the core."""

    target = Target(kind="segmentation", labels=("rim_mask",), classes=2)

    def read(self, slices: Array) -> Array:
        core = slices[:, CORE[..., 0]].mean(axis=1)[:, None, None]
        inside = RIM[None, ..., 0] & (slices > 0.9 * core)
        return np.stack([~inside, inside], axis=1).astype(np.float32)
