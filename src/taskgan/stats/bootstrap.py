"""An estimate and the ends of its confidence interval; differences; the subject as the unit."""

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

LEVEL = 0.95
# A resampled mean never leaves the range of the values, and n values lie all on one side of a symmetric truth
# with probability 2^(1 − n): below 5 % from six on. Fewer subjects cannot give a 95 % interval.
FEWEST = 6


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its confidence interval (NaN where there are too few subjects for one)."""

    estimate: float
    low: float
    high: float

    def excludes(self, value: float = 0.0) -> bool:
        """Whether ``value`` lies outside: only then is a difference called one."""
        return self.low > value or self.high < value

    @classmethod
    def unknown(cls, estimate: float = math.nan) -> "Interval":
        """An estimate whose interval is not known, or nothing at all."""
        return cls(estimate, math.nan, math.nan)


def two_sided_quantile(level: float, freedom: float = math.inf) -> float:
    """How many standard errors an interval reaches to either side: Student's, or normal for infinite ``freedom``."""
    tail = (1 + level) / 2
    return float(stats.norm.ppf(tail) if math.isinf(freedom) else stats.t.ppf(tail, freedom))


def logit_interval(area: float, error: float, level: float) -> Interval:
    """A share such as an AUC with a normal interval on the logit scale; NaN ends for 0, 1 and an unknown error."""
    if not 0 < area < 1 or not error > 0:
        return Interval.unknown(area)
    half = two_sided_quantile(level) * error / (area * (1 - area))
    middle = np.log(area / (1 - area))
    return Interval(area, *(float(1 / (1 + np.exp(-end))) for end in (middle - half, middle + half)))


def subject_numbers(subjects: Iterable[Hashable]) -> tuple[NDArray[np.intp], int]:
    """(N,) which subject each case is of, from 0 in order of first appearance; and how many there are."""
    places: dict[Hashable, int] = {}
    numbers = [places.setdefault(subject, len(places)) for subject in subjects]
    return np.array(numbers, dtype=np.intp), len(places)


def values_by_subject(values: ArrayLike, subjects: Sequence[Hashable]) -> dict[Hashable, list[float]]:
    """The values (N,) of every subject (N,), in order of first appearance; NaN and who has nothing else left out."""
    by_subject: dict[Hashable, list[float]] = {}
    for value, subject in zip(np.asarray(values, dtype=np.float64), subjects, strict=True):
        if not np.isnan(value):
            by_subject.setdefault(subject, []).append(float(value))
    return by_subject


def subject_means(values: ArrayLike, subjects: Sequence[Hashable]) -> tuple[NDArray[np.float64], list[Hashable]]:
    """Mean of every subject's values, and the subjects, see :func:`values_by_subject`."""
    by_subject = values_by_subject(values, subjects)
    return np.array([np.mean(v) for v in by_subject.values()], dtype=np.float64), list(by_subject)


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
        return Interval.unknown()
    estimate = float(statistic(np.arange(count)[None, :])[0])
    if count < FEWEST:
        return Interval.unknown(estimate)
    rng = np.random.default_rng(seed)
    replicates = np.concatenate(
        [statistic(rng.integers(0, count, (min(_BATCH, resamples - k), count))) for k in range(0, resamples, _BATCH)]
    )
    tail = (1 - expanded_level(count, level)) / 2
    # A resample can be without a value, e.g. the slope of one subject drawn n times.
    low, high = np.nanquantile(replicates, [tail, 1 - tail]) if not np.isnan(replicates).all() else (np.nan, np.nan)
    return Interval(estimate, float(low), float(high))


def mean_interval(values: ArrayLike, subjects: Sequence[Hashable], *, seed: int = 0) -> Interval:
    """Mean over subjects (each counts once) with its bootstrap interval.

    What other subjects would change is in it; what another training seed would is not
    (:func:`~taskgan.stats.crossed_interval` holds both).

    Of values (N,), one a case, and whose they are; NaN is left out.
    """
    means, _ = subject_means(values, subjects)
    return bootstrap(lambda index: means[index].mean(axis=-1), len(means), seed=seed)


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

    @classmethod
    def of_shares(
        cls,
        gap: float,
        error: float,
        count: int,
        level: float,
        freedom: float = math.inf,
        error_if: Callable[[float], float] | None = None,
    ) -> "Difference":
        """Of two shares, such as AUCs, by its standard error; the interval stays in −1 to 1. NaN where that is NaN."""
        if math.isnan(error):
            return cls(Interval.unknown(gap), math.nan, math.nan, count, freedom)
        half = two_sided_quantile(level, freedom) * error
        tail = stats.norm.sf(abs(gap) / error) if math.isinf(freedom) else stats.t.sf(abs(gap) / error, freedom)
        ends = Interval(gap, max(gap - half, -1.0), min(gap + half, 1.0))
        return cls(ends, error, 2 * float(tail), count, freedom, error_if)


def mean_difference(values: ArrayLike, subjects: Sequence[Hashable], *, seed: int = 0) -> Difference:
    """Mean paired difference over subjects: bootstrap interval, paired t-test.

    The interval makes no assumption on the shape of the differences; the p is Student's, because a resampled p
    cannot fall below what few subjects or few draws allow, which a correction over several methods would then
    multiply. Near the edge the two can disagree, and then no difference should be claimed. Arguments as of
    :func:`mean_interval`.

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


FEWEST_SEEDS = 3


def crossed_interval(values: ArrayLike, *, level: float = LEVEL) -> Interval:
    """Mean of a table of subjects × seeds with an interval in which both are drawn anew.

    Random subjects crossed with random seeds, y = m + subject + seed + rest. The variance of the mean is
    σ_subject²/n + σ_seed²/k + σ_rest²/(nk), estimated by the mean squares of the two-way table, (MS_subject +
    max(MS_seed − MS_rest, 0)) / (nk), with Satterthwaite's degrees of freedom (1946, 10.2307/3002019): what
    multi-reader studies do with readers in the place of seeds (Hillis 2007, 10.1002/sim.2532).

    A bootstrap that draws both subjects and seeds is no help with so few seeds: a resampled mean never leaves the
    range of the seeds' means. Measured over 1000 tables of 20 subjects × 3 seeds in which seeds vary most, its
    95 % percentile interval covers .78, this one .94; over 20 000 tables each, for any mix of the three variances,
    12 to 40 subjects and 3 seeds, this one covers .92 to .96.

    Args:
        values: (n, k), e.g. a paired difference of two methods; a subject that lacks a seed is left out.
        level: Coverage wanted.

    Returns:
        Mean over subjects and seeds; NaN ends for fewer than 6 subjects or 3 seeds.

    Raises:
        ValueError: If the values are no table.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"expected a table of subjects × seeds, found {table.ndim} dimensions")
    table = table[~np.isnan(table).any(axis=1)]
    n, k = table.shape
    if n == 0 or k == 0:
        return Interval.unknown()
    mean = float(table.mean())
    if n < FEWEST or k < FEWEST_SEEDS:
        return Interval.unknown(mean)
    subjects, seeds = table.mean(axis=1, keepdims=True), table.mean(axis=0, keepdims=True)
    by_subject = k * float(subjects.var(ddof=1))
    by_seed = n * float(seeds.var(ddof=1))
    rest = float(((table - subjects - seeds + mean) ** 2).sum()) / ((n - 1) * (k - 1))
    seed_part = by_seed if by_seed > rest else 0.0
    above = by_subject + max(by_seed - rest, 0.0)
    if above == 0:
        return Interval(mean, mean, mean)
    freedom = above**2 / (by_subject**2 / (n - 1) + seed_part**2 / (k - 1))
    half = two_sided_quantile(level, freedom) * np.sqrt(above / (n * k))
    return Interval(mean, mean - float(half), mean + float(half))
