"""Who is who before anything is simulated: disease, split and anatomy of every subject."""

from dataclasses import dataclass

import numpy as np

from taskgan.cohort.pairs import SPLITS
from taskgan.core.errors import UserError
from taskgan.simulate.deal import Planned, anatomies_by_split, in_turn, interleaved_splits
from taskgan.simulate.mr.settings import MrSimulation

KINDS = ("control", "lesions", "tumour")


@dataclass(frozen=True, kw_only=True)
class MrSubject(Planned):
    """One subject of the plan.

    Attributes:
        kind: ``control``, ``lesions`` (white-matter lesions) or ``tumour``.
    """

    kind: str


def plan_subjects(settings: MrSimulation, anatomies: int | None) -> list[MrSubject]:
    """Draw the cohort's table: the number of each kind is exact, every kind that there is is in every split.

    Args:
        settings: The cohort.
        anatomies: How many heads; None is the one template whose deformed subjects are the anatomies.

    Raises:
        UserError: If a kind cannot be in every split, or there are fewer heads than splits.
    """
    rng = np.random.default_rng([settings.seed, 0])
    patients = round(settings.patients * settings.subjects)
    tumours = round(settings.tumours * patients)
    counts = dict(zip(KINDS, (settings.subjects - patients, patients - tumours, tumours), strict=True))
    required = {
        "control": True,
        "lesions": settings.tumours < 1,
        "tumour": settings.tumours > 0,
    }
    if any(counts[kind] < len(SPLITS) for kind in KINDS if required[kind]):
        listing = ", ".join(f"{counts[kind]} with {kind}" for kind in KINDS if required[kind])
        raise UserError(
            f"{settings.subjects} subjects of which {settings.patients:.0%} patients, {settings.tumours:.0%} of them "
            f"with a tumour, make {listing.replace('with control', 'controls')}; expected at least 3 of each, one "
            "for every split"
        )
    shuffled = [
        (kind, split)
        for kind in KINDS
        if counts[kind]
        for split in interleaved_splits(counts[kind], settings.splits, rng)
    ]
    owners = anatomies_by_split(anatomies, settings.splits, rng)
    mixed = [shuffled[int(place)] for place in rng.permutation(len(shuffled))]
    places = in_turn([split for _, split in mixed], owners)
    return [
        MrSubject(number=number, kind=kind, split=split, anatomy=anatomy)
        for number, ((kind, split), anatomy) in enumerate(zip(mixed, places, strict=True), start=1)
    ]
