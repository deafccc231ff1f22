"""Clean volumes as a recogniser learns from them: slices in network units, each with its volume's label."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.pairs import Pair, Pairs
from taskgan.cohort.slices import load_case
from taskgan.errors import Problems, UserError
from taskgan.recipe import Data

Array = NDArray[np.float32]


@dataclass(frozen=True)
class CleanVolume:
    """One clean image.

    Attributes:
        subject: Whose it is.
        label: The property, 0 or 1; every slice inherits it.
        slices: (S, H, W) float32, network units.
    """

    subject: str
    label: float
    slices: Array = field(repr=False)


@dataclass(frozen=True)
class CleanSlices:
    """The clean volumes of some subjects.

    Attributes:
        volumes: At least one, each with at least one slice; sizes may differ between volumes.
        fingerprint: Name of the rows and files they came from; empty where they came from memory.
    """

    volumes: tuple[CleanVolume, ...]
    fingerprint: str = ""

    def __post_init__(self) -> None:
        if not self.volumes:
            raise ValueError("a recogniser needs at least one clean volume")
        for volume in self.volumes:
            if volume.slices.ndim != 3 or not len(volume.slices):
                raise ValueError(f"slices of {volume.subject} are {volume.slices.shape}, expected (S, H, W)")

    def __iter__(self) -> Iterator[CleanVolume]:
        return iter(self.volumes)

    def __len__(self) -> int:
        return len(self.volumes)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Whose volumes these are, each once, sorted."""
        return tuple(sorted({volume.subject for volume in self.volumes}))


def distinct_clean(pairs: Pairs) -> Pairs:
    """One row for each clean image, the first in the table: doses of one subject share theirs."""
    seen: set[Path] = set()
    rows: list[Pair] = []
    for pair in pairs:
        if pair.clean is not None and pair.clean not in seen:
            seen.add(pair.clean)
            rows.append(pair)
    return Pairs(pairs.source, tuple(rows))


def clean_slices(pairs: Pairs, data: Data, fingerprint: str = "") -> CleanSlices:
    """Read the clean image of every row, scaled as training scales it (by its degraded image).

    Slices whose clean mean is under ``data.min_signal`` of the volume's mean are left out, as in training.

    Args:
        pairs: Rows with clean images and labels 0 or 1, each clean image once (:func:`distinct_clean`).
        data: Intensity transform and ``min_signal``.
        fingerprint: Kept with the result.

    Raises:
        Problems: If labels are missing or are not 0 or 1: all of them at once.
        UserError: If an image cannot be read or is empty.
    """
    bad = [
        f"row {p.row} (case {p.case}) has {'no label' if p.label is None else f'label {p.label:g}'}, expected 0 or 1"
        for p in pairs
        if p.label not in (0.0, 1.0)
    ]
    if bad:
        raise Problems(f"{pairs.source} cannot teach a recogniser", bad)
    only_degraded = data.model_copy(update={"inputs": ("degraded",)})
    volumes = []
    for pair in pairs:
        case = load_case(pair, only_degraded)
        assert case.clean is not None  # asked for
        assert pair.label is not None  # checked above
        means = np.abs(case.clean).mean(axis=(1, 2), dtype=np.float64)
        kept = case.clean[means >= data.min_signal * means.mean()]
        if not len(kept) or not case.clean.any():
            raise UserError(f"{pair.clean} is empty, expected a clean image with signal")
        volumes.append(CleanVolume(pair.subject, pair.label, kept))
    return CleanSlices(tuple(volumes), fingerprint)
