"""Balanced batches of clean slices, drawn and changed at random by one seed."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taskgan import recipe
from taskgan.cohort.augment import augment
from taskgan.recogniser.volumes import CleanSlices, CleanVolume

Array = NDArray[np.float32]


class Batches:
    """Batches for ever: as many of each label, every subject of a label equally often, every slice of a subject.

    Args:
        volumes: What to draw from. Smaller slices are padded with zeros to the largest.
        settings: ``batch_size``, ``augment`` and ``seed``.
    """

    def __init__(self, volumes: CleanSlices, settings: recipe.Recogniser) -> None:
        self._size = settings.batch_size
        self._augment = settings.augment
        self._rng = np.random.default_rng([settings.seed, 1])
        self._height = max(v.slices.shape[1] for v in volumes)
        self._width = max(v.slices.shape[2] for v in volumes)
        subjects: dict[float, dict[str, list[CleanVolume]]] = {}
        for volume in volumes:
            subjects.setdefault(volume.label, {}).setdefault(volume.subject, []).append(volume)
        self._labels = sorted(subjects)
        self._subjects = {label: list(found.values()) for label, found in subjects.items()}

    def draw(self) -> tuple[Tensor, Tensor]:
        """The next batch: images (B, 1, H, W) and labels (B,), float32."""
        # An odd place goes to either label.
        offset = int(self._rng.integers(len(self._labels)))
        labels = [self._labels[(k + offset) % len(self._labels)] for k in range(self._size)]
        images = np.stack([self._slice(label) for label in labels])
        return torch.from_numpy(images), torch.tensor(labels, dtype=torch.float32)

    def _slice(self, label: float) -> Array:
        subjects = self._subjects[label]
        volumes = subjects[self._rng.integers(len(subjects))]
        slices = volumes[self._rng.integers(len(volumes))].slices
        image = _padded(slices[self._rng.integers(len(slices))][None], self._height, self._width)
        return augment([image], self._augment, self._rng)[0]


def _padded(image: Array, height: int, width: int) -> Array:
    tall, wide = height - image.shape[1], width - image.shape[2]
    if not tall and not wide:
        return image
    return np.pad(image, ((0, 0), (tall // 2, tall - tall // 2), (wide // 2, wide - wide // 2)))
