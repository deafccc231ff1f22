"""The measures of the mapping on the held-out points, and in words what they show against the paper's figures."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from explain.problem import PointPairs, nearest_branch
from explain.train import Method, TrainedObjective
from taskgan.metrics import geometry
from taskgan.stats import Interval, exact_rate, mean_interval

Array = NDArray[np.float64]
_RESAMPLES = 500
NAMES: dict[Method, str] = {"l1": "Regression (L1)", "gan": "GAN", "cycle_gan": "CycleGAN", "task_gan": "Task-GAN"}


@dataclass(frozen=True)
class MappingMeasures:
    """What one objective did to the held-out points; intervals by point, seeds averaged.

    Attributes:
        shrinkage: Mean distance between restored points over that between clean ones.
        rank_correlation: Of the two sets of distances.
        retrieval: Share whose nearest clean point is their own.
        flips: Share nearer to the other label's branch.
        flips_minority: The same, of label 1.
        distance: Mean distance to the middle of the nearest branch.
    """

    shrinkage: Interval
    rank_correlation: Interval
    retrieval: Interval
    flips: Interval
    flips_minority: Interval
    distance: Interval


@dataclass(frozen=True)
class ObjectiveResult:
    """One objective's result.

    Attributes:
        trained: Where it took the points.
        mappings: One a seed.
        flipped: (N, seeds) 1 where the label was lost.
        domain_distance: (N, seeds) distance to the clean domain.
        measures: Of all seeds.
        by_seed: Estimates of each seed by itself, by measure.
    """

    trained: TrainedObjective
    mappings: list[geometry.FeatureMapping]
    flipped: Array
    domain_distance: Array
    measures: MappingMeasures
    by_seed: dict[str, list[float]]


def measure_objective(trained: TrainedObjective, held_out: PointPairs) -> ObjectiveResult:
    """Measure one objective."""
    restored = trained.final
    names = tuple(str(k) for k in range(len(held_out)))
    mappings = [geometry.FeatureMapping(restored[:, s], held_out.clean, names) for s in range(restored.shape[1])]
    labels, away = nearest_branch(restored)
    flipped = (labels != held_out.labels[:, None]).astype(np.float64)
    every = _measures(mappings, flipped, away, held_out.labels)
    single = [
        _measures([m], flipped[:, [s]], away[:, [s]], held_out.labels, resamples=1) for s, m in enumerate(mappings)
    ]
    by_seed = {f.name: [float(getattr(one, f.name).estimate) for one in single] for f in fields(MappingMeasures)}
    return ObjectiveResult(trained, mappings, flipped, away, every, by_seed)


def _measures(
    mappings: list[geometry.FeatureMapping], flipped: Array, away: Array, labels: Array, resamples: int = _RESAMPLES
) -> MappingMeasures:
    return MappingMeasures(
        shrinkage=geometry.shrinkage(mappings, resamples=resamples),
        rank_correlation=geometry.rank_correlation(mappings, resamples=resamples),
        retrieval=geometry.retrieval(mappings),
        flips=_rate(flipped),
        flips_minority=_rate(flipped[labels > 0.5]),
        distance=_mean(away),
    )


def _rate(flipped: Array) -> Interval:
    return exact_rate(float(flipped.mean(axis=1).sum()), len(flipped))


def _mean(values: Array) -> Interval:
    return mean_interval(values.mean(axis=1), range(len(values)))


def findings(outcomes: Mapping[Method, ObjectiveResult], held_out: PointPairs) -> list[str]:
    """What came out, set against what Figures 4 and 5 draw; a difference inside its interval is none."""
    return [*_regression(outcomes), *_gan(outcomes), *_cycle(outcomes, held_out), *_task(outcomes)]


def _regression(outcomes: Mapping[Method, ObjectiveResult]) -> Iterator[str]:
    shrinkage = outcomes["l1"].measures.shrinkage
    if shrinkage.high < 1:
        yield f"Regression shrinks, as in Figure 4(b): {_interval_text(shrinkage)} of the distances are left."
    else:
        yield f"Regression does not shrink as in Figure 4(b): {_interval_text(shrinkage)} of the distances are left."
    gap = _mean(outcomes["l1"].domain_distance - outcomes["gan"].domain_distance)
    yield _verdict(
        gap,
        "It leaves the clean domain, as in Figure 4(b): it ends farther from it than GAN, by {}.",
        "It ends nearer to the clean domain than GAN, unlike Figure 4(b), by {}.",
        "It ends about as far from the clean domain as GAN, unlike Figure 4(b): difference {}.",
    )


def _gan(outcomes: Mapping[Method, ObjectiveResult]) -> Iterator[str]:
    yield _verdict(
        _mean(outcomes["gan"].flipped - outcomes["l1"].flipped),
        "GAN loses more labels than regression, as in Figure 4(c): difference of the shares {}.",
        "GAN loses fewer labels than regression, unlike Figure 4(c): difference of the shares {}.",
        "GAN loses about as many labels as regression, unlike Figure 4(c): difference of the shares {}.",
    )


def _cycle(outcomes: Mapping[Method, ObjectiveResult], held_out: PointPairs) -> Iterator[str]:
    outcome = outcomes["cycle_gan"]
    if outcome.trained.cycled is None:
        return
    back = _mean(np.linalg.norm(outcome.trained.cycled - held_out.degraded[:, None], axis=-1))
    lost = outcome.measures.flips
    unlike = "as in Figure 5" if lost.low > 0.05 else "while the labels are kept, unlike Figure 5"
    yield (
        f"CycleGAN’s cycle closes to {_interval_text(back, 3)} on points that it had not seen, and "
        f"{_interval_text(lost)} of the "
        f"labels are lost on the way, {unlike}."
    )


def _task(outcomes: Mapping[Method, ObjectiveResult]) -> Iterator[str]:
    ours, gan = outcomes["task_gan"], outcomes["gan"]
    fewer = (ours.flipped.mean(axis=0) < gan.flipped.mean(axis=0)).sum()
    seeds = ours.flipped.shape[1]
    yield (
        _verdict(
            _mean(gan.flipped - ours.flipped),
            "Task-GAN keeps more labels than GAN, as in Figure 4(d): difference of the shares lost {}",
            "Task-GAN loses more labels than GAN, unlike Figure 4(d): difference of the shares lost {}",
            "Task-GAN loses about as many labels as GAN, unlike Figure 4(d): difference of the shares lost {}",
        )
        + f", in {fewer} of {seeds} seeds fewer."
    )
    yield _verdict(
        geometry.rank_correlation(ours.mappings, against=gan.mappings, resamples=_RESAMPLES),
        "It twists less: its rank correlation is higher than GAN’s, by {}.",
        "It twists more: its rank correlation is lower than GAN’s, by {}.",
        "It twists as much: its rank correlation differs from GAN’s by {}.",
    )
    yield _verdict(
        _mean(ours.domain_distance - gan.domain_distance),
        "It ends farther from the clean domain than GAN, unlike Figure 4(d), by {}.",
        "It ends nearer to the clean domain than GAN, by {}.",
        "It ends as near to the clean domain as GAN, as in Figure 4(d): difference {}.",
    )
    yield _verdict(
        _mean(ours.flipped - outcomes["l1"].flipped),
        "Regression, which has nothing to match but the pair, loses fewer labels still: difference to Task-GAN {}.",
        "It loses fewer labels than regression too: difference {}.",
        "It loses as many labels as regression: difference {}.",
    )


def _verdict(gap: Interval, above: str, below: str, none: str) -> str:
    text = above if gap.low > 0 else below if gap.high < 0 else none
    return text.format(_interval_text(gap))


def _interval_text(interval: Interval, digits: int = 2) -> str:
    parts = (f"{v:.{digits}f}".replace("-", "−") for v in (interval.estimate, interval.low, interval.high))
    estimate, low, high = parts
    return f"{estimate} [{low}, {high}]"
