"""Pairs of validation people: nobody's learning saw them, so that a threshold of theirs flatters no judge."""

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from taskgan.cohort.pairs import Pair
from taskgan.cohort.verification import VerificationPair

MOST = 1000
"""Pairs of one person, at most; as many of two are drawn."""
MOST_OF_ONE = 10
"""Pairs of the same person, at most: of a person with 200 images there are twenty thousand."""
SEED = 0


def validation_pairs(
    rows: Iterable[Pair], *, most: int = MOST, most_of_one: int = MOST_OF_ONE, seed: int = SEED
) -> tuple[VerificationPair, ...]:
    """Pairs of clean images of validation people: of one person all up to the caps, of two as many.

    Args:
        rows: Of a cohort; those with split ``val`` and a clean image count, each clean image once.
        most: Pairs of one person, of all people together.
        most_of_one: Pairs of each person.
        seed: Of what is drawn.

    Returns:
        Pairs of one person, then as many of two people or all that there are; nothing where nobody has two images.
    """
    rng = np.random.default_rng(seed)
    clean = {pair.clean: pair for pair in reversed(list(rows)) if pair.split == "val" and pair.clean}
    people: dict[str, list[Pair]] = {}
    for pair in sorted(clean.values(), key=lambda one: one.case):
        people.setdefault(pair.subject, []).append(pair)
    same: list[tuple[Pair, Pair]] = []
    for name in sorted(people):
        same += _sample(list(combinations(people[name], 2)), most_of_one, rng)
    same = _sample(same, most, rng)
    listed = [*same, *_different_people_pairs(people, len(same), rng)]
    return tuple(VerificationPair(0, "val", first, second) for first, second in listed)


def _sample(
    pairs: Sequence[tuple[Pair, Pair]], most: int, rng: np.random.Generator
) -> list[tuple[Pair, Pair]]:
    """So many of them, in their order."""
    if len(pairs) <= most:
        return list(pairs)
    return [pairs[k] for k in np.sort(rng.choice(len(pairs), most, replace=False))]


def _different_people_pairs(
    people: dict[str, list[Pair]], count: int, rng: np.random.Generator
) -> list[tuple[Pair, Pair]]:
    """Different pairs of two people. People are drawn, then an image of each: nobody with many images rules."""
    names = sorted(people)
    sizes = [len(people[name]) for name in names]
    possible = (sum(sizes) ** 2 - sum(size**2 for size in sizes)) // 2
    if possible <= 4 * count:
        every = [
            (first, second)
            for one, two in combinations(names, 2)
            for first in people[one]
            for second in people[two]
        ]
        return _sample(every, count, rng)
    drawn_pairs: dict[tuple[str, str], tuple[Pair, Pair]] = {}
    while len(drawn_pairs) < count:
        one, two = (people[names[k]] for k in sorted(rng.choice(len(names), 2, replace=False)))
        pair = one[rng.integers(len(one))], two[rng.integers(len(two))]
        drawn_pairs.setdefault((pair[0].case, pair[1].case), pair)
    return list(drawn_pairs.values())
