"""What is reported of a verification, and of two methods on the same pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from taskgan.judges.verification.pairs import (
    Floats,
    ImagePairs,
    auc_difference_by_person,
    auc_interval_by_person,
    bootstrap_by_person,
)
from taskgan.metrics.roc import accuracy, roc_curve
from taskgan.stats import Difference, Interval, auc_difference, auc_interval

MIN_READER_AUC = 0.7
"""AUC on clean pairs below which a reader cannot tell people apart well enough to be a judge."""


@dataclass(frozen=True)
class Verification:
    """How well one method's images verify.

    Attributes:
        pairs: How many, with how many people on them.
        auc: With DeLong's interval of independent pairs, the usual one.
        auc_by_person: The same with an interval that knows which pairs share a person; this one is to be believed.
        equal_error_rate: Bootstrap by person.
        accuracy: At the thresholds, one a seed, chosen on other pairs; bootstrap by person.
    """

    pairs: int
    people: int
    auc: Interval
    auc_by_person: Interval
    equal_error_rate: Interval
    accuracy: Interval
    thresholds: tuple[float, ...]


@dataclass(frozen=True)
class VerificationDifference:
    """First method − second, on the same pairs.

    Attributes:
        auc: DeLong's test of independent pairs.
        auc_by_person: The same with a variance that knows which pairs share a person.
        equal_error_rate: Bootstrap by person.
    """

    auc: Difference
    auc_by_person: Difference
    equal_error_rate: Interval


def verify(
    distances: ArrayLike, pairs: ImagePairs, thresholds: float | Sequence[float], *, seed: int = 0
) -> Verification:
    """The figures of one method.

    Args:
        distances: (N,) of each pair, or (S, N) one row a training seed: figures are then means over the seeds.
        pairs: Who is on them.
        thresholds: Distance up to which two images are called one person, one for all or one a seed
            (:func:`~taskgan.metrics.roc.best_threshold` of other pairs, e.g. ``pairsDevTrain``).
        seed: Of the bootstrap.

    Raises:
        ValueError: If the numbers of distances or thresholds do not fit.
    """
    values = pairs.distances(distances)
    cuts = np.broadcast_to(np.asarray(thresholds, dtype=np.float64), (len(values),))

    def _right(counts: Floats | None) -> Floats:
        rates = [accuracy(v, pairs.same, float(t), counts) for v, t in zip(values, cuts, strict=True)]
        return np.asarray(np.mean(rates, axis=0))

    return Verification(
        pairs=len(pairs),
        people=pairs.count,
        auc=auc_interval(-values, pairs.same, range(len(pairs))),
        auc_by_person=auc_interval_by_person(values, pairs),
        equal_error_rate=bootstrap_by_person(lambda n: _equal_error_rate(values, pairs, n), pairs, seed=seed),
        accuracy=bootstrap_by_person(_right, pairs, seed=seed),
        thresholds=tuple(float(t) for t in cuts),
    )


def verification_difference(
    first: ArrayLike, second: ArrayLike, pairs: ImagePairs, *, seed: int = 0
) -> VerificationDifference:
    """Two methods' distances, (N,) or (S, N), on the same pairs; the draws of people are the same for both."""
    one, two = pairs.distances(first), pairs.distances(second)

    def _gap(counts: Floats | None) -> Floats:
        return _equal_error_rate(one, pairs, counts) - _equal_error_rate(two, pairs, counts)

    return VerificationDifference(
        auc=auc_difference(-one, -two, pairs.same, range(len(pairs))),
        auc_by_person=auc_difference_by_person(one, two, pairs),
        equal_error_rate=bootstrap_by_person(_gap, pairs, seed=seed),
    )


def _equal_error_rate(values: Floats, pairs: ImagePairs, counts: Floats | None) -> Floats:
    """Equal error rate, mean over the seeds."""
    return np.asarray(np.mean([roc_curve(v, pairs.same, counts).equal_error_rate for v in values], axis=0))


def format_auc(interval: Mapping[str, float]) -> str:
    """An AUC and its interval, where it has one, from a record."""
    ends = "" if np.isnan(interval["low"]) else f" ({interval['low']:.3f} to {interval['high']:.3f})"
    return f"{interval['estimate']:.3f}{ends}"
