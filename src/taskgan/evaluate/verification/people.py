"""Uncertainty with the person as the unit: one photo, or one face that is hard to tell, is in several pairs."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from taskgan.evaluate.statistics import FEWEST, LEVEL, Difference, Interval
from taskgan.evaluate.statistics.delong import placements
from taskgan.evaluate.verification.pairs import Floats, ImagePairs

RESAMPLES = 2000
_AT_ONCE = 200


def auc_interval_by_person(distances: ArrayLike, pairs: ImagePairs, *, level: float = LEVEL) -> Interval:
    """AUC with an interval that knows which pairs share a person, on the logit scale.

    DeLong's structural components (1988, 10.2307/2531595) with the variance of dyadic data: products of the
    components of all pairs of pairs that share a person, and not only of each with itself (Aronow, Samii and Assenova
    2015, 10.1093/pan/mpv018). The estimate can fall below that of independent pairs by chance; the larger counts.

    Args:
        distances: (N,), or (S, N) one row a seed: then of the mean of their AUCs.
        pairs: Who is on them.
        level: Coverage wanted.

    Returns:
        NaN ends for fewer than ``FEWEST`` people and for an AUC of 0 or 1.
    """
    values = pairs.distances(distances)
    area, error = _sum_of_aucs(values, np.full(len(values), 1 / len(values)), pairs)
    if not 0 < area < 1 or not error > 0 or pairs.count < FEWEST:
        return Interval(area, float("nan"), float("nan"))
    half = float(stats.norm.ppf((1 + level) / 2)) * error / (area * (1 - area))
    middle = np.log(area / (1 - area))
    return Interval(area, *(float(1 / (1 + np.exp(-end))) for end in (middle - half, middle + half)))


def auc_difference_by_person(
    first: ArrayLike, second: ArrayLike, pairs: ImagePairs, *, level: float = LEVEL
) -> Difference:
    """AUC of the first − AUC of the second method on the same pairs, by the same variance.

    Args:
        first: (N,) or (S, N) distances of one method.
        second: (N,) or (S', N), of the other.
        pairs: Who is on them.
        level: Coverage of the interval.

    Returns:
        Normal interval and two-sided p, counting people; NaN for fewer than ``FEWEST`` of them and where the variance
        is zero.
    """
    one, two = pairs.distances(first), pairs.distances(second)
    weights = np.concatenate([np.full(len(one), 1 / len(one)), np.full(len(two), -1 / len(two))])
    gap, error = _sum_of_aucs(np.concatenate([one, two]), weights, pairs)
    if not error > 1e-8 or pairs.count < FEWEST:  # NaN, or zero up to rounding
        nan = float("nan")
        return Difference(Interval(gap, nan, nan), nan, nan, pairs.count, float("inf"))
    half = float(stats.norm.ppf((1 + level) / 2)) * error
    p = 2 * float(stats.norm.sf(abs(gap) / error))
    return Difference(
        Interval(gap, max(gap - half, -1.0), min(gap + half, 1.0)), error, p, pairs.count, float("inf")
    )


def bootstrap_by_person(
    statistic: Callable[[Floats | None], Floats],
    pairs: ImagePairs,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Interval:
    """Percentile interval of any statistic of pairs: people are drawn with replacement.

    A pair of two people counts as often as the product of how often they were drawn, a pair of one as often as that
    one (Owen 2007, 10.1214/07-AOAS122). Rather too wide than too narrow: up to √3 times where nobody is on two pairs
    of different people.

    Args:
        statistic: Takes how often each pair counts, (R, N), and gives (R,); None for all once, and gives one number.
        pairs: Who is on them.
        seed: Of the draws: the same data give the same interval.
        resamples: Number of draws.
        level: Coverage wanted.

    Returns:
        NaN ends for fewer than ``FEWEST`` people. Draws without a value are left out.
    """
    estimate = float(statistic(None))
    numbers, people = np.unique(pairs.people, return_inverse=True)
    people = people.reshape(pairs.people.shape)
    if len(numbers) < FEWEST:
        return Interval(estimate, float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    statistics = []
    for start in range(0, resamples, _AT_ONCE):
        size = min(_AT_ONCE, resamples - start)
        counts = rng.multinomial(len(numbers), np.full(len(numbers), 1 / len(numbers)), size=size)
        one, two = counts[:, people[:, 0]], counts[:, people[:, 1]]
        statistics.append(statistic(np.where(pairs.same, one, one * two).astype(np.float64)))
    tail = (1 - level) / 2
    values = np.concatenate(statistics)
    if np.isnan(values).all():
        return Interval(estimate, float("nan"), float("nan"))
    return Interval(estimate, *(float(q) for q in np.nanquantile(values, [tail, 1 - tail])))


def _sum_of_aucs(distances: Floats, weights: Floats, pairs: ImagePairs) -> tuple[float, float]:
    """Weighted sum of the AUCs of (K, N) distances, and its standard error."""
    areas, above, below = placements(-distances, pairs.same)
    other = ~pairs.same
    influence = np.empty(len(pairs))
    influence[pairs.same] = weights @ (above - areas[:, None]) / pairs.same.sum()
    influence[other] = weights @ (below - areas[:, None]) / other.sum()
    by_person = np.zeros(int(pairs.people.max()) + 1)
    np.add.at(by_person, pairs.people[:, 0], influence)
    np.add.at(by_person, pairs.people[other, 1], influence[other])
    # Pairs of the same two people were counted with both of them.
    _, which = np.unique(np.sort(pairs.people[other], axis=1), axis=0, return_inverse=True)
    twice = np.bincount(which.ravel(), weights=influence[other])
    variance = max(float((by_person**2).sum() - (twice**2).sum()), float((influence**2).sum()))
    return float(weights @ areas), float(np.sqrt(variance * pairs.count / max(pairs.count - 1, 1)))
