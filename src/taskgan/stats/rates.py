"""Proportions, flips and agreement beyond chance: Clopper–Pearson, McNemar, equivalence, κ."""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from taskgan.stats.bootstrap import (
    FEWEST,
    LEVEL,
    Difference,
    Interval,
    bootstrap,
    subject_means,
    subject_numbers,
    two_sided_quantile,
)


def exact_rate(events: float, count: int, level: float = LEVEL) -> Interval:
    """Clopper–Pearson interval of a proportion (Biometrika 1934, 10.1093/biomet/26.4.404).

    What statsmodels calls ``proportion_confint(events, count, method="beta")``; here without statsmodels, so that
    ``taskgan evaluate`` needs none.

    Args:
        events: How many of ``count``. A fraction is allowed: a subject that is wrong in one of two readings is
            half an event, which keeps n the number of subjects (the limit of Korn and Graubard's interval for
            clustered data in which a cluster is worth one observation).
        count: Number of subjects.
        level: Coverage, at least.
    """
    if count == 0:
        return Interval.unknown()
    tail = (1 - level) / 2
    low = float(stats.beta.ppf(tail, events, count - events + 1)) if events > 0 else 0.0
    high = float(stats.beta.ppf(1 - tail, events + 1, count - events)) if events < count else 1.0
    return Interval(events / count, low, high)


@dataclass(frozen=True)
class ErrorRate:
    """Wrong decisions of one reader or of several together, as the rows of Table 3.

    Attributes:
        wrong: Number of wrong decisions.
        decisions: Number of decisions.
        interval: Rate with its exact interval.
    """

    wrong: int
    decisions: int
    interval: Interval

    def describe(self) -> str:
        """As "0.20 (4/20) [0.06, 0.44]"."""
        ends = f"[{self.interval.low:.2f}, {self.interval.high:.2f}]"
        return f"{self.interval.estimate:.2f} ({self.wrong}/{self.decisions}) {ends}"


def error_rate(errors: ArrayLike, subjects: Sequence[Hashable], *, level: float = LEVEL) -> ErrorRate:
    """Error rate with the Clopper–Pearson interval of :func:`exact_rate`, the subject as the unit.

    Two readers of ten volumes make twenty decisions but see ten subjects: each counts with the share of its decisions
    that are wrong, so that the interval is that of n = 10. It speaks of these readers; for others see
    :func:`~taskgan.stats.obuchowski_rockette`.

    Args:
        errors: (N,) of one reader or (R, N) of several: 1 where the decision is wrong, else 0; NaN where none is.
        subjects: (N,) who each case is of.
        level: Coverage, at least.
    """
    table = np.atleast_2d(np.asarray(errors, dtype=np.float64))
    known = ~np.isnan(table)
    each, _ = subject_means(table.ravel(), list(subjects) * len(table))
    wrong, decisions = int((table[known] > 0.5).sum()), int(known.sum())
    exact = exact_rate(float(each.sum()), len(each), level)
    return ErrorRate(wrong, decisions, exact)


def mcnemar(only_first: int, only_second: int, *, mid_p: bool = False) -> float:
    """Exact two-sided McNemar p (1947): are discordant subjects as often one way as the other?

    Args:
        only_first: Subjects with the event (an error, a flip) with the first method only; ``only_second`` likewise.
        mid_p: Count the table that was observed by half (Fagerland et al. 2013, 10.1186/1471-2288-13-91): nearly
            always keeps its level, with more power than the exact test, which is the default because it always does.

    Returns:
        p of the binomial test with probability 1/2; 1 where no subject is discordant.
    """
    discordant = only_first + only_second
    if discordant == 0:
        return 1.0
    fewer = min(only_first, only_second)
    exact = float(stats.binomtest(fewer, discordant, 0.5).pvalue)
    if not mid_p:
        return exact
    # Equally many of both has p 1 + its own probability before it is cut at 1: half of that leaves 1 as well.
    return 1.0 if only_first == only_second else exact - float(stats.binom.pmf(fewer, discordant, 0.5))


Correction = Literal["holm", "benjamini-hochberg", "none"]
CORRECTIONS: tuple[Correction, ...] = get_args(Correction)


def adjusted_p_values(p_values: Sequence[float], correction: Correction = "holm") -> list[float]:
    """Adjusted p-values, each to be held against α itself.

    Args:
        p_values: Of one family, e.g. all methods against the baseline in one measure. NaN (not tested) stays NaN
            and does not count.
        correction: ``holm`` bounds the chance of any false claim (Holm 1979, Scand J Stat 6:65);
            ``benjamini-hochberg`` the expected share of false ones among the claims (1995,
            10.1111/j.2517-6161.1995.tb02031.x); ``none`` changes nothing.
    """
    values = np.array(p_values, dtype=np.float64)
    tested = ~np.isnan(values)
    if correction == "holm":
        order = np.flatnonzero(tested)[np.argsort(values[tested])]
        left = np.arange(len(order), 0, -1)  # hypotheses that are not yet rejected
        values[order] = np.minimum(np.maximum.accumulate(left * values[order]), 1.0)
    elif correction == "benjamini-hochberg" and tested.any():
        values[tested] = stats.false_discovery_control(values[tested])
    return [float(v) for v in values]


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests of a difference against ± margin.

    Attributes:
        margin: The largest difference that does not matter.
        interval: The difference with its 1 − 2α interval, which lies inside ± margin exactly when p < α.
        p_above: p against "the difference is −margin or less".
        p_below: p against "the difference is +margin or more".
    """

    margin: float
    interval: Interval
    p_above: float
    p_below: float

    @property
    def p(self) -> float:
        """p of equivalence: the larger of the two."""
        return math.nan if math.isnan(self.p_above) else max(self.p_above, self.p_below)

    def p_noninferior(self, better: int) -> float:
        """p of "not worse by the margin", where ``better`` is +1 if more is better and −1 if less is."""
        return self.p_above if better > 0 else self.p_below

    def describe(self, better: int, *, digits: int = 2, unit: str = "", alpha: float = 0.05) -> str:
        """The result in words; absence of evidence is "not shown", never "different"."""
        margin = f"{self.margin:.{digits}f}{unit}"
        if math.isnan(self.p):
            return "not tested: too few subjects"
        if self.p < alpha:
            return f"equivalent within ±{margin}"
        if self.p_noninferior(better) < alpha:
            return f"not worse by {margin} or more; equivalence not shown"
        return f"equivalence within ±{margin} not shown"


def equivalence(difference: Difference, margin: float, *, alpha: float = 0.05) -> Equivalence:
    """Schuirmann's two one-sided tests (1987, 10.1007/BF01068419) of a paired difference by subject.

    Each test asks whether the difference could be ∓margin, and takes the error that it would have if it were
    (``Difference.error_if``). That matters for AUCs near 1, whose estimated variance is nearly zero.

    Args:
        difference: From :func:`~taskgan.stats.mean_difference` (paired t) or
            :func:`~taskgan.stats.auc_difference` (normal).
        margin: Positive, in the measure's own unit; has to be fixed before the data are seen.
        alpha: Level of each of the two tests; the interval has the level 1 − 2α.

    Raises:
        ValueError: If the margin is not positive.
    """
    if not margin > 0:
        raise ValueError(f"expected a positive margin, found {margin}")
    estimate, error = difference.interval.estimate, difference.error
    if math.isnan(error) or difference.count < FEWEST:
        return Equivalence(margin, Interval.unknown(estimate), math.nan, math.nan)
    if error == 0:
        inside = (float(estimate <= -margin), float(estimate >= margin))
        return Equivalence(margin, Interval(estimate, estimate, estimate), *inside)
    law = stats.norm() if math.isinf(difference.freedom) else stats.t(difference.freedom)
    least = difference.error_if or (lambda _: 0.0)
    below, above = max(error, least(-margin)), max(error, least(margin))
    quantile = float(law.ppf(1 - alpha))
    return Equivalence(
        margin,
        Interval(estimate, estimate - quantile * below, estimate + quantile * above),
        p_above=float(law.sf((estimate + margin) / below)),
        p_below=float(law.cdf((estimate - margin) / above)),
    )


Array = NDArray[np.float64]
Weights = Literal["none", "linear", "quadratic"]


def cohen_kappa(
    first: ArrayLike,
    second: ArrayLike,
    subjects: Sequence[Hashable],
    *,
    weights: Weights = "none",
    closed_form: bool = False,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """Cohen's κ of two series of ratings (1960, 10.1177/001316446002000104), weighted (1968, 10.1037/h0026256).

    Two readers; or a reader and the truth; or, for agreement within readers, two sessions: one row a reader, then κ
    is each reader's own and the mean over readers is given.

    Args:
        first: (N,) or (R, N) numbers of categories; NaN in either leaves the case out for all rows.
        second: (N,) or (R, N) of the same cases.
        subjects: (N,) who each case is of.
        weights: Of disagreement: none, or by the distance of the categories or its square. Distances are of the
            numbers, so that a Likert grade that nobody gave keeps its place.
        closed_form: Normal interval of Fleiss, Cohen and Everitt (1969, 10.1037/h0028106) instead of the subject
            bootstrap: for one pair of ratings a subject.
        level: Coverage wanted.
        seed: Of the bootstrap.

    Returns:
        NaN where all ratings are one category; NaN ends for too few subjects and where the ends would fall together,
        as for perfect agreement.

    Raises:
        ValueError: If the shapes differ, or the closed form is asked of several pairs a subject.
    """
    one, two = (np.atleast_2d(np.asarray(r, dtype=np.float64)) for r in (first, second))
    if one.shape != two.shape or one.shape[1] != len(subjects):
        raise ValueError(f"expected pairs of ratings of {len(subjects)} cases, found {one.shape} and {two.shape}")
    known = np.asarray(~(np.isnan(one) | np.isnan(two)).any(axis=0))
    who, count = subject_numbers(s for s, k in zip(subjects, known.tolist(), strict=True) if k)
    one, two = one[:, known], two[:, known]
    grades = np.unique(np.concatenate([one, two], axis=None))
    tables = np.zeros((count, len(one), len(grades), len(grades)))  # (subjects, rows, first, second)
    places_of = (who, np.arange(len(one))[:, None], np.searchsorted(grades, one), np.searchsorted(grades, two))
    np.add.at(tables, places_of, 1.0)
    agreement = _agreement(grades, weights)
    if closed_form:
        if len(one) > 1 or len(who) != count:
            raise ValueError("the closed form of kappa needs one pair of ratings a subject; use the bootstrap")
        return _normal(tables.sum(axis=0)[0], agreement, level)
    return _resample(lambda draw: _kappa(tables[draw].sum(axis=-4), agreement), count, level, seed)


def _agreement(grades: Array, weights: Weights) -> Array:
    """(C, C) credit for each pair of categories, 1 on the diagonal."""
    if weights == "none" or len(grades) < 2:
        return np.asarray(np.eye(len(grades)))
    distance = np.abs(grades[:, None] - grades[None, :]) / (grades[-1] - grades[0])
    return np.asarray(1 - distance ** (1 if weights == "linear" else 2))


def _kappa(tables: Array, agreement: Array) -> Array:
    """Mean κ over rows of tables (…, rows, C, C)."""
    shares = tables / tables.sum(axis=(-2, -1), keepdims=True)
    chance = shares.sum(axis=-1)[..., :, None] * shares.sum(axis=-2)[..., None, :]
    each = _ratio((agreement * shares).sum(axis=(-2, -1)), (agreement * chance).sum(axis=(-2, -1)))
    return np.asarray(each.mean(axis=-1))


def _ratio(seen: Array, chance: Array) -> Array:
    """(seen − chance) / (1 − chance); NaN where chance alone agrees always."""
    left = np.where(1 - chance > 1e-12, 1 - chance, np.nan)
    return np.asarray((seen - chance) / left)


def _normal(table: Array, agreement: Array, level: float) -> Interval:
    n = table.sum()
    if n == 0:
        return Interval.unknown()
    shares = table / n
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    chance = float(rows @ agreement @ columns)
    value = float(_kappa(table[None], agreement))
    means = (agreement @ columns)[:, None] + (agreement.T @ rows)[None, :]
    spread = (shares * (agreement - means * (1 - value)) ** 2).sum() - (value - chance * (1 - value)) ** 2
    return _ends(value, float(spread) / n / (1 - chance) ** 2 if chance < 1 else math.nan, math.inf, level)


def fleiss_kappa(
    ratings: ArrayLike, subjects: Sequence[Hashable], *, closed_form: bool = False, level: float = LEVEL, seed: int = 0
) -> Interval:
    """Fleiss's κ of several readers (1971, 10.1037/h0031619), categories without order.

    Args:
        ratings: (R, N) numbers of categories; a case that lacks a reader is left out.
        subjects: (N,) who each case is of.
        closed_form: Student's interval of Gwet's variance (2008, 10.1348/000711006X126600) instead of the subject
            bootstrap: for one case a subject.
        level, seed: As of :func:`cohen_kappa`, and so is the result.

    Raises:
        ValueError: If the shapes do not fit, or the closed form is asked of several cases a subject.
    """
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2 or len(table) < 2 or table.shape[1] != len(subjects):
        raise ValueError(f"expected ratings of two or more readers, {len(subjects)} cases, found {table.shape}")
    known = np.asarray(~np.isnan(table).any(axis=0))
    who, count = subject_numbers(s for s, k in zip(subjects, known.tolist(), strict=True) if k)
    table, readers = table[:, known], len(table)
    counts = (table[:, :, None] == np.unique(table)).sum(axis=0).astype(np.float64)  # (cases, C)
    pairs = (counts * (counts - 1)).sum(axis=1) / (readers * (readers - 1))
    sums = np.zeros((count, 2 + counts.shape[1]))  # cases, agreeing pairs, shares of the categories
    np.add.at(sums, who, np.column_stack([np.ones(len(who)), pairs, counts / readers]))

    def kappa(draw: NDArray[np.intp]) -> Array:
        """Of each draw of subjects."""
        total = sums[draw].sum(axis=-2)
        shares = total[..., 2:] / total[..., :1]
        return _ratio(total[..., 1] / total[..., 0], (shares**2).sum(axis=-1))

    if not closed_form:
        return _resample(kappa, count, level, seed)
    n = len(who)
    if n != count:
        raise ValueError("the closed form of kappa needs one case a subject; use the bootstrap")
    if n < 2:
        return Interval.unknown()
    value = float(kappa(np.arange(n)[None])[0])
    shares = counts.mean(axis=0) / readers
    chance = float((shares**2).sum())
    if chance >= 1 - 1e-12:
        return Interval.unknown()
    each = (pairs - chance) / (1 - chance) - 2 * (1 - value) * (counts @ shares / readers - chance) / (1 - chance)
    return _ends(value, float(((each - value) ** 2).sum()) / (n * (n - 1)), n - 1.0, level)


def _ends(value: float, variance: float, freedom: float, level: float) -> Interval:
    if not variance > 1e-16:
        return Interval.unknown(value)
    half = two_sided_quantile(level, freedom) * math.sqrt(variance)
    return Interval(value, max(value - half, -1.0), min(value + half, 1.0))


def _resample(statistic: Callable[[NDArray[np.intp]], Array], count: int, level: float, seed: int) -> Interval:
    interval = bootstrap(statistic, count, level=level, seed=seed)
    return interval if interval.high - interval.low > 1e-9 else Interval.unknown(interval.estimate)
