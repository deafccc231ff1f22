"""Volumes as recognisers see them: clean ones to learn from, with their labels, and which slices decide."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from taskgan.cohort.augment import augment, augment_batch
from taskgan.cohort.pairs import Pair, Pairs
from taskgan.cohort.slices import Case, load_case
from taskgan.cohort.targets import Targets, invalid_labels
from taskgan.core.console import progress
from taskgan.core.errors import Problems, UserError
from taskgan.recipe import Data, RecogniserSettings, Target

Array = NDArray[np.float32]
Number = TypeVar("Number", bound=np.floating)
Slices = TypeVar("Slices", Array, Tensor)
_MANY = 100  # images, from which on reading them takes longer than a glance


@dataclass(frozen=True)
class CleanVolume:
    """One clean image of a subject.

    Attributes:
        label: y, which every slice inherits: a number, (L,) of several labels, or masks (S, H, W) of its slices.
        slices: (S, H, W) float32, network units; (S, C, H, W) of what has several channels.
    """

    subject: str
    label: float | Array = field(repr=False)
    slices: Array = field(repr=False)


@dataclass(frozen=True)
class CleanSlices:
    """The clean volumes of some subjects.

    Attributes:
        volumes: At least one, each with at least one slice; sizes may differ between volumes.
        fingerprint: Name of the rows and files they came from; empty where they came from memory.
    """

    volumes: tuple[CleanVolume, ...]
    fingerprint: str = ""

    def __post_init__(self) -> None:
        if not self.volumes:
            raise ValueError("a recogniser needs at least one clean volume")
        for volume in self.volumes:
            count, *channels = volume.slices.shape[:-2] or (0,)
            if len(channels) > 1 or not count:
                raise ValueError(f"slices of {volume.subject} are {volume.slices.shape}, expected (S, H, W)")
            expected = (count, *volume.slices.shape[-2:])
            if np.ndim(volume.label) == 3 and np.shape(volume.label) != expected:
                raise ValueError(f"masks of {volume.subject} are {np.shape(volume.label)}, expected {expected}")

    def __iter__(self) -> Iterator[CleanVolume]:
        return iter(self.volumes)

    def __len__(self) -> int:
        return len(self.volumes)

    @property
    def channels(self) -> int:
        """Image channels."""
        slices = self.volumes[0].slices
        return slices.shape[1] if slices.ndim == 4 else 1

    @property
    def subjects(self) -> tuple[str, ...]:
        """Whose volumes these are, each once, sorted."""
        return tuple(sorted({volume.subject for volume in self.volumes}))


@dataclass(frozen=True)
class ReaderView:
    """What a recogniser is shown in place of clean images; ``mark`` names it in the digest of what was learnt.

    Of a case with all its inputs, ``slices`` gives (S, H, W) or (S, C, H, W) in network units.
    """

    mark: str
    slices: Callable[[Case], Array]


def distinct_clean(pairs: Pairs) -> Pairs:
    """One row for each clean image, the first in the table: doses of one subject share theirs."""
    rows: dict[Path, Pair] = {}
    for pair in pairs:
        if pair.clean is not None:
            rows.setdefault(pair.clean, pair)
    return Pairs(pairs.source, tuple(rows.values()))


def slice_labels(volume: CleanVolume) -> Tensor:
    """y of every slice of a volume: (S,), (S, L) or (S, H, W), float32."""
    label = torch.as_tensor(volume.label, dtype=torch.float32)
    return label if label.ndim == 3 else label.expand(len(volume.slices), *label.shape)


def _with_progress(pairs: Pairs) -> Iterator[Pair]:
    """The rows, with a line that tells how far one is where they are many."""
    if len(pairs) < _MANY:
        yield from pairs
        return
    with progress("read clean", len(pairs), "images") as bar:
        for pair in pairs:
            yield pair
            bar.advance()


def clean_slices(
    pairs: Pairs, data: Data, fingerprint: str = "", targets: Targets | None = None, view: ReaderView | None = None
) -> CleanSlices:
    """Read the clean image of every row, scaled as training scales it (by its degraded image).

    Slices whose clean mean is under ``data.min_signal`` of the volume's mean are left out, as in training.

    Args:
        pairs: Rows with clean images and labels, each clean image once (:func:`distinct_clean`).
        data: Intensity transform and ``min_signal``.
        fingerprint: Kept with the result.
        targets: Where y comes from; None is a binary property in the column ``label``.
        view: What is shown in place of the clean images, of the same slices.

    Raises:
        Problems: If labels are missing or impossible: all of them at once.
        UserError: If an image or mask cannot be read, or an image is empty.
    """
    targets = targets or Targets.for_table(Target(), pairs)
    bad = invalid_labels(pairs, targets)
    if bad:
        raise Problems(f"{pairs.source} cannot teach a recogniser", [text for _, text in bad])
    only_degraded = data.model_copy(update={"inputs": ("degraded",), "context": (), "colour": "luminance"})
    volumes = []
    case: Case | None = None
    for pair in _with_progress(pairs):
        case = load_case(pair, only_degraded if view is None else data, known=case)
        assert case.clean is not None  # asked for
        means = np.abs(case.clean).mean(axis=(1, 2), dtype=np.float64)
        enough = means >= data.min_signal * means.mean()
        slices = (case.clean if view is None else view.slices(case))[enough]
        if not len(slices) or not case.clean.any():
            raise UserError(f"{pair.clean} is empty, expected a clean image with signal")
        label = targets.mask(pair, case.source)[enough] if targets.kind.dense else targets.value(pair)
        volumes.append(CleanVolume(pair.subject, label if label.ndim else float(label), slices))
    return CleanSlices(tuple(volumes), fingerprint)


class RecogniserBatches:
    """Batches for ever: as many of each class, every subject of a class equally often, every slice of a subject.

    Where the labels are no classes, all subjects are of one. With ``sampling: images`` every volume of a class
    counts as a subject. Smaller slices are padded with zeros to the largest.
    """

    def __init__(self, volumes: CleanSlices, settings: RecogniserSettings, *, by_class: bool = True) -> None:
        self._size, self._augment = settings.batch_size, settings.augment
        self._rng = np.random.default_rng([settings.seed, 1])
        self._height, self._width = (max(v.slices.shape[axis] for v in volumes) for axis in (-2, -1))
        subjects: dict[float, dict[str, list[CleanVolume]]] = {}
        for number, volume in enumerate(volumes):
            group = float(volume.label) if by_class else 0.0
            name = f"{volume.subject}, {number}" if settings.sampling == "images" else volume.subject
            subjects.setdefault(group, {}).setdefault(name, []).append(volume)
        self._groups = sorted(subjects)
        self._subjects = {group: list(by_subject.values()) for group, by_subject in subjects.items()}

    def draw(self) -> tuple[Tensor, Tensor]:
        """The next batch: images (B, C, H, W) and labels (B,), (B, L) or masks (B, H, W), float32."""
        # An odd place goes to any class.
        offset = int(self._rng.integers(len(self._groups)))
        groups = [self._groups[(k + offset) % len(self._groups)] for k in range(self._size)]
        if self._augment.preserve != "value":
            images, labels = zip(*(self._augmented(*self._slice(group)) for group in groups), strict=True)
            return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(labels))
        samples = [self._slice(group) for group in groups]
        together, y = (torch.from_numpy(np.stack(part)) for part in zip(*samples, strict=True))
        together, masks = augment_batch(together, self._augment, self._rng, y[:, None] if y.ndim == 3 else None)
        return together, y if masks is None else masks[:, 0]

    def state(self) -> str:
        """Where the drawing stands, for a checkpoint."""
        return json.dumps(self._rng.bit_generator.state)

    def restore_state(self, state: str) -> None:
        """Take back what :meth:`state` gave."""
        self._rng.bit_generator.state = json.loads(state)

    def _slice(self, group: float) -> tuple[Array, Array]:
        """An image (C, H, W) and its label or mask (H, W), as they are."""
        subjects = self._subjects[group]
        volumes = subjects[self._rng.integers(len(subjects))]
        volume = volumes[self._rng.integers(len(volumes))]
        number = self._rng.integers(len(volume.slices))
        label = np.asarray(volume.label, dtype=np.float32)
        if label.ndim == 3:
            label = _padded(label[number][None], self._height, self._width)[0]
        image = volume.slices[number]
        return _padded(image.reshape(-1, *image.shape[-2:]), self._height, self._width), label

    def _augmented(self, image: Array, label: Array) -> tuple[Array, Array]:
        masks = [label[None]] if label.ndim == 2 else []
        image, *masks = augment([image], self._augment, self._rng, masks=masks)
        return image, masks[0][0] if masks else label


def _padded(image: Array, height: int, width: int) -> Array:
    tall, wide = height - image.shape[1], width - image.shape[2]
    if not tall and not wide:
        return image
    return np.pad(image, ((0, 0), (tall // 2, tall - tall // 2), (wide // 2, wide - wide // 2)))


def middle_slices(slices: Slices, middle: int = 40) -> Slices:
    """The middle ``middle`` entries along the first axis (slices or their probabilities), or all if fewer."""
    start = max(0, (len(slices) - middle) // 2)
    return slices[start : start + middle]


BATCH = 64
"""Photos, or slices of a volume, that are read together."""


def slice_features(network: nn.Module, slices: NDArray[np.float32]) -> NDArray[np.float64]:
    """Features of the last stage, averaged over each slice.

    An image is where the mean of its slices is: not their concatenation, because heads differ in height and in where
    the middle slice falls: by position, half a slice of shift would count as a difference between subjects.

    Args:
        network: ``forward(x (B, 1, H, W)) -> (output, features)``, features finest first.
        slices: (S, H, W), network units.

    Returns:
        (S, F), as many as the last stage has channels. Deterministic; the network's mode is put back.

    Raises:
        ValueError: If the slices have another number of axes or there are none.
    """
    if slices.ndim != 3 or not len(slices):
        raise ValueError(f"expected slices (S, H, W) with at least one, got {slices.shape}")
    return np.asarray(
        read_batches(network, slices[:, None], lambda read: read[1][-1].double().mean(dim=(2, 3))).numpy()
    )


def read_batches(network: nn.Module, images: Array, part: Callable[[Any], Tensor]) -> Tensor:
    """A part of what a network says of images (N, C, H, W), in evaluation mode without gradients: (N, …) on the CPU.

    The network's mode is put back.
    """
    device = next(chain(network.parameters(), network.buffers())).device
    trained = network.training
    network.eval()
    try:
        with torch.no_grad():
            batches = (images[k : k + BATCH] for k in range(0, len(images), BATCH))
            tensors = (torch.from_numpy(np.ascontiguousarray(batch, dtype=np.float32)) for batch in batches)
            return torch.cat([part(network(batch.to(device))).cpu() for batch in tensors])
    finally:
        network.train(trained)


def read_volumes(
    read: Callable[[NDArray[np.float32]], NDArray[Number]], volumes: Sequence[NDArray[np.float32]]
) -> list[NDArray[Number]]:
    """Read several volumes; photos, volumes of one slice, of one size together: a call costs more than their reading.

    What ``read`` says of each of some slices (S, H, W) by itself, (S, …), for each volume's slices, in order.
    """
    outputs: dict[int, NDArray[Number]] = {}
    for shape in dict.fromkeys(volume.shape for volume in volumes):
        alike = [k for k, volume in enumerate(volumes) if volume.shape == shape]
        together = BATCH if shape[0] == 1 else 1
        for start in range(0, len(alike), together):
            some = alike[start : start + together]
            values = read(np.concatenate([volumes[k] for k in some]))
            outputs |= dict(zip(some, np.split(values, len(some)), strict=True))
    return [outputs[k] for k in range(len(volumes))]
