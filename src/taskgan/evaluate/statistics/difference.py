"""A difference of two methods on the same subjects: its interval, its standard error and its test."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from taskgan.evaluate.statistics.bootstrap import mean_interval
from taskgan.evaluate.statistics.interval import FEWEST, Interval
from taskgan.evaluate.statistics.subjects import subject_means


@dataclass(frozen=True)
class Difference:
    """A paired difference and what tests and plans need of it.

    Attributes:
        interval: The difference with its 95 % interval.
        error: Its standard error.
        p: Two-sided p of no difference; NaN where it cannot be tested.
        count: Number of subjects.
        freedom: Degrees of freedom of the error: n − 1 for a mean, infinite for an AUC.
        error_if: The least standard error to be believed if the true difference were the one given; None where the
            error does not depend on it, as that of a mean.
    """

    interval: Interval
    error: float
    p: float
    count: int
    freedom: float
    error_if: Callable[[float], float] | None = field(default=None, repr=False, compare=False)

    @property
    def deviation(self) -> float:
        """Standard deviation of the difference between subjects."""
        return self.error * float(np.sqrt(self.count))


def mean_difference(values: ArrayLike, subjects: Sequence[Hashable], *, seed: int = 0) -> Difference:
    """Mean paired difference over subjects: bootstrap interval, paired t-test.

    The interval makes no assumption on the shape of the differences; the p is Student's, because a resampled p
    cannot fall below what few subjects or few draws allow, which a correction over several methods would then
    multiply. Near the edge the two can disagree, and then no difference should be claimed.

    Args:
        values: (N,) differences, one a case; a subject's are averaged, NaN is left out.
        subjects: (N,).
        seed: Of the bootstrap.

    Returns:
        p and the ends of the interval are NaN for fewer than ``FEWEST`` subjects.
    """
    means, who = subject_means(values, subjects)
    interval = mean_interval(means, who, seed=seed)
    count = len(means)
    error = float(means.std(ddof=1) / np.sqrt(count)) if count > 1 else float("nan")
    if count < FEWEST:
        p = float("nan")
    elif error == 0:
        p = 1.0 if interval.estimate == 0 else 0.0
    else:
        p = 2 * float(stats.t.sf(abs(interval.estimate) / error, count - 1))
    return Difference(interval, error, p, count, float(count - 1))
