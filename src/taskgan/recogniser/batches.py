"""Balanced batches of clean slices, drawn and changed at random by one seed."""

import json
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taskgan import recipe
from taskgan.cohort.augment import augment, augment_batch
from taskgan.recogniser.volumes import CleanSlices, CleanVolume

Array = NDArray[np.float32]


class RecogniserBatches:
    """Batches for ever: as many of each class, every subject of a class equally often, every slice of a subject.

    Where the property has no classes, all subjects are of one. With ``sampling: images`` every volume of a class
    counts as a subject.

    Args:
        volumes: What to draw from. Smaller slices are padded with zeros to the largest.
        settings: ``batch_size``, ``sampling``, ``augment`` and ``seed``.
        by_class: Whether labels are classes.
    """

    def __init__(
        self, volumes: CleanSlices, settings: recipe.RecogniserSettings, *, by_class: bool = True
    ) -> None:
        self._size = settings.batch_size
        self._augment = settings.augment
        self._rng = np.random.default_rng([settings.seed, 1])
        self._height = max(v.slices.shape[1] for v in volumes)
        self._width = max(v.slices.shape[2] for v in volumes)
        subjects: dict[float, dict[str, list[CleanVolume]]] = {}
        each = settings.sampling == "images"
        for number, volume in enumerate(volumes):
            group = float(volume.label) if by_class else 0.0
            name = f"{volume.subject}, {number}" if each else volume.subject
            subjects.setdefault(group, {}).setdefault(name, []).append(volume)
        self._groups = sorted(subjects)
        self._subjects = {group: list(by_subject.values()) for group, by_subject in subjects.items()}

    def draw(self) -> tuple[Tensor, Tensor]:
        """The next batch: images (B, 1, H, W) and labels (B,), (B, L) or masks (B, H, W), float32."""
        # An odd place goes to any class.
        offset = int(self._rng.integers(len(self._groups)))
        groups = [self._groups[(k + offset) % len(self._groups)] for k in range(self._size)]
        if self._augment.preserve == "value":
            return self._augmented_batch([self._slice(group) for group in groups])
        images, labels = zip(*(self._augmented(*self._slice(group)) for group in groups), strict=True)
        return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(labels))

    def state(self) -> str:
        """Where the drawing stands, for a checkpoint."""
        return json.dumps(self._rng.bit_generator.state)

    def restore_state(self, state: str) -> None:
        """Take back what :meth:`state` gave."""
        self._rng.bit_generator.state = json.loads(state)

    def _slice(self, group: float) -> tuple[Array, Array]:
        """An image (1, H, W) and its label or mask (H, W), as they are."""
        subjects = self._subjects[group]
        volumes = subjects[self._rng.integers(len(subjects))]
        volume = volumes[self._rng.integers(len(volumes))]
        number = self._rng.integers(len(volume.slices))
        label = np.asarray(volume.label, dtype=np.float32)
        if label.ndim == 3:
            label = _padded(label[number][None], self._height, self._width)[0]
        return _padded(volume.slices[number][None], self._height, self._width), label

    def _augmented(self, image: Array, label: Array) -> tuple[Array, Array]:
        masks = [label[None]] if label.ndim == 2 else []
        image, *masks = augment([image], self._augment, self._rng, masks=masks)
        return image, masks[0][0] if masks else label

    def _augmented_batch(self, samples: Sequence[tuple[Array, Array]]) -> tuple[Tensor, Tensor]:
        images, labels = (torch.from_numpy(np.stack(part)) for part in zip(*samples, strict=True))
        masks = labels[:, None] if labels.ndim == 3 else None
        images, masks = augment_batch(images, self._augment, self._rng, masks)
        return images, labels if masks is None else masks[:, 0]


def _padded(image: Array, height: int, width: int) -> Array:
    tall, wide = height - image.shape[1], width - image.shape[2]
    if not tall and not wide:
        return image
    return np.pad(image, ((0, 0), (tall // 2, tall - tall // 2), (wide // 2, wide - wide // 2)))
