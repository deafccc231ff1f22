"""Which slices a step sees: a pure function of the seed and the step.

So an interrupted run needs nothing but its step to go on, loader processes need not talk to each other, and
every objective of an experiment sees the same degraded slices in the same order.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


class BalancedSampler:
    """Draws without replacement, round after round.

    A *group* is drawn from as often as every other; within a group, every subject is drawn once a round; a
    subject's slices are all drawn once before one comes again. With one group per label this is balanced
    sampling; with a single group of a single "subject" that holds all slices it is the usual epoch.

    Args:
        groups: For each group, for each subject, the numbers of its slices. None may be empty.
        batch_size: Slices a step.
        seed: Of the order.

    Raises:
        ValueError: If a group or subject is empty.
    """

    def __init__(self, groups: Sequence[Sequence[Sequence[int]]], *, batch_size: int, seed: int) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if not groups or not all(group and all(len(subject) for subject in group) for group in groups):
            raise ValueError("every group needs a subject and every subject a slice")
        self._groups = [[np.asarray(subject, dtype=np.int64) for subject in group] for group in groups]
        self._batch_size = batch_size
        self._seed = seed

    def indices(self, step: int) -> list[int]:
        """The slices of one step, ``batch_size`` of them, groups in turn."""
        first = step * self._batch_size
        return [self.slice_at(number) for number in range(first, first + self._batch_size)]

    def slice_at(self, number: int) -> int:
        """The slice of the run's ``number``-th draw, from 0."""
        turn, which = divmod(number, len(self._groups))
        group = self._groups[which]
        cycle, place = divmod(turn, len(group))
        subject = int(_shuffled(len(group), self._seed, which, cycle)[place])
        slices = group[subject]
        epoch, visit = divmod(cycle, len(slices))
        return int(slices[_shuffled(len(slices), self._seed, which, subject, epoch)[visit]])


@lru_cache(maxsize=512)
def _shuffled(count: int, seed: int, *path: int) -> NDArray[np.int64]:
    # The length of the path is part of the seed, so that (1, 2) and (1, 2, 0) are unrelated.
    return np.random.default_rng([seed, len(path), *path]).permutation(count)
