"""Uncertainty with the subject as the unit: bootstrap intervals, exact rates, paired tests.

Several cases of one subject (doses, seeds) are not independent. They are averaged within the subject first and
drawn together, so that ten restorations of one brain count as one brain.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Array = NDArray[np.float64]
RESAMPLES = 5000
LEVEL = 0.95
# A resampled mean never leaves the range of the values, and n values lie all on one side of a symmetric truth
# with probability 2^(1 − n): below 5 % from six on. Fewer subjects cannot give a 95 % interval.
FEWEST = 6
_BATCH = 500  # draws at once: memory stays small also for thousands of subjects


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its confidence interval (NaN where there are too few subjects for one)."""

    estimate: float
    low: float
    high: float

    def excludes(self, value: float = 0.0) -> bool:
        """Whether ``value`` lies outside: only then is a difference called one."""
        return self.low > value or self.high < value


def subject_means(values: ArrayLike, subjects: Sequence[Hashable]) -> tuple[Array, list[Hashable]]:
    """Mean of every subject's values, NaN left out; subjects without a value are dropped.

    Args:
        values: (N,) one value a case.
        subjects: (N,) who each case is of.

    Returns:
        The means and the subjects, in order of first appearance.
    """
    found: dict[Hashable, list[float]] = {}
    for value, subject in zip(np.asarray(values, dtype=np.float64), subjects, strict=True):
        if not np.isnan(value):
            found.setdefault(subject, []).append(float(value))
    return np.array([np.mean(v) for v in found.values()], dtype=np.float64), list(found)


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
    statistic: Callable[[NDArray[np.intp]], Array],
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
    drawn = np.concatenate(
        [
            statistic(rng.integers(0, count, (min(_BATCH, resamples - k), count)))
            for k in range(0, resamples, _BATCH)
        ]
    )
    tail = (1 - expanded_level(count, level)) / 2
    # A resample can be without a value, e.g. the slope of one subject drawn n times.
    low, high = np.nanquantile(drawn, [tail, 1 - tail]) if not np.isnan(drawn).all() else (np.nan, np.nan)
    return Interval(estimate, float(low), float(high))


def mean_interval(values: ArrayLike, subjects: Sequence[Hashable], *, seed: int = 0) -> Interval:
    """Mean over subjects (each counts once) with its bootstrap interval.

    Args:
        values: (N,) one value a case; NaN is left out.
        subjects: (N,) who each case is of.
        seed: Of the draws.
    """
    means, _ = subject_means(values, subjects)
    return bootstrap(lambda index: means[index].mean(axis=-1), len(means), seed=seed)


def slope_interval(x: ArrayLike, y: ArrayLike, subjects: Sequence[Hashable], *, seed: int = 0) -> Interval:
    """Least-squares slope of ``y`` on ``x``, cov(x, y) / var(x), with subjects drawn as a whole.

    Args:
        x: (N,) e.g. clean SUVR.
        y: (N,) e.g. restored SUVR.
        subjects: (N,).
        seed: Of the draws.

    Returns:
        1 keeps differences between subjects, below 1 shrinks them; NaN where ``x`` is constant.
    """
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    keep = ~(np.isnan(xs) | np.isnan(ys))
    order = {s: i for i, s in enumerate(dict.fromkeys(s for s, k in zip(subjects, keep, strict=True) if k))}
    sums = np.zeros((len(order), 5))
    # Centred, so that the sums of squares lose no digits.
    cx, cy = (xs[keep].mean(), ys[keep].mean()) if keep.any() else (0.0, 0.0)
    for a, b, subject in zip(xs - cx, ys - cy, subjects, strict=True):
        if subject in order and not (np.isnan(a) or np.isnan(b)):
            sums[order[subject]] += (1.0, a, b, a * a, a * b)

    def slope(index: NDArray[np.intp]) -> Array:
        n, sx, sy, sxx, sxy = np.moveaxis(sums[index].sum(axis=-2), -1, 0)
        spread = sxx - sx * sx / n
        known = spread > 1e-12 * np.maximum(sxx, 1e-300)
        return np.where(known, (sxy - sx * sy / n) / np.where(known, spread, 1.0), np.nan)

    return bootstrap(slope, len(order), seed=seed)


def exact_rate(events: float, count: int, level: float = LEVEL) -> Interval:
    """Clopper–Pearson interval of a proportion (Biometrika 1934, 10.1093/biomet/26.4.404).

    Args:
        events: How many of ``count``. A fraction is allowed: a subject that is wrong in one of two readings is
            half an event, which keeps n the number of subjects (the limit of Korn and Graubard's interval for
            clustered data in which a cluster is worth one observation).
        count: Number of subjects.
        level: Coverage, at least.
    """
    if count == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    tail = (1 - level) / 2
    low = float(stats.beta.ppf(tail, events, count - events + 1)) if events > 0 else 0.0
    high = float(stats.beta.ppf(1 - tail, events + 1, count - events)) if events < count else 1.0
    return Interval(events / count, low, high)


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided McNemar p (1947): are two readers' discordant pairs as often one way as the other?

    Args:
        only_first: Pairs in which only the first is wrong.
        only_second: Pairs in which only the second is wrong.

    Returns:
        p of the binomial test with probability 1/2; 1 where no pair is discordant.
    """
    discordant = only_first + only_second
    if discordant == 0:
        return 1.0
    return float(stats.binomtest(min(only_first, only_second), discordant, 0.5).pvalue)


def auc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Area under the ROC curve: P(score of a positive > score of a negative), ties count one half.

    Args:
        scores: (N,).
        labels: (N,) 0 or 1.

    Returns:
        NaN where only one label is there.
    """
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.float64) > 0.5
    positive, negative = values[truth], values[~truth]
    if not positive.size or not negative.size:
        return float("nan")
    ranks = stats.rankdata(np.concatenate([positive, negative]))[: positive.size]
    wins = ranks.sum() - positive.size * (positive.size + 1) / 2
    return float(wins / (positive.size * negative.size))
