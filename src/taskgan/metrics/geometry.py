"""The mapping measured: the shrinking and twisting of Section 5 (Figure 4), with intervals by subject.

Distances are Euclidean, between images of different subjects only. A measure is taken on each training run by
itself and averaged over the runs: averaging restored positions or distance matrices first would cancel what the
runs do differently, and more seeds would then look like a better mapping.

Intervals of pairwise measures draw subjects, not pairs. A subject that is drawn twice weighs twice in its
distances to the others, and its distance to its own duplicate, which is zero for every method, is not counted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from taskgan.stats import Interval, bootstrap, exact_rate, mean_interval, subject_means

Array = NDArray[np.float64]
RESAMPLES = 2000  # every draw ranks all pairs; the ends move by about a fiftieth of the width
_AT_ONCE = 100_000  # resamples × pairs: what stays in a processor's cache


@dataclass(frozen=True)
class FeatureMapping:
    """Where one training run takes the images of its test subjects, and where they should be.

    Attributes:
        restored: (N, F) positions of the restored images.
        clean: (N, F) positions of the clean images, row by row the same cases.
        subjects: (N,) whose they are; several cases of one subject share its weight.
    """

    restored: Array
    clean: Array
    subjects: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.clean.ndim != 2 or self.restored.shape != self.clean.shape:
            raise ValueError(
                f"restored {self.restored.shape} and clean {self.clean.shape} positions, expected (N, F) both"
            )
        if len(self.subjects) != len(self.clean):
            raise ValueError(f"{len(self.subjects)} subjects for {len(self.clean)} cases")

    def subset(self, subjects: Sequence[str]) -> "FeatureMapping":
        """The cases of some subjects."""
        chosen = set(subjects)
        mask = np.array([s in chosen for s in self.subjects], dtype=bool)
        return FeatureMapping(self.restored[mask], self.clean[mask], tuple(s for s in self.subjects if s in chosen))


def standardise(values: NDArray[np.floating], clean: NDArray[np.floating]) -> Array:
    """Features on the scale of the clean images: minus their mean, over their standard deviation.

    Args:
        values: (N, F).
        clean: (M, F) features of the clean images.

    Returns:
        (N, F'). Features that are the same for all clean images tell nothing and are left out.
    """
    reference = np.asarray(clean, dtype=np.float64)
    spread = reference.std(axis=0)
    varying = spread > 1e-6 * max(float(spread.max(initial=0.0)), float(np.abs(reference).max(initial=0.0)))
    return np.asarray((values[:, varying] - reference.mean(axis=0)[varying]) / spread[varying], dtype=np.float64)


def shrinkage(
    mappings: Sequence[FeatureMapping],
    *,
    against: Sequence[FeatureMapping] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """Mean distance between restored images over that between clean ones.

    Σ ‖x̂ᵢ − x̂ⱼ‖ / Σ ‖xᵢ − xⱼ‖ over pairs of subjects. 1 keeps the differences between subjects, below 1 shrinks
    them, above 1 adds to them (noise does).

    Args:
        mappings: One a training run.
        against: Another method's: the paired difference, first minus second, on the subjects of both.
        seed: Of the bootstrap, which draws ``resamples`` times.

    Returns:
        NaN where there are fewer than two subjects or all clean images are the same.
    """
    return _pairwise(_ratio, mappings, against, seed, resamples)


def rank_correlation(
    mappings: Sequence[FeatureMapping],
    *,
    against: Sequence[FeatureMapping] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """Spearman's correlation of the distances between restored images with those between clean ones.

    1 keeps who is near to whom; 0 has forgotten it. Shrinking alone leaves it at 1, and so does a mirror image
    of the whole: the retrieval and the label flips see that. Arguments as of :func:`shrinkage`.
    """
    return _pairwise(_spearman, mappings, against, seed, resamples)


def retrieval(
    mappings: Sequence[FeatureMapping], *, against: Sequence[FeatureMapping] | None = None, seed: int = 0
) -> Interval:
    """Share of restored images whose nearest clean image is their own; by chance it is 1 / subjects.

    Arguments as of :func:`shrinkage`.

    Returns:
        The mean over subjects. A share has the exact interval of a rate with n = number of subjects, a
        difference that of the bootstrap. Neither draws the gallery of clean images anew.
    """
    ours = _retrieval_by_subject(mappings)
    if against is None:
        return exact_rate(sum(ours.values()), len(ours))
    theirs = _retrieval_by_subject(against)
    common = [s for s in ours if s in theirs]
    return mean_interval([ours[s] - theirs[s] for s in common], common, seed=seed)


def hits(mapping: FeatureMapping) -> Array:
    """For each restored image, whether its own clean image is nearer than that of any other subject.

    Returns:
        (N,): 1 or 0; 1 / (1 + k) where k other subjects' images are exactly as near. Further images of the same
        subject (the same clean image at another dose) are no rivals.
    """
    apart = cdist(mapping.restored, mapping.clean)
    own = np.diagonal(apart)[:, None]
    who = np.array(mapping.subjects)
    rival = who[:, None] != who[None, :]
    beaten = (rival & (apart < own)).any(axis=1)
    level = (rival & (apart == own)).sum(axis=1)
    return np.where(beaten, 0.0, 1.0 / (1.0 + level))


def _retrieval_by_subject(mappings: Sequence[FeatureMapping]) -> dict[str, float]:
    values = np.concatenate([hits(m) for m in mappings]) if mappings else np.zeros(0)
    means, subjects = subject_means(values, [s for m in mappings for s in m.subjects])
    return {str(s): float(v) for s, v in zip(subjects, means, strict=True)}


@dataclass(frozen=True)
class _Pairs:
    """Pairs of cases of different subjects in one run: both distances, and which subjects (as indices)."""

    restored: Array
    clean: Array
    first: NDArray[np.intp]
    second: NDArray[np.intp]
    share: Array  # of the pair in the weight of its two subjects


_Measure = Callable[[_Pairs, Array], Array]


def _pairwise(
    measure: _Measure,
    mappings: Sequence[FeatureMapping],
    against: Sequence[FeatureMapping] | None,
    seed: int,
    resamples: int,
) -> Interval:
    subjects = list(dict.fromkeys(s for m in mappings for s in m.subjects))
    if against is not None:
        theirs = {s for m in against for s in m.subjects}
        subjects = [s for s in subjects if s in theirs]
    place = {s: k for k, s in enumerate(subjects)}
    ours = [_pairs(m.subset(subjects), place) for m in mappings]
    others = [_pairs(m.subset(subjects), place) for m in against or ()]

    def statistic(index: NDArray[np.intp]) -> Array:
        """The measure (R,), or its difference to the others, for drawn subjects (R, N)."""
        counts = np.zeros((len(index), len(subjects)))
        np.add.at(counts, (np.arange(len(index))[:, None], index), 1.0)
        value = _mean_of_runs(measure, ours, counts)
        return value - _mean_of_runs(measure, others, counts) if against is not None else value

    return bootstrap(statistic, len(subjects), seed=seed, resamples=resamples)


def _mean_of_runs(measure: _Measure, runs: Sequence[_Pairs], counts: Array) -> Array:
    """Each run's measure for drawn subjects (R, S), averaged over the runs that have a value: (R,)."""
    values = np.full((len(runs), len(counts)), np.nan)
    for k, pairs in enumerate(runs):
        if not pairs.clean.size:
            continue
        step = max(1, _AT_ONCE // pairs.clean.size)
        for start in range(0, len(counts), step):
            part = counts[start : start + step]
            weights = part[:, pairs.first] * part[:, pairs.second] * pairs.share
            values[k, start : start + step] = measure(pairs, weights)
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)


def _pairs(mapping: FeatureMapping, place: dict[str, int]) -> _Pairs:
    who = np.array([place[s] for s in mapping.subjects], dtype=np.intp)
    cases = np.bincount(who, minlength=len(place))
    first, second = np.triu_indices(len(who), k=1)
    apart = who[first] != who[second]
    first, second = first[apart], second[apart]
    return _Pairs(
        restored=cdist(mapping.restored, mapping.restored)[first, second],
        clean=cdist(mapping.clean, mapping.clean)[first, second],
        first=who[first],
        second=who[second],
        share=1.0 / (cases[who[first]] * cases[who[second]]),
    )


def _ratio(pairs: _Pairs, weights: Array) -> Array:
    below = weights @ pairs.clean
    return np.where(below > 0, (weights @ pairs.restored) / np.where(below > 0, below, 1.0), np.nan)


def _spearman(pairs: _Pairs, weights: Array) -> Array:
    """Pearson's correlation of weighted mid-ranks: the Spearman correlation of pairs repeated by weight."""
    total = weights.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y = (_ranks(v, weights) - total / 2 for v in (pairs.restored, pairs.clean))
        xx, yy, xy = (np.einsum("rp,rp,rp->r", weights, a, b) for a, b in ((x, x), (y, y), (x, y)))
        spread = xx * yy
        # All distances the same: nothing is in an order, so no order was kept or lost.
        return np.where(spread > 1e-12 * total[:, 0] ** 6, xy / np.sqrt(spread), np.nan)


def _ranks(values: Array, weights: Array) -> Array:
    """Mid-ranks (R, P) of values (P,) that count ``weights`` (R, P) times; their weighted mean is total / 2."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    order = np.argsort(inverse, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    groups = weights[:, order]
    if len(counts) < len(values):
        groups = np.add.reduceat(groups, starts, axis=1)
    middle = np.cumsum(groups, axis=1)
    middle -= groups / 2
    return np.asarray(middle[:, inverse])
