"""Receiver operating characteristic: area of a score, and the curve of a distance (Figure 2)."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def auc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Area under the ROC curve: P(score of a positive > score of a negative), ties count one half.

    Of scores (N,) and labels (N,), 0 or 1; NaN where only one label is there.
    """
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.float64) > 0.5
    positive, negative = values[truth], np.sort(values[~truth])
    if not positive.size or not negative.size:
        return float("nan")
    below, not_above = (np.searchsorted(negative, positive, side=side) for side in ("left", "right"))
    return float((below + not_above).mean() / (2 * len(negative)))


@dataclass(frozen=True)
class RocCurve:
    """Rates at every threshold that makes a difference, from saying "one person" never to always.

    Attributes:
        thresholds: (U + 1,) distances, −∞ first; a pair at the threshold itself is said to be of one person.
        false_accepts: (…, U + 1) share of pairs of two people that are taken for one.
        true_accepts: (…, U + 1) share of pairs of one person that are recognised.
    """

    thresholds: Floats = field(repr=False)
    false_accepts: Floats = field(repr=False)
    true_accepts: Floats = field(repr=False)

    @property
    def auc(self) -> Floats:
        """Area under the curve (…): P(a pair of one person is nearer than one of two), ties count one half."""
        steps = np.diff(self.false_accepts)
        return np.asarray((steps * (self.true_accepts[..., 1:] + self.true_accepts[..., :-1]) / 2).sum(axis=-1))

    @property
    def equal_error_rate(self) -> Floats:
        """(…): where as many pairs of two people are taken for one as pairs of one for two; between two thresholds
        by the straight line.
        """
        gap = self.false_accepts + self.true_accepts - 1  # rises from −1 to 1
        after = np.argmax(gap >= 0, axis=-1)[..., None]
        low, high = (np.take_along_axis(gap, at, axis=-1) for at in (after - 1, after))
        start, end = (np.take_along_axis(self.false_accepts, at, axis=-1) for at in (after - 1, after))
        return np.asarray((start - low / (high - low) * (end - start))[..., 0])


def roc_curve(distances: ArrayLike, same: ArrayLike, weights: ArrayLike | None = None) -> RocCurve:
    """The curve of some pairs.

    Args:
        distances: (N,) of each pair; small is alike.
        same: (N,) whether it is of one person.
        weights: (…, N) how often each pair counts; None counts all once. One curve for each row.

    Returns:
        NaN rates where the pairs that count are all of one sort.

    Raises:
        ValueError: If the shapes do not go together.
    """
    values, truth = np.asarray(distances, dtype=np.float64), np.asarray(same, dtype=bool)
    counts = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    if values.ndim != 1 or truth.shape != values.shape or counts.shape[-1:] != values.shape:
        raise ValueError(f"got {values.shape} distances, {truth.shape} answers and {counts.shape} weights")
    order = np.argsort(values, kind="stable")
    cuts, last = np.unique(values[order][::-1], return_index=True)
    last = len(values) - 1 - last  # place of the last pair at each distance
    rates = []
    for kind in (~truth, truth):
        sums = np.cumsum((counts * kind)[..., order], axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            rate = sums[..., last] / sums[..., -1:]
        rates.append(np.concatenate([np.where(np.isnan(rate[..., :1]), np.nan, 0.0), rate], axis=-1))
    return RocCurve(np.concatenate([[-np.inf], cuts]), *rates)


def best_threshold(distances: ArrayLike, same: ArrayLike) -> float:
    """Threshold of most right decisions, halfway to the next pair; the smallest of several.

    For LFW it is chosen on ``pairsDevTrain`` and used on ``pairsDevTest``: one that was chosen on the pairs that it
    is then judged by flatters. Arguments as of :func:`roc_curve`.

    Raises:
        ValueError: If the shapes do not go together, or there are no pairs.
    """
    truth = np.asarray(same, dtype=bool)
    if not truth.size:
        raise ValueError("there are no pairs to choose a threshold by")
    roc = roc_curve(distances, truth, np.ones((1, len(truth))))
    shares = np.nan_to_num(np.stack([roc.true_accepts[0], 1 - roc.false_accepts[0]]))
    best = int(np.argmax(shares[0] * truth.sum() + shares[1] * (~truth).sum()))
    cuts = roc.thresholds
    if best == 0:
        return float(np.nextafter(cuts[1], -np.inf))
    return float((cuts[best] + cuts[min(best + 1, len(cuts) - 1)]) / 2)


def accuracy(distances: ArrayLike, same: ArrayLike, threshold: float, weights: ArrayLike | None = None) -> Floats:
    """Share of right decisions at a threshold (…), see :func:`roc_curve` for the arguments."""
    truth = np.asarray(same, dtype=bool)
    right = (np.asarray(distances, dtype=np.float64) <= threshold) == truth
    counts = np.ones(len(truth)) if weights is None else np.asarray(weights, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((counts * right).sum(axis=-1) / counts.sum(axis=-1))
