"""Limits of agreement: where 95 % of single differences lie, with intervals of the limits themselves."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from taskgan.evaluate.statistics.interval import LEVEL, Interval


@dataclass(frozen=True)
class LimitsOfAgreement:
    """Bland and Altman's limits of agreement.

    Attributes:
        bias: Mean difference over subjects, with Student's interval.
        deviation: Standard deviation of a single case's difference: between and within subjects.
        low: Lower limit, bias − 1.96 SD, with its interval.
        high: Upper limit, likewise.
        subjects: How many.
    """

    bias: Interval
    deviation: float
    low: Interval
    high: Interval
    subjects: int


def limits_of_agreement(
    differences: ArrayLike, subjects: Sequence[Hashable], *, level: float = LEVEL
) -> LimitsOfAgreement:
    """Bias ± 1.96 SD of the differences of single cases (Bland and Altman 1999, 10.1177/096228029900800204).

    Several cases of a subject add a variance within subjects, SD² = s²(subject means) + (1 − 1/m_h) s²(within),
    m_h the harmonic mean of the numbers of cases (Bland and Altman 2007, 10.1080/10543400701329422). The intervals
    of the limits join those of bias and SD by the method of variance estimates recovery (Zou 2013,
    10.1177/0962280211402548), with Student's quantile for the bias.

    Args:
        differences: (N,) e.g. restored − clean SUVR of each case; NaN is left out.
        subjects: (N,).
        level: Of the intervals; the limits themselves are always 95 % ones.
    """
    values = np.asarray(differences, dtype=np.float64)
    groups: dict[Hashable, list[float]] = {}
    for value, subject in zip(values, subjects, strict=True):
        if not math.isnan(value):
            groups.setdefault(subject, []).append(float(value))
    n, total = len(groups), sum(len(g) for g in groups.values())
    nothing = Interval(math.nan, math.nan, math.nan)
    if n == 0:
        return LimitsOfAgreement(nothing, math.nan, nothing, nothing, 0)
    means = np.array([np.mean(g) for g in groups.values()])
    bias = float(means.mean())
    if n < 2:
        return LimitsOfAgreement(Interval(bias, math.nan, math.nan), math.nan, nothing, nothing, n)
    between = float(means.var(ddof=1))
    within = sum(float(np.var(g)) * len(g) for g in groups.values()) / (total - n) if total > n else 0.0
    share = 1 - float(np.mean([1 / len(g) for g in groups.values()]))
    variance = between + share * within
    parts = [(between, n - 1), (share * within, total - n)]
    deviation = math.sqrt(variance)
    tail = (1 - level) / 2
    # Chi-square intervals of the variances, joined by their distances from the estimates.
    least = variance - math.sqrt(sum(_squared_gap(v, df, 1 - tail) for v, df in parts))
    most = variance + math.sqrt(sum(_squared_gap(v, df, tail) for v, df in parts))
    half = float(stats.t.ppf(1 - tail, n - 1)) * math.sqrt(between / n)
    z = float(stats.norm.ppf((1 + LEVEL) / 2))
    outer = math.hypot(half, z * (math.sqrt(most) - deviation))
    inner = math.hypot(half, z * (deviation - math.sqrt(max(least, 0.0))))
    low, high = bias - z * deviation, bias + z * deviation
    return LimitsOfAgreement(
        Interval(bias, bias - half, bias + half),
        deviation,
        Interval(low, low - outer, low + inner),
        Interval(high, high - inner, high + outer),
        n,
    )


def _squared_gap(variance: float, freedom: int, quantile: float) -> float:
    """Squared distance from a variance to the end of its chi-square interval."""
    if variance == 0:
        return 0.0
    return (variance * (freedom / float(stats.chi2.ppf(quantile, freedom)) - 1)) ** 2
