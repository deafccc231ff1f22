"""Which slices a step sees: a pure function of the seed and the step.

So an interrupted run needs nothing but its step to go on, loader processes need not talk to each other, and
every objective of an experiment sees the same degraded slices in the same order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from taskgan.recipe.phases import Phase


class BalancedSampler:
    """Draws without replacement, round after round.

    A *group* is drawn from as often as every other; within a group, every subject is drawn once a round; a
    subject's slices are all drawn once before one comes again. With one group per label this is balanced
    sampling; with a single group of a single "subject" that holds all slices it is the usual epoch.

    Args:
        groups: For each group, for each subject, the numbers of its slices. None may be empty.
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


Key = tuple[str, ...]
"""Conditions that are drawn from together; empty is all, also where there are none."""


@dataclass(frozen=True)
class _PhaseSpan:
    """A phase in its place.

    Attributes:
        turns: Length of every condition's turn, in order; empty where it has no turns.
        conditions: The conditions that it mixes where it has no turns; empty is all.
        before: Steps that each key was drawn from in earlier phases.
    """

    start: int
    stop: int
    turns: Mapping[str, int]
    conditions: Key
    before: Mapping[Key, int]


class ConditionSchedule:
    """Says of every step which slices it draws from, and how often these were drawn from before.

    Steps that mix all conditions draw what a run without phases draws at the same step. Steps of some conditions
    go on where the last step of the same conditions stopped, so that turns continue one another.

    Args:
        phases: Of the run; none is a single one that mixes everything.
        sizes: Usable slices of every condition, in the order of their turns.
    """

    def __init__(self, phases: Sequence[Phase], sizes: Mapping[str, int], batch_size: int) -> None:
        self._parts: list[_PhaseSpan] = []
        before: dict[Key, int] = {}
        start = 0
        for phase in phases:
            turns: dict[str, int] = {}
            if phase.conditions == "in_turn":
                turns = {name: phase.turn or max(1, -(-size // batch_size)) for name, size in sizes.items()}
            part = _PhaseSpan(start, start + phase.steps, turns, phase.named_conditions, dict(before))
            for key in _keys(part):
                before[key] = before.get(key, 0) + _steps_of(part, key, phase.steps)
            self._parts.append(part)
            start = part.stop

    @property
    def keys(self) -> tuple[Key, ...]:
        """Everything that is drawn from, each once."""
        every_key = [key for part in self._parts for key in _keys(part)] or [()]
        return tuple(dict.fromkeys(every_key))

    def condition_at(self, step: int) -> tuple[Key, int]:
        """What a step draws from, and which of its steps it is, from 0."""
        part = next((part for part in self._parts if step < part.stop), None)
        if part is None or not (part.turns or part.conditions):
            return (), step
        key = _condition_in_turn(part, step - part.start) if part.turns else part.conditions
        return key, part.before.get(key, 0) + _steps_of(part, key, step - part.start)


def _keys(part: _PhaseSpan) -> list[Key]:
    return [(name,) for name in part.turns] if part.turns else [part.conditions]


def _condition_in_turn(part: _PhaseSpan, passed: int) -> Key:
    """Whose turn it is after some steps of the phase."""
    rest = passed % sum(part.turns.values())
    for name, length in part.turns.items():
        if rest < length:
            return (name,)
        rest -= length
    raise AssertionError("turns cover their round")


def _steps_of(part: _PhaseSpan, key: Key, passed: int) -> int:
    """How many of the first ``passed`` steps of the phase drew from a key."""
    if not part.turns:
        return passed
    rounds, rest = divmod(passed, sum(part.turns.values()))
    for name, length in part.turns.items():
        if (name,) == key:
            return rounds * length + min(max(rest, 0), length)
        rest -= length
    raise AssertionError("every key has its turn")
