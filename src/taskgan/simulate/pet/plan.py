"""Who is who before anything is simulated: class, composite, split and anatomy of every subject."""

from dataclasses import dataclass

import numpy as np

from taskgan.cohort.pairs import SPLITS
from taskgan.errors import UserError
from taskgan.simulate.pet.settings import PetSimulation
from taskgan.simulate.pet.uptake import draw_composite


@dataclass(frozen=True)
class Subject:
    """One subject of the plan.

    Attributes:
        number: From 1.
        positive: Class by the cut.
        borderline: Composite near the cut.
        composite: The composite SUVR that the true uptake will have.
        split: train, val or test.
        anatomy: Index into the cohort's anatomies.
    """

    number: int
    positive: bool
    borderline: bool
    composite: float
    split: str
    anatomy: int

    @property
    def name(self) -> str:
        """BIDS participant, e.g. ``sub-001``."""
        return f"sub-{self.number:03d}"


def plan(settings: PetSimulation, anatomies: int | None) -> list[Subject]:
    """Draw the cohort's table.

    The number of positives is exact. Borderline subjects are positive in proportion to the part of their range
    above the cut. Splits are stratified by class (and within a class by borderline); anatomies are dealt
    to splits first, so that none is in two.

    Args:
        settings: The cohort.
        anatomies: How many heads; None is the one template whose deformed subjects are the anatomies.

    Raises:
        UserError: If a class cannot be in every split, or there are fewer heads than splits.
    """
    rng = np.random.default_rng([settings.seed, 0])
    total = settings.subjects
    positives = round(settings.positive * total)
    if min(positives, total - positives) < len(SPLITS):
        raise UserError(
            f"{total} subjects of which {settings.positive:.0%} positive make {positives} positive and "
            f"{total - positives} negative; expected at least 3 of each, one for every split"
        )
    low, high = settings.borderline_range
    near = round(settings.borderline * total)
    near_positive = min(round(near * (high - settings.cut) / (high - low)), positives)
    near_negative = min(near - near_positive, total - positives)
    kinds = (
        [(True, True)] * near_positive
        + [(True, False)] * (positives - near_positive)
        + [(False, True)] * near_negative
        + [(False, False)] * (total - positives - near_negative)
    )
    splits = _deal(sum(k[0] for k in kinds), settings.splits, rng)
    splits += _deal(sum(not k[0] for k in kinds), settings.splits, rng)
    composites = [
        draw_composite(positive, borderline, settings.cut, settings.borderline_range, rng)
        for positive, borderline in kinds
    ]
    order = rng.permutation(total)
    drawn = [(kinds[i], composites[i], splits[i]) for i in order]
    owners = _anatomies_by_split(anatomies, settings.splits, rng)
    turn = dict.fromkeys(SPLITS, 0)
    subjects = []
    for number, ((positive, borderline), composite, split) in enumerate(drawn, start=1):
        own = owners[split]
        subjects.append(Subject(number, positive, borderline, composite, split, own[turn[split] % len(own)]))
        turn[split] += 1
    return subjects


def _sizes(count: int, shares: tuple[float, float, float]) -> list[int]:
    """Whole numbers near the shares, at least one each: largest remainder, ties to the test split."""
    wanted = [share * count for share in shares]
    sizes = [max(1, int(w)) for w in wanted]
    while sum(sizes) < count:
        sizes[max(range(3), key=lambda i: (wanted[i] - sizes[i], i))] += 1
    while sum(sizes) > count:
        sizes[max((i for i in range(3) if sizes[i] > 1), key=lambda i: sizes[i] - wanted[i])] -= 1
    return sizes


def _deal(count: int, shares: tuple[float, float, float], rng: np.random.Generator) -> list[str]:
    """Splits in an order that spreads each of them evenly, so that the borderline cases at the front do too."""
    sizes = _sizes(count, shares)
    keys = [
        ((k + rng.uniform(0.05, 0.95)) / size, name)
        for name, size in zip(SPLITS, sizes, strict=True)
        for k in range(size)
    ]
    return [name for _, name in sorted(keys)]


def _anatomies_by_split(
    count: int | None, shares: tuple[float, float, float], rng: np.random.Generator
) -> dict[str, list[int]]:
    if count is None:
        return {name: [0] for name in SPLITS}
    if count < len(SPLITS):
        raise UserError(
            f"{count} BrainWeb {'anatomy was' if count == 1 else 'anatomies were'} found, expected at least 3: "
            "an anatomy is in one split only"
        )
    sizes = _sizes(count, shares)
    order = [int(i) for i in rng.permutation(count)]
    ends = np.cumsum(sizes)
    return {name: order[end - size : end] for name, size, end in zip(SPLITS, sizes, ends, strict=True)}
