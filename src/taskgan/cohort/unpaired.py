"""Unpaired samples: with every degraded slice of a step goes a clean one of another subject (CycleGAN)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from taskgan.cohort.augment import augment
from taskgan.cohort.conditions import with_condition_planes
from taskgan.cohort.dataset import Steps, TrainingSlices
from taskgan.cohort.sampling import BalancedSampler
from taskgan.recipe import Data


class UnpairedSampler:
    """Which clean slice goes with each degraded one: a pure function of the seed and the step.

    Clean slices come in an :class:`~taskgan.cohort.sampling.BalancedSampler` of their own, of the same groups under
    another seed: labels and subjects are spread among them as among the degraded ones, so that a generator
    gains nothing by changing how often a label occurs. A draw that falls on the degraded slice's own subject
    is made anew among the others of its group; where its group has no other, among the other groups. A cohort
    of one subject keeps its draw.

    Args:
        groups: As for :class:`~taskgan.cohort.sampling.BalancedSampler`.
        seed: Of the degraded slices' order; that of the clean ones is derived from it.
    """

    def __init__(
        self, groups: Sequence[Sequence[Sequence[int]]], subjects: Sequence[str], *, batch_size: int, seed: int
    ) -> None:
        self._seed = int(np.random.SeedSequence([seed, 1]).generate_state(1, np.uint64)[0])
        self._order = BalancedSampler(groups, batch_size=batch_size, seed=self._seed)
        self._groups = [[np.asarray(part, dtype=np.int64) for part in group] for group in groups]
        self._subjects = np.asarray(subjects)
        self._batch_size = batch_size

    def index(self, step: int, place: int, degraded: int) -> int:
        """The clean slice that goes with a degraded one.

        Args:
            step: From 0.
            place: Which of the step's samples, from 0, over all devices.
            degraded: The degraded slice there.
        """
        number = step * self._batch_size + place
        clean = self._order.slice_at(number)
        own = self._subjects[degraded]
        if self._subjects[clean] != own:
            return clean
        parts = self._without(own, self._groups[number % len(self._groups)])
        parts = parts or self._without(own, [part for group in self._groups for part in group])
        if not parts:
            return clean
        rng = np.random.default_rng([self._seed, 0, step, place])  # 0: Order seeds nothing with this length
        return int(rng.choice(parts[rng.integers(len(parts))]))

    def _without(self, own: str, parts: list[np.ndarray]) -> list[np.ndarray]:
        """What is left of some lists of slices without those of a subject."""
        left = [part[self._subjects[part] != own] for part in parts]
        return [part for part in left if len(part)]


class UnpairedSteps(Steps):
    """Like ``Steps`` with the same degraded slices in the same order, but clean slices of other subjects.

    Of a batch, ``inputs`` and ``label`` are those of ``Steps`` to the bit. ``clean`` is (B, I, H, W), what the
    generator would see if the clean slice were the degraded one: the clean slice first, clean neighbours where
    the inputs have neighbours, and the clean slice's own further inputs (a T1-weighted image, for example).
    Planes of a condition are the clean slice's own.
    Such further inputs are taken to be known in both domains; where they are degraded images themselves, they
    carry something of the pairing that CycleGAN is meant to do without.
    The clean slices of a step are of its conditions.
    """

    def __init__(self, slices: TrainingSlices, data: Data, *, batch_size: int, seed: int, **further: Any) -> None:
        super().__init__(slices, data, batch_size=batch_size, seed=seed, **further)
        subjects = [slices.subject(index) for index in range(len(slices))]
        self._samplers = {
            key: UnpairedSampler(groups, subjects, batch_size=batch_size, seed=seed)
            for key, groups in self._groups.items()
        }

    def _clean_index(self, step: int, place: int, degraded: int) -> int:
        key, turn = self._course.condition_at(step)
        return self._samplers[key].index(turn, place, degraded)

    def _one(self, step: int, place: int, index: int) -> tuple[np.ndarray, ...]:
        inputs, _, *labels = super()._one(step, place, index)
        stranger = self._clean_index(step, place, index)
        rng = np.random.default_rng([self._seed, 1, step, place])  # 0 in this place is the degraded one's
        (clean,) = augment([self._slices.clean_inputs(stranger)], self._augment, rng)
        return inputs, with_condition_planes(clean, self._slices.condition_code(stranger)), *labels
