"""What a judge writes down about one image: one answer an output, for every kind of property."""

from math import nan
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from taskgan.judges.properties import Property

if TYPE_CHECKING:  # it brings torch
    from taskgan.objective.task import TaskKind

Array = NDArray[np.float32]


class Answer(NamedTuple):
    """One output of a judge for one image.

    Attributes:
        output: Its name: the column, a label of several, a class.
        label: y: 0 or 1 of probabilities, a value; NaN where it is unknown.
        truth: What the decision should be, 0 or 1; NaN where nothing is decided or it is unknown.
        score: Mean probability or value over the slices; ml of a mask.
        decision: 0 or 1; NaN where nothing is decided.
        cut: What the score is held against; NaN where there is none.
    """

    output: str
    label: float
    truth: float
    score: float
    decision: float
    cut: float


def answers(asked: Property, kind: "TaskKind", seen: Array, label: Array) -> list[Answer]:
    """Of an image whose slices were read.

    Args:
        asked: Names of the outputs, and the cut.
        kind: The kind of property, with that cut.
        seen: (S,) or (S, n): what the judge says of the slices that count.
        label: y of the case, () or (L,); NaN where it is unknown.
    """
    import torch

    from taskgan.recogniser.figures import volume_prediction

    count = len(seen)
    y = torch.as_tensor(label, dtype=torch.float64)[None]
    volume = volume_prediction(kind, seen, count)
    found = []
    for name, entry in zip(asked.outputs, kind.entries(volume, y), strict=True):
        known = np.isfinite(entry.prediction)
        truth = entry.target
        if asked.kind == "regression":
            reached = kind.truth(y)
            truth = nan if reached is None else float(reached)
        decision = entry.decision if known else nan
        found.append(Answer(name, entry.target, truth, entry.prediction, decision, asked.cut))
    return found


class Overlap(NamedTuple):
    """How a judge's mask of one class on one image covers others.

    Attributes:
        output: The class.
        kept: Dice with the same judge's mask of the clean image; NaN where neither has any.
        right: Dice with the mask that the table gives; NaN likewise, or where there is none.
    """

    output: str
    kept: float
    right: float


def masks(seen: Array) -> NDArray[np.intp]:
    """The most probable class (S, H, W) of every pixel, from probabilities (S, n, H, W)."""
    return np.asarray(seen.argmax(axis=1), dtype=np.intp)


def measured(
    asked: Property,
    mask: NDArray[np.intp],
    clean: NDArray[np.intp],
    label: Array | None,
    millilitres: float,
) -> tuple[list[Answer], list[Overlap]]:
    """Volume of every class, and how it covers the clean image's and the table's.

    Args:
        asked: Names of the classes but the background.
        mask: (S, H, W) classes of the slices that count.
        clean: The same judge's of the clean image.
        label: The table's, or None.
        millilitres: Of a voxel.
    """
    said, overlaps = [], []
    for number, name in enumerate(asked.outputs, start=1):
        ours, before = mask == number, clean == number
        truth = None if label is None else label == number
        y = nan if truth is None else float(truth.sum()) * millilitres
        said.append(Answer(name, y, nan, float(ours.sum()) * millilitres, nan, nan))
        overlaps.append(Overlap(name, dice(ours, before), nan if truth is None else dice(ours, truth)))
    return said, overlaps


def dice(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> float:
    """2 |A ∩ B| / (|A| + |B|); NaN where both are empty."""
    total = int(ours.sum()) + int(theirs.sum())
    return 2 * int((ours & theirs).sum()) / total if total else nan
