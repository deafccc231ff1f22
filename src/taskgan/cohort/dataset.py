"""Training samples: the slices of the selected rows, held once in memory, given out step by step."""

import math
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from taskgan.cohort.augment import augment
from taskgan.cohort.conditions import condition_of, numbers_of, plane_code, with_condition_planes
from taskgan.cohort.pairs import Pair, Pairs
from taskgan.cohort.sampling import BalancedSampler, ConditionSchedule
from taskgan.cohort.slices import Acquisition, Case, acquisition, load_case, with_neighbours
from taskgan.cohort.targets import SliceLabels, Targets
from taskgan.core.console import progress
from taskgan.core.errors import UserError
from taskgan.images.statistics import ImageStatistics, image_statistics, photo_statistics
from taskgan.images.volumes import read_shape
from taskgan.recipe import Data, Target
from taskgan.recipe.phases import Phase


class Batch(NamedTuple):
    """One step's samples, network units.

    Attributes:
        inputs: (B, I, H, W), channel 0 is the degraded slice (of photos in colour 0 to 2); the last channels are the
            planes of the condition.
        clean: (B, 1, H, W), of photos in colour (B, 3, H, W); of unpaired steps (B, I, H, W), see
            ``taskgan.cohort.unpaired``.
        label: y: (B,), NaN where a pair has none; (B, L) of several labels; masks (B, H, W); numbers of
            identities (B,) for an embedding.

    Blocks of volumes have an axis D of slices before H and W, in masks too.
    """

    inputs: Tensor
    clean: Tensor
    label: Tensor
    further: tuple[Tensor, ...] = ()

    def by_slice(self) -> "Batch":
        """Blocks as their B · D slices, each with the block's y; slices stay as they are."""
        if self.inputs.ndim == 4:
            return self
        depth = self.inputs.shape[2]
        label, *further = (
            y.flatten(0, 1) if y.ndim == 4 else y.repeat_interleave(depth, dim=0) for y in (self.label, *self.further)
        )
        return Batch(slices_of(self.inputs), slices_of(self.clean), label, tuple(further))

    def labels(self, names: Iterable[str]) -> dict[str, Tensor]:
        """y by the names of ``Recipe.taught_by``: of ``task``, and of the others in their order."""
        further = [name for name in names if name != "task"]
        return {"task": self.label, **dict(zip(further, self.further, strict=False))}


def slices_of(images: Tensor) -> Tensor:
    """(B, C, D, H, W) to (B · D, C, H, W); slices (B, C, H, W) stay as they are."""
    return images if images.ndim == 4 else images.movedim(2, 1).flatten(0, 1)


class TrainingSlices:
    """Every slice of some pairs, in one block of memory that loader processes share.

    Volumes of different in-plane size are padded with zeros, on all sides, to the largest. Inputs that several
    rows name (one acquisition, several contrasts) are held once.

    Attributes:
        shape: In-plane size (H, W) of all slices.
        sample_shape: Size of a sample: that of a slice, or (D, H, W) of a block.
        scales: Factor that the intensity transform found for each pair, in the images' units.
        voxel_sizes: (pairs, 3), mm.
        statistics: Of the degraded image of each pair.
        conditions: Of each pair; empty names where there are none.

    Args:
        pairs: Rows to hold (they have passed ``check_cohort``).
        data: Input columns, neighbours, intensity, ``min_signal``.
        targets: Where y comes from; None takes the column ``label``.
        labels: Whether y is wanted; without, masks are not read and labels that are no numbers are NaN.

    Raises:
        UserError: If an image cannot be read, or no slice has enough signal.
    """

    def __init__(
        self,
        pairs: Pairs,
        data: Data,
        *,
        threads: int = 4,
        targets: Targets | None = None,
        labels: bool = True,
        further: Sequence[Targets] = (),
    ) -> None:
        self._rows = tuple(pairs)
        targets = targets or Targets.for_table(Target(), pairs)
        self._by_class = targets.kind.by_class
        self._neighbours, self._context, self._colours = data.neighbours, len(data.context), data.colours
        sizes = [read_shape(p.degraded, data.axes, series=p.series("degraded"))[0][:3] for p in self._rows]
        self.shape = (max(s[0] for s in sizes), max(s[1] for s in sizes))
        self.sample_shape: tuple[int, ...] = self.shape
        if data.patch is not None:
            rows, columns, slices = data.patch
            thinnest = min(size[2] for size in sizes)
            self.sample_shape = (min(slices, thinnest), min(rows, self.shape[0]), min(columns, self.shape[1]))
        self.scales = np.ones(len(sizes))
        self.voxel_sizes = np.ones((len(sizes), 3))
        self.statistics: list[ImageStatistics | None] = [None] * len(sizes)
        self.planes = tuple((s[0], s[1]) for s in sizes)
        self._starts = np.concatenate([[0], np.cumsum([s[2] * data.colours for s in sizes])])
        total = int(self._starts[-1])
        self._known = data.conditions
        self.conditions = tuple(condition_of(pair, data) for pair in self._rows)
        self._condition_codes = [
            plane_code(condition, numbers_of(pair, data), data)
            for condition, pair in zip(self.conditions, self._rows, strict=True)
        ]
        shared = _rows_by_inputs(self._rows, data)
        self._input_starts, held = _places(shared, [int(s[2]) * data.colours for s in sizes])
        self._inputs = torch.zeros(held, len(data.inputs) + self._context, *self.shape)
        self._clean = torch.zeros(total, *self.shape)
        self._properties = [
            SliceLabels(one, self._rows, (total, *self.shape), wanted=labels or k > 0)
            for k, one in enumerate((targets, *further))
        ]
        self._labels = self._properties[0].labels
        self._usable = np.zeros(total, dtype=bool)

        def load(rows: Sequence[int]) -> int:
            """Read rows that share an input, one after the other; gives how many."""
            case = None
            for number in rows:
                case = load_case(self._rows[number], data, known=case)
                keep(number, case, first=number == rows[0])
            return len(rows)

        def keep(number: int, case: Case, *, first: bool) -> None:
            """Put a case in its place: its inputs where it is the first that has them, its clean image always."""
            if case.clean is None:
                raise AssertionError("load_case was asked for the clean image")
            self.scales[number], self.voxel_sizes[number] = case.intensity.scale, case.source.voxel_size
            self.statistics[number] = (photo_statistics if case.source.is_photo else image_statistics)(case.source.data)
            x, y = ((whole - own) // 2 for whole, own in zip(self.shape, case.clean.shape[1:], strict=True))
            at = slice(self._starts[number], self._starts[number + 1])
            inside = np.s_[..., x : x + case.clean.shape[1], y : y + case.clean.shape[2]]
            if first:
                start = self._input_starts[number]
                self._inputs.numpy()[start : start + len(case.inputs)][inside] = case.inputs
            self._clean.numpy()[at][inside] = case.clean
            for one in self._properties:
                if one.masks is not None:
                    one.masks.numpy()[at][inside] = one.targets.mask(case.pair, case.source)
            # Magnitudes, because images with a sign (complex MR) may have a mean of nothing.
            by_slice = np.abs(case.clean).reshape(-1, data.colours, *case.clean.shape[1:])
            signal = by_slice.mean(axis=(1, 2, 3))  # three colours are drawn as one slice, by the first
            self._usable[at.start : at.stop : data.colours] = signal >= data.min_signal * signal.mean()

        with progress("load", len(self._rows), "pairs") as bar, ThreadPoolExecutor(threads) as pool:
            for loaded in pool.map(load, shared):
                bar.advance(loaded)
        if not self._usable.any():
            raise UserError(f"{pairs.source}: no training slice passes data.min_signal = {data.min_signal:g}")

    def __len__(self) -> int:
        """All slices, those with little signal too."""
        return len(self._clean)

    def share(self) -> None:
        """Move the images into memory that other processes can map instead of copying.

        Where shared memory has no room for them (containers often have 64 MB) they stay where they are: forked
        workers then see the same pages, which nobody writes to.
        """
        place = Path("/dev/shm")
        masks = [one.masks for one in self._properties if one.masks is not None]
        blocks = [self._inputs, self._clean, *masks]
        needed = sum(images.nbytes for images in blocks)
        if place.is_dir() and shutil.disk_usage(place).free < 2 * needed:
            return
        for images in blocks:
            images.share_memory_()  # type: ignore[no-untyped-call]

    def slices_per_condition(self) -> dict[str, int]:
        """Usable slices of every condition, in the order of the conditions."""
        counts = dict.fromkeys(self._known, 0)
        for number, name in enumerate(self.conditions):
            if name:
                counts[name] += int(self._usable[self._starts[number] : self._starts[number + 1]].sum())
        return counts

    def groups(self, *, balanced: bool | str, conditions: Sequence[str] = ()) -> list[list[list[int]]]:
        """What :class:`~taskgan.cohort.sampling.BalancedSampler` draws from: usable slices by class and subject.

        Args:
            balanced: One group per class, if the property has classes, or per value of a column; otherwise all
                slices in one.
            conditions: Only slices of these; empty is all.
        """
        column = balanced if isinstance(balanced, str) else None
        balanced = bool(balanced) and (self._by_class or column is not None)
        slices: dict[float | str | None, dict[str, list[int]]] = {}
        for number, pair in enumerate(self._rows):
            if conditions and self.conditions[number] not in conditions:
                continue
            at = range(int(self._starts[number]), int(self._starts[number + 1]))
            usable = [index for index in at if self._usable[index]]
            if usable:
                group = self._group(number) if column is None else pair.columns.get(column, "")
                slices.setdefault(group, {}).setdefault(pair.subject, []).extend(usable)
        if not balanced:
            return [[[index for of in slices.values() for one in of.values() for index in one]]]
        labels = sorted(slices, key=lambda y: (0.0, y) if isinstance(y, str) else (-1.0 if y is None else y, ""))
        return [list(slices[label].values()) for label in labels]

    def _group(self, number: int) -> float | None:
        """The class of a pair; None where there are no classes, or its is unknown."""
        label = self._labels[number]
        return None if not self._by_class or math.isnan(float(label)) else float(label)

    def sample(self, index: int) -> tuple[np.ndarray, ...]:
        """Inputs (I, H, W), clean slice (1, H, W) or colours (3, H, W), y: (), (L,) or (1, H, W), and further y."""
        number, place = self._place(index)
        held = self._inputs_of(number)
        held = held.reshape(-1, held.shape[1] * self._colours, *self.shape)
        inputs = with_neighbours(held, place // self._colours, self._neighbours, self._context)
        at = slice(index, index + 1)
        clean = self._clean.numpy()[index : index + self._colours]
        return inputs, clean, *(one.y(number, at) for one in self._properties)

    def slab(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """A block's slices, whole, some of them a given one: inputs (I, D, H, W), clean (1, D, H, W), y or (D, H, W).
        ``rng``: where among the block's slices it is; all places that the volume has room for are as likely.
        """
        number, place = self._place(index)
        start, stop = int(self._starts[number]), int(self._starts[number + 1])
        depth = self.sample_shape[0]
        first = int(rng.integers(max(0, place - depth + 1), min(place, stop - start - depth) + 1))
        inputs = self._inputs_of(number)[first : first + depth].swapaxes(0, 1)
        at = slice(start + first, start + first + depth)
        return inputs, self._clean.numpy()[None, at], *(one.y(number, at) for one in self._properties)

    def subject(self, index: int) -> str:
        """Whose slice it is."""
        return self._rows[self._place(index)[0]].subject

    def condition_code(self, index: int) -> np.ndarray:
        """What the constant planes of a slice hold, (K + N,): condition and numbers; (0,) where there are none."""
        return self._condition_codes[self._place(index)[0]]

    def clean_inputs(self, index: int) -> np.ndarray:
        """Input channels (I, H, W) as if the clean volume were the degraded one; channel 0 is the clean slice."""
        number, place = self._place(index)
        start, stop = int(self._starts[number]), int(self._starts[number + 1])
        inputs = with_neighbours(self._inputs_of(number), place, self._neighbours).copy()
        clean = with_neighbours(self._clean.numpy()[start:stop, None], place, self._neighbours)
        inputs[:: self._inputs.shape[1]] = clean  # the first column's place among the channels of every slice
        return inputs

    def _place(self, index: int) -> tuple[int, int]:
        """A slice's pair, and its place in the pair's volume."""
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        return number, index - int(self._starts[number])

    def _inputs_of(self, number: int) -> np.ndarray:
        """The inputs of a pair, (S, I, H, W)."""
        start = self._input_starts[number]
        length = int(self._starts[number + 1] - self._starts[number])
        return self._inputs.numpy()[start : start + length]


class Steps(Dataset[Batch]):
    """``steps[s]`` is the batch of step s: a pure function of the seed and s.

    Args:
        seed: Of order and augmentation.
        rank: Which device asks; it gets its own block of the batch.
        phases: Of the run, which say what conditions a step draws from.

    Raises:
        UserError: If the batch cannot be shared evenly between the devices.
    """

    def __init__(
        self,
        slices: TrainingSlices,
        data: Data,
        *,
        batch_size: int,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        phases: Sequence[Phase] = (),
    ) -> None:
        if batch_size % ranks:
            raise UserError(f"optimiser.batch_size = {batch_size} cannot be shared evenly between {ranks} devices")
        self._slices, self._augment, self._seed = slices, data.augment, seed
        self._blocks = data.patch is not None
        self._course = ConditionSchedule(phases, slices.slices_per_condition(), batch_size)
        self._groups = {key: slices.groups(balanced=data.balanced, conditions=key) for key in self._course.keys}
        self._orders = {
            key: BalancedSampler(groups, batch_size=batch_size, seed=seed) for key, groups in self._groups.items()
        }
        # A block rather than every n-th position: labels alternate, so that a stripe would hold one label.
        self._own = slice(rank * batch_size // ranks, (rank + 1) * batch_size // ranks)

    def indices(self, step: int) -> list[int]:
        """Slices of a step on all devices, in order."""
        key, turn = self._course.condition_at(step)
        return self._orders[key].indices(turn)

    def __getitem__(self, step: int) -> Batch:
        samples = list(enumerate(self.indices(step)))[self._own]
        parts = zip(*(self._one(step, place, index) for place, index in samples), strict=True)
        inputs, clean, label, *further = (torch.from_numpy(np.stack(part)) for part in parts)
        return Batch(inputs, clean, label, tuple(further))

    def _one(self, step: int, place: int, index: int) -> tuple[np.ndarray, ...]:
        rng = np.random.default_rng([self._seed, 0, step, place])
        if self._blocks:
            return self._one_block(index, rng)
        (inputs, clean), labels = self._augmented(self._slices.sample(index), rng)
        inputs = with_condition_planes(inputs, self._slices.condition_code(index))
        return inputs, clean, *(y[0] if y.ndim == 3 else y for y in labels)

    def _augmented(
        self, sample: Sequence[np.ndarray], rng: np.random.Generator
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Inputs and clean slices (·, H, W), and y: those that are masks are moved as the images are."""
        images, labels = list(sample[:2]), list(sample[2:])
        moved = augment(images, self._augment, rng, masks=[y for y in labels if y.ndim == 3])
        masks = iter(moved[2:])
        return moved[:2], [next(masks) if y.ndim == 3 else y for y in labels]

    def _one_block(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """A block around a slice, cut out of whole slices after these were augmented alike."""
        inputs, clean, *labels = self._slices.slab(index, rng)
        _, *size = self._slices.sample_shape
        corner = [int(rng.integers(whole - edge + 1)) for whole, edge in zip(self._slices.shape, size, strict=True)]
        window = np.s_[..., corner[0] : corner[0] + size[0], corner[1] : corner[1] + size[1]]
        flat = [volume.reshape(-1, *self._slices.shape) for volume in (inputs, clean)]
        (flat_inputs, flat_clean), labels = self._augmented([*flat, *labels], rng)
        channels = flat_inputs.reshape(inputs.shape)[window]
        return (
            with_condition_planes(channels, self._slices.condition_code(index)),
            flat_clean.reshape(clean.shape)[window],
            *(y[window] if y.ndim == 3 else y for y in labels),
        )


def _rows_by_inputs(rows: Sequence[Pair], data: Data) -> list[list[int]]:
    """Numbers of the rows that name the same input files, in the order of the rows."""
    numbers: dict[Acquisition, list[int]] = {}
    for number, pair in enumerate(rows):
        numbers.setdefault(acquisition(pair, data), []).append(number)
    return list(numbers.values())


def _places(shared: Sequence[Sequence[int]], lengths: Sequence[int]) -> tuple[list[int], int]:
    """Where the inputs of each row start among those of all, and how many slices there are together."""
    starts, end = [0] * len(lengths), 0
    for rows in shared:
        for number in rows:
            starts[number] = end
        end += lengths[rows[0]]
    return starts, end


def load_batches(steps: Steps, step_numbers: Sequence[int], *, workers: int, pin: bool = False) -> Iterator[Batch]:
    """The batches of some steps, in order, made by ``workers`` processes (0: in this one)."""
    loader: DataLoader[Batch] = DataLoader(
        steps,
        batch_size=None,
        sampler=step_numbers,
        num_workers=workers,
        pin_memory=pin,
        generator=torch.Generator(),  # the loader must not draw from torch's global state
    )
    return iter(loader)
