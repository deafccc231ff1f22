"""From the readings of slices to the decision on a volume, and how good the decisions are."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from taskgan.recogniser.card import Figures

Array = NDArray[np.float32]


def middle_slices(slices: Array, middle: int = 40) -> Array:
    """The middle ``middle`` entries along the first axis (slices or their probabilities), or all if fewer."""
    start = max(0, (len(slices) - middle) // 2)
    return slices[start : start + middle]


def volume_probability(probabilities: Array, middle: int = 40) -> float:
    """Mean probability of a volume's middle slices (the paper's 40).

    Raises:
        ValueError: If there are no slices.
    """
    if not len(probabilities):
        raise ValueError("a volume without slices cannot be decided")
    return float(middle_slices(probabilities, middle).mean(dtype=np.float64))


def volume_decision(probabilities: Array, middle: int = 40) -> bool:
    """Whether the property is there: mean over the middle slices above one half."""
    return volume_probability(probabilities, middle) > 0.5


def figures(readings: Sequence[Array], labels: Sequence[float], losses: Sequence[float]) -> Figures:
    """How well volumes of known label were read.

    Args:
        readings: Probabilities (S,) of each volume.
        labels: 0 or 1, one a volume.
        losses: Mean loss of a slice, one a volume.
    """
    truth = np.asarray(labels) > 0.5
    means = np.array([volume_probability(r) for r in readings])
    right = np.array([volume_decision(r) for r in readings]) == truth
    maes = [float(np.abs(middle_slices(r) - y).mean()) for r, y in zip(readings, truth, strict=True)]
    balanced: float | None = None
    auc: float | None = None
    if truth.any() and not truth.all():
        balanced = float((right[truth].mean() + right[~truth].mean()) / 2)
        # The share of pairs of a positive and a negative that are in the right order; ties count half.
        above = means[truth][:, None] - means[~truth][None, :]
        auc = float(((above > 0) + 0.5 * (above == 0)).mean())
    return Figures(
        volumes=len(truth),
        slice_mae=float(np.mean(maes)),
        volume_error=float(1 - right.mean()),
        balanced_accuracy=balanced,
        auc=auc,
        loss=float(np.mean(losses)),
    )
