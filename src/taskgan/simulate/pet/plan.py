"""Who is who before anything is simulated: class, composite, split and anatomy of every subject."""

from dataclasses import dataclass, replace

import numpy as np

from taskgan.cohort.pairs import SPLITS
from taskgan.core.errors import UserError
from taskgan.simulate.pet.settings import Focal, PetSimulation
from taskgan.simulate.pet.uptake import draw_composite
from taskgan.simulate.workers import Planned, anatomies_by_split, in_turn, interleaved_splits


@dataclass(frozen=True, kw_only=True)
class PetSubject(Planned):
    """One subject of the plan.

    Attributes:
        positive: Class by the cut.
        borderline: Composite near the cut.
        composite: The composite SUVR that the true uptake will have.
        focal: What else it has.
    """

    positive: bool
    borderline: bool
    composite: float
    focal: Focal = "none"


def plan_subjects(settings: PetSimulation, anatomies: int | None) -> list[PetSubject]:
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
    splits = interleaved_splits(sum(k[0] for k in kinds), settings.splits, rng)
    splits += interleaved_splits(sum(not k[0] for k in kinds), settings.splits, rng)
    composites = [
        draw_composite(positive, borderline, settings.cut, settings.borderline_range, rng)
        for positive, borderline in kinds
    ]
    order = rng.permutation(total)
    shuffled = [(kinds[i], composites[i], splits[i]) for i in order]
    owners = anatomies_by_split(anatomies, settings.splits, rng)
    places = in_turn([split for _, _, split in shuffled], owners)
    subjects = [
        PetSubject(
            number=number, positive=positive, borderline=borderline, composite=composite, split=split, anatomy=anatomy
        )
        for number, (((positive, borderline), composite, split), anatomy) in enumerate(
            zip(shuffled, places, strict=True), start=1
        )
    ]
    return _with_focal(subjects, settings) if settings.focal else subjects


def _with_focal(subjects: list[PetSubject], settings: PetSimulation) -> list[PetSubject]:
    """Some subjects of every split with lesions, and some of the other test subjects with spheres.

    Raises:
        UserError: If fewer test subjects are without lesions than there are to be with spheres.
    """
    rng = np.random.default_rng([settings.seed, 0, 1])
    chosen: dict[int, Focal] = {}
    for split in SPLITS:
        own = [int(n) for n in rng.permutation([s.number for s in subjects if s.split == split])]
        count = min(len(own), max(round(settings.lesions * len(own)), int(settings.lesions > 0)))
        spheres = settings.spheres if split == "test" else 0
        if spheres > len(own) - count:
            raise UserError(
                f"spheres is {spheres}, but {len(own) - count} of {len(own)} test subjects are without lesions, "
                "expected at most as many"
            )
        for place, number in enumerate(own[: count + spheres]):
            chosen[number] = "lesions" if place < count else "spheres"
    return [replace(subject, focal=chosen.get(subject.number, "none")) for subject in subjects]
