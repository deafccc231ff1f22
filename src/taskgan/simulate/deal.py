"""Subjects and anatomies dealt to train, val and test, so that none is in two."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from taskgan.cohort.pairs import SPLITS
from taskgan.core.errors import UserError

Shares = tuple[float, float, float]


def split_sizes(count: int, shares: Shares) -> list[int]:
    """Whole numbers near the shares, at least one each: largest remainder, ties to the test split."""
    exact = [share * count for share in shares]
    counts = [max(1, int(w)) for w in exact]
    while sum(counts) < count:
        counts[max(range(3), key=lambda i: (exact[i] - counts[i], i))] += 1
    while sum(counts) > count:
        counts[max((i for i in range(3) if counts[i] > 1), key=lambda i: counts[i] - exact[i])] -= 1
    return counts


def interleaved_splits(count: int, shares: Shares, rng: np.random.Generator) -> list[str]:
    """Splits in an order that spreads each of them evenly, so that whoever is at the front is spread too."""
    keys = [
        ((k + rng.uniform(0.05, 0.95)) / size, name)
        for name, size in zip(SPLITS, split_sizes(count, shares), strict=True)
        for k in range(size)
    ]
    return [name for _, name in sorted(keys)]


def anatomies_by_split(count: int | None, shares: Shares, rng: np.random.Generator) -> dict[str, list[int]]:
    """Which anatomies the subjects of a split are made from.

    Args:
        count: How many heads; None is the one template whose deformed subjects are the anatomies.
        shares: Of train, val and test.
        rng: Of the plan.

    Raises:
        UserError: If there are fewer heads than splits.
    """
    if count is None:
        return {name: [0] for name in SPLITS}
    if count < len(SPLITS):
        raise UserError(
            f"{count} BrainWeb {'anatomy was' if count == 1 else 'anatomies were'} found, expected at least 3: "
            "an anatomy is in one split only"
        )
    order = [int(i) for i in rng.permutation(count)]
    parts = split_sizes(count, shares)
    ends = np.cumsum(parts)
    return {name: order[end - size : end] for name, size, end in zip(SPLITS, parts, ends, strict=True)}


def in_turn(splits: Sequence[str], owners: Mapping[str, Sequence[int]]) -> list[int]:
    """The anatomy of every subject, in the order of their splits: those of a split one after another, over again."""
    turn = {name: itertools.cycle(anatomies) for name, anatomies in owners.items()}
    return [next(turn[name]) for name in splits]


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A subject before it is simulated.

    Attributes:
        number: From 1.
        split: train, val or test.
        anatomy: Index into the cohort's anatomies.
    """

    number: int
    split: str
    anatomy: int

    @property
    def name(self) -> str:
        """BIDS participant, e.g. ``sub-001``."""
        return f"sub-{self.number:03d}"
