"""Bootstrap by subject: percentile intervals, widened for few subjects."""

from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from taskgan.evaluate.statistics.interval import FEWEST, LEVEL, Interval
from taskgan.evaluate.statistics.subjects import subject_means

RESAMPLES = 5000
_BATCH = 500  # draws at once: memory stays small also for thousands of subjects


def expanded_level(count: int, level: float = LEVEL) -> float:
    """Nominal level at which a percentile interval of ``count`` subjects covers about ``level``.

    The percentile bootstrap is narrow for few subjects (the spread of a resample divides by n, the tails are
    normal rather than t). Hesterberg 2015 (10.1080/00031305.2015.1089789) widens it:
    α′/2 = Φ(−√(n / (n − 1)) · t₍α/2, n−1₎).
    Measured over 1000 sets of 8 values, a 95 % interval covers .93 (normal) and .90 (exponential); the plain one
    covers .88 and .84.
    """
    quantile = float(stats.t.ppf((1 + level) / 2, count - 1))
    return 1 - 2 * float(stats.norm.cdf(-np.sqrt(count / (count - 1)) * quantile))


def bootstrap(
    statistic: Callable[[NDArray[np.intp]], NDArray[np.float64]],
    count: int,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Interval:
    """Expanded percentile interval of a statistic of ``count`` subjects.

    Args:
        statistic: Takes indices of subjects (…, n) and gives the statistic of each row (…).
        count: Number of subjects.
        seed: Of the draws: the same data give the same interval.
        resamples: Number of draws.
        level: Coverage wanted.

    Returns:
        The statistic of all subjects and its interval; NaN ends for fewer than ``FEWEST`` subjects.
    """
    if count == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    estimate = float(statistic(np.arange(count)[None, :])[0])
    if count < FEWEST:
        return Interval(estimate, float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    replicates = np.concatenate(
        [
            statistic(rng.integers(0, count, (min(_BATCH, resamples - k), count)))
            for k in range(0, resamples, _BATCH)
        ]
    )
    tail = (1 - expanded_level(count, level)) / 2
    # A resample can be without a value, e.g. the slope of one subject drawn n times.
    low, high = (
        np.nanquantile(replicates, [tail, 1 - tail]) if not np.isnan(replicates).all() else (np.nan, np.nan)
    )
    return Interval(estimate, float(low), float(high))


def mean_interval(values: ArrayLike, subjects: Sequence[Hashable], *, seed: int = 0) -> Interval:
    """Mean over subjects (each counts once) with its bootstrap interval.

    What other subjects would change is in it; what another training seed would is not
    (:func:`~taskgan.evaluate.statistics.crossed_interval` holds both).

    Args:
        values: (N,) one value a case; NaN is left out.
        subjects: (N,) who each case is of.
        seed: Of the draws.
    """
    means, _ = subject_means(values, subjects)
    return bootstrap(lambda index: means[index].mean(axis=-1), len(means), seed=seed)
