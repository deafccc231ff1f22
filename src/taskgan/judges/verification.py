"""Face verification: are two photos of one person? Distances of descriptors, over pairs such as LFW’s view 1."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations, groupby, product
from math import nan

import numpy as np
from numpy.typing import ArrayLike, NDArray

from taskgan.cohort.pairs import Pair
from taskgan.cohort.verification import VerificationPair
from taskgan.metrics.roc import accuracy, roc_curve
from taskgan.stats import FEWEST, LEVEL, Difference, Interval, auc_difference, auc_interval
from taskgan.stats.bootstrap import logit_interval
from taskgan.stats.delong import placements

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class ImagePairs:
    """What is compared.

    Attributes:
        same: (N,) whether a pair is of one person.
        people: (N, 2) numbers of the two people, from 0; equal where ``same``.
    """

    same: Flags = field(repr=False)
    people: NDArray[np.intp] = field(repr=False)

    @classmethod
    def from_people(cls, first: Sequence[Hashable], second: Sequence[Hashable]) -> "ImagePairs":
        """From the names of the people on the two images of each pair.

        Raises:
            ValueError: If their numbers differ, or all pairs are of one person each, or none is.
        """
        if len(first) != len(second):
            raise ValueError(f"got {len(first)} first and {len(second)} second images, expected pairs")
        numbers = {name: number for number, name in enumerate(dict.fromkeys([*first, *second]))}
        people = np.array([[numbers[name] for name in part] for part in (first, second)], dtype=np.intp).T
        same = people[:, 0] == people[:, 1]
        if same.all() or not same.any():
            raise ValueError(f"{int(same.sum())} of {len(same)} pairs are of one person, expected some but not all")
        return cls(same, people)

    def __len__(self) -> int:
        return len(self.same)

    @property
    def count(self) -> int:
        """How many people there are."""
        return len(np.unique(self.people))

    def distances(self, raw: ArrayLike) -> Floats:
        """Distances, (N,) or (S, N), as (S, N), one row a training seed.

        Raises:
            ValueError: If they are not one for each pair, or not finite.
        """
        values = np.atleast_2d(np.asarray(raw, dtype=np.float64))
        if values.ndim != 2 or values.shape[1] != len(self):
            raise ValueError(f"got distances {np.shape(raw)} for {len(self)} pairs")
        if not np.isfinite(values).all():
            raise ValueError("a distance is NaN or infinite, expected descriptors of every image")
        return values


RESAMPLES = 2000
_AT_ONCE = 200


def auc_interval_by_person(distances: ArrayLike, pairs: ImagePairs, *, level: float = LEVEL) -> Interval:
    """AUC with an interval that knows which pairs share a person, on the logit scale.

    DeLong's structural components (1988, 10.2307/2531595) with the variance of dyadic data: products of the
    components of all pairs of pairs that share a person, and not only of each with itself (Aronow, Samii and Assenova
    2015, 10.1093/pan/mpv018). The estimate can fall below that of independent pairs by chance; the larger counts.

    Of distances (N,), or (S, N) one row a seed: then of the mean of their AUCs.

    Returns:
        NaN ends for fewer than ``FEWEST`` people and for an AUC of 0 or 1.
    """
    values = pairs.distances(distances)
    area, error = _sum_of_aucs(values, np.full(len(values), 1 / len(values)), pairs)
    return logit_interval(area, error if pairs.count >= FEWEST else nan, level)


def auc_difference_by_person(
    first: ArrayLike, second: ArrayLike, pairs: ImagePairs, *, level: float = LEVEL
) -> Difference:
    """AUC of the first − AUC of the second method on the same pairs, by the same variance.

    Distances are (N,) or (S, N) of each method, ``level`` the coverage of the interval.

    Returns:
        Normal interval and two-sided p, counting people; NaN for fewer than ``FEWEST`` of them and where the variance
        is zero.
    """
    one, two = pairs.distances(first), pairs.distances(second)
    weights = np.concatenate([np.full(len(one), 1 / len(one)), np.full(len(two), -1 / len(two))])
    gap, error = _sum_of_aucs(np.concatenate([one, two]), weights, pairs)
    shown = error > 1e-8 and pairs.count >= FEWEST  # neither NaN nor zero up to rounding
    return Difference.of_shares(gap, error if shown else nan, pairs.count, level)


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
        pairs, seed, resamples, level: Who is on the pairs; of the draws; coverage wanted.

    Returns:
        NaN ends for fewer than ``FEWEST`` people. Draws without a value are left out.
    """
    estimate = float(statistic(None))
    numbers, people = np.unique(pairs.people, return_inverse=True)
    if len(numbers) < FEWEST:
        return Interval.unknown(estimate)
    first, second = people.reshape(-1, 2).T
    rng = np.random.default_rng(seed)
    statistics = []
    for start in range(0, resamples, _AT_ONCE):
        size = min(_AT_ONCE, resamples - start)
        counts = rng.multinomial(len(numbers), np.full(len(numbers), 1 / len(numbers)), size=size)
        one, two = counts[:, first], counts[:, second]
        statistics.append(statistic(np.where(pairs.same, one, one * two).astype(np.float64)))
    tail = (1 - level) / 2
    values = np.concatenate(statistics)
    if np.isnan(values).all():
        return Interval.unknown(estimate)
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


MOST = 1000
"""Pairs of one person, at most; as many of two are drawn."""
MOST_OF_ONE = 10
"""Pairs of the same person, at most: of a person with 200 images there are twenty thousand."""
SEED = 0


def validation_pairs(
    rows: Iterable[Pair], *, most: int = MOST, most_of_one: int = MOST_OF_ONE, seed: int = SEED
) -> tuple[VerificationPair, ...]:
    """Pairs of clean images of validation people: of one person all up to the caps, of two as many.

    Of a cohort's rows those with split ``val`` and a clean image count, each clean image once. The caps are on pairs
    of one person, of all people together and of each.

    Returns:
        Pairs of one person, then as many of two people or all that there are; nothing where nobody has two images.
    """
    rng = np.random.default_rng(seed)
    clean = {pair.clean: pair for pair in reversed(list(rows)) if pair.split == "val" and pair.clean}
    ordered = sorted(clean.values(), key=lambda pair: (pair.subject, pair.case))
    people = {name: list(own) for name, own in groupby(ordered, key=lambda pair: pair.subject)}
    same: list[tuple[Pair, Pair]] = []
    for own in people.values():
        same += _sample(list(combinations(own, 2)), most_of_one, rng)
    same = _sample(same, most, rng)
    listed = [*same, *_different_people_pairs(people, len(same), rng)]
    return tuple(VerificationPair(0, "val", first, second) for first, second in listed)


def _sample(pairs: Sequence[tuple[Pair, Pair]], most: int, rng: np.random.Generator) -> list[tuple[Pair, Pair]]:
    """So many of them, in their order."""
    if len(pairs) <= most:
        return list(pairs)
    return [pairs[k] for k in np.sort(rng.choice(len(pairs), most, replace=False))]


def _different_people_pairs(
    people: dict[str, list[Pair]], count: int, rng: np.random.Generator
) -> list[tuple[Pair, Pair]]:
    """Different pairs of two people. People are drawn, then an image of each: nobody with many images rules."""
    images = list(people.values())
    possible = (sum(map(len, images)) ** 2 - sum(len(own) ** 2 for own in images)) // 2
    if possible <= 4 * count:
        every = (product(one, two) for one, two in combinations(images, 2))
        return _sample(list(chain.from_iterable(every)), count, rng)
    drawn_pairs: dict[tuple[str, str], tuple[Pair, Pair]] = {}
    while len(drawn_pairs) < count:
        one, two = (images[k] for k in sorted(rng.choice(len(images), 2, replace=False)))
        pair = one[rng.integers(len(one))], two[rng.integers(len(two))]
        drawn_pairs.setdefault((pair[0].case, pair[1].case), pair)
    return list(drawn_pairs.values())


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
        distances: (N,) of each of the pairs, or (S, N) one row a training seed: figures are then means over the seeds.
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
