"""Power: how many subjects a difference needs to be seen, and what a number of subjects can see.

A plan for the next study, not a second test of this one: power computed from an observed difference is another
name for its p-value (Hoenig and Heisey 2001, 10.1198/000313001300339897).

In all functions ``count`` is a number of subjects, ``alpha`` the level of the test, two-sided, and ``power`` what is
wanted.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from taskgan.stats.mrmc import Components, Random

MOST = 100_000  # subjects; beyond, "how many" is no plan
_MOST_EXACT = 20_000  # of the exact tests, whose every number of events is summed over
# Exact power is a saw-tooth in n: it has to stay above the target for this many more subjects. McNemar's sums over
# the number of discordant subjects, which leaves next to nothing of the teeth.
_AGAIN_RATE, _AGAIN_FLIPS = 25, 4


def mean_power(difference: float, deviation: float, count: int, *, alpha: float = 0.05) -> float:
    """Power of the paired t-test of two subjects or more.

    ``difference`` is the true mean difference, ``deviation`` its SD between subjects.
    """
    if deviation == 0:
        return 1.0 if difference else alpha
    critical = stats.t.isf(alpha / 2, count - 1)
    shifted = stats.nct(count - 1, math.sqrt(count) * abs(difference) / deviation)
    # scipy gives NaN for a left tail that is far away and next to nothing (with 4 subjects and 4 SD).
    return float(shifted.sf(critical) + np.nan_to_num(shifted.cdf(-critical)))


def subjects_for_mean(difference: float, deviation: float, *, power: float = 0.8, alpha: float = 0.05) -> int | None:
    """Smallest number of subjects with which the test of :func:`mean_power` has the power; None above ``MOST``."""
    return _smallest(lambda n: mean_power(difference, deviation, n, alpha=alpha), 2, power, MOST)


def detectable_mean(deviation: float, count: int, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """Smallest mean difference that ``count`` subjects show with the power; NaN for fewer than two."""
    if count < 2 or math.isnan(deviation):
        return math.nan
    if deviation == 0:
        return 0.0
    most = 1 / math.sqrt(count)
    while mean_power(most, 1.0, count, alpha=alpha) < power:
        most *= 2
    effect = optimize.brentq(lambda d: mean_power(d, 1.0, count, alpha=alpha) - power, 0.0, most)
    return float(effect) * deviation


def subjects_for_auc(
    difference: float, error: float, count: int, *, power: float = 0.8, alpha: float = 0.05
) -> int | None:
    """Subjects for an AUC difference, were the mix of labels and the two correlations to stay the same.

    The standard error ``error`` of ``count`` subjects shrinks with √n: n · ((z₍1−α/2₎ + z₍power₎) · error /
    difference)². None above ``MOST``.
    """
    if difference == 0 or math.isnan(error):
        return None
    needed = math.ceil(count * (_sum_of_quantiles(power, alpha) * error / abs(difference)) ** 2)
    return needed if needed <= MOST else None


def detectable_auc(error: float, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """Smallest AUC difference that is shown with the power, given its standard error."""
    return _sum_of_quantiles(power, alpha) * error


def _sum_of_quantiles(power: float, alpha: float) -> float:
    return float(stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power))


def flips_power(
    only_first: float, only_second: float, count: int, *, alpha: float = 0.05, mid_p: bool = False
) -> float:
    """Power of McNemar's exact test, by summing over every number of discordant subjects.

    Args:
        only_first: Probability that a subject has the event (an error, a flip) with the first method only.
        only_second: With the second only.
        mid_p: Of the mid-p test.

    Raises:
        ValueError: If the probabilities are none.
    """
    both = only_first + only_second
    if min(only_first, only_second) < 0 or both > 1 + 1e-9:
        raise ValueError(f"expected two probabilities of sum at most 1, found {only_first} and {only_second}")
    if both == 0:
        return 0.0
    discordant = np.arange(count + 1)
    # Probabilities may sum to a hair above one.
    chance = stats.binom.pmf(discordant, count, min(both, 1.0))
    cut = _critical(discordant, alpha, mid_p)
    share = min(only_first / both, 1.0)
    tails = stats.binom.cdf(cut, discordant, share) + stats.binom.sf(discordant - cut - 1, discordant, share)
    return float(np.sum(np.where(cut >= 0, chance * tails, 0.0)))


def _critical(discordant: NDArray[np.intp], alpha: float, mid_p: bool) -> NDArray[np.intp]:
    """Largest number of the rarer kind at which the test rejects, for each number of discordant; −1 for none."""
    cut = np.asarray(stats.binom.ppf(alpha / 2, discordant, 0.5)).astype(np.intp)
    half = 0.5 * stats.binom.pmf(cut, discordant, 0.5) if mid_p else 0.0
    return np.where(stats.binom.cdf(cut, discordant, 0.5) - half > alpha / 2, cut - 1, cut)


def subjects_for_flips(
    only_first: float, only_second: float, *, power: float = 0.8, alpha: float = 0.05, mid_p: bool = False
) -> int | None:
    """Number of subjects from which McNemar's exact test has the power; None where none up to 20 000 has.

    The exact counterpart of Connor's formula (1987, 10.2307/2531961). The power of a discrete test goes up and down
    by a little with n: the answer is the first n from which it stays above the target. Arguments as of
    :func:`flips_power`.
    """
    if only_first == only_second:
        return None
    return _smallest(
        lambda n: flips_power(only_first, only_second, n, alpha=alpha, mid_p=mid_p),
        1,
        power,
        _MOST_EXACT,
        again=_AGAIN_FLIPS,
    )


def detectable_flips(
    count: int, *, other: float = 0.0, power: float = 0.8, alpha: float = 0.05, mid_p: bool = False
) -> float:
    """Smallest probability of an event with one method only that ``count`` subjects show with the power.

    ``other`` is that of the event with the other method only. NaN where even a certain event would not be shown.
    """

    def _short(rate: float) -> float:
        return flips_power(rate, other, count, alpha=alpha, mid_p=mid_p) - power

    if count < 1 or _short(1 - other) < 0:
        return math.nan
    return float(optimize.brentq(_short, other, 1 - other))


def rate_power(rate: float, null: float, count: int, *, alpha: float = 0.05) -> float:
    """Power of the exact binomial test (equal tails) of a proportion against a given one.

    It rejects exactly where the Clopper–Pearson interval of :func:`~taskgan.stats.exact_rate`
    excludes the null, e.g. an error rate that would not be borne; ``rate`` is the true one.
    """
    low = int(stats.binom.ppf(alpha / 2, count, null))
    low -= float(stats.binom.cdf(low, count, null)) > alpha / 2
    high = int(stats.binom.isf(alpha / 2, count, null))
    high += float(stats.binom.sf(high - 1, count, null)) > alpha / 2
    return float(stats.binom.cdf(low, count, rate) + stats.binom.sf(high - 1, count, rate))


def subjects_for_rate(rate: float, null: float, *, power: float = 0.8, alpha: float = 0.05) -> int | None:
    """Subjects from which the test of :func:`rate_power` excludes ``null``; None where none up to 20 000 do."""
    if rate == null:
        return None
    return _smallest(lambda n: rate_power(rate, null, n, alpha=alpha), 1, power, _MOST_EXACT, again=_AGAIN_RATE)


def mrmc_power(
    components: Components, effect: float, readers: int, cases: int, *, random: Random = "both", alpha: float = 0.05
) -> float:
    """Power of a study of paired readers that compares two methods (Hillis, Obuchowski and Berbaum 2011).

    Non-central F with λ = R d² / 2 / (σ²_TR + (N* / N)(Var − cov1 + (R − 1) max(cov2 − cov3, 0))), 10.1016/
    j.acra.2010.09.007; N* is the pilot's number of cases, and the share of positives is thought to stay.

    Args:
        components: Of a pilot study, from :func:`~taskgan.stats.obuchowski_rockette`.
        effect: Difference of the two methods' mean figures that is to be shown.
        readers: Planned number.
        cases: Planned number of subjects.
        random: What the result is to hold for, as in the analysis.
    """
    scale = components.cases / cases
    by_reader = max(components.method_reader, 0.0) if random != "cases" else 0.0
    alone = scale * (components.error - components.cov1)
    shared = scale * max(components.cov2 - components.cov3, 0.0)
    square = by_reader + max(alone - shared, 0.0)  # E[MS(TR)]
    below = square + (readers * shared if random != "readers" else 0.0)
    if random == "cases":
        below = alone + (readers - 1) * shared
    if below <= 0 or (random != "cases" and readers < 2):
        return math.nan
    if effect == 0:
        return alpha
    away = readers * effect**2 / 2 / below
    if random == "cases":
        return float(stats.ncx2.sf(stats.chi2.ppf(1 - alpha, 1), 1, away))
    freedom = min(below**2 / (square**2 / (readers - 1)), 1e6) if square > 0 else 1e6
    return float(stats.ncf.sf(stats.f.ppf(1 - alpha, 1, freedom), 1, freedom, away))


def cases_for_readers(
    components: Components,
    effect: float,
    readers: int,
    *,
    random: Random = "both",
    power: float = 0.8,
    alpha: float = 0.05,
) -> int | None:
    """Number of subjects from which a study with so many readers has the power; None where none up to 20 000 has.

    Few random readers can be too few for any number of cases: call it for each number of readers that could be had.
    None as well where the pilot has no components. Arguments as of :func:`mrmc_power`.
    """
    if effect == 0 or math.isnan(mrmc_power(components, effect, readers, components.cases, random=random)):
        return None
    return _smallest(
        lambda n: mrmc_power(components, effect, readers, n, random=random, alpha=alpha), 4, power, _MOST_EXACT
    )


def _smallest(power_of: Callable[[int], float], first: int, power: float, most: int, again: int = 0) -> int | None:
    """Smallest count with the power: doubled until there, halved back, then past the teeth of an exact test."""
    high = first
    while power_of(high) < power:
        if high >= most:
            return None
        high = min(2 * high, most)
    low = max(high // 2, first)
    while low < high:
        middle = (low + high) // 2
        if power_of(middle) < power:
            low = middle + 1
        else:
            high = middle
    if not again:
        return high
    # The halving may have stopped on any tooth around the target: go back to where all are below, then on.
    start = max(first, high - 2 * again)
    enough = [power_of(n) >= power for n in range(start, high + 2 * again)]
    for place in range(len(enough) - again):
        if all(enough[place : place + again]):
            return start + place
    return high
