"""Soft, uneven ellipsoids in the head: the shapes of lesions, known everywhere and not only on a grid."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from taskgan.simulate.deform import Grid

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Blob:
    """One ellipsoid.

    Attributes:
        centre: (3,) mm, in the head's coordinates (those of the scanner before the head moved).
        axes: Half axes (3,) mm.
        turn: Directions of the axes in its columns (3, 3).
        edge_mm: Width of the edge: the share falls from 73 to 27 % over twice this.
        waves: Phases (3,) of the bumps on its surface.
        uneven: Their height relative to the radius.
        strength: Share of tissue that is replaced in the middle.
    """

    centre: NDArray[np.float64]
    axes: NDArray[np.float64]
    turn: NDArray[np.float64]
    edge_mm: float
    waves: NDArray[np.float64]
    uneven: float = 0.12
    strength: float = 1.0

    @property
    def reach_mm(self) -> float:
        """Beyond this distance from the centre there is nothing of it."""
        return float(self.axes.max()) * (1.0 + self.uneven) + 6.0 * self.edge_mm

    def share(self, points: NDArray[np.float64]) -> Array:
        """Share of the tissue that it replaces at points (3, ...) in mm: (...) in 0..1."""
        local = np.tensordot(self.turn.T, points - self.centre.reshape(3, *([1] * (points.ndim - 1))), axes=1)
        radius = np.sqrt(((local / self.axes.reshape(3, *([1] * (points.ndim - 1)))) ** 2).sum(axis=0)).clip(
            1e-6
        )
        direction = local / np.sqrt((local**2).sum(axis=0)).clip(1e-6)
        bumps = sum(np.sin(5.0 * direction[k] + self.waves[k]) for k in range(3)) / 3.0
        depth = (1.0 + self.uneven * bumps - radius) * float(self.axes.mean())
        return np.asarray(self.strength * special.expit(depth / self.edge_mm), dtype=np.float32)


def replaced_fractions(
    blobs: Sequence[Blob],
    grid: Grid,
    profile: Sequence[tuple[float, float]],
    rotation: NDArray[np.float64],
    shift: NDArray[np.float64],
) -> Array:
    """What all blobs together replace on a grid, averaged through the slices; where several meet, the largest.

    Args:
        blobs: In the head's coordinates.
        grid: The scanner's voxels.
        profile: Of a slice: heights in slices from its middle, and weights.
        rotation: Of the head that moved: scanner coordinates r are the head's ``rotation @ r + shift``.
        shift: mm.

    Returns:
        (X, Y, Z) in 0..1.
    """
    total = np.zeros(grid.shape, dtype=np.float32)
    edges = np.asarray(grid.voxel_mm)
    middle = 0.5 * (np.asarray(grid.shape) - 1)
    boxes = []
    for blob in blobs:
        at = rotation.T @ (blob.centre - shift) / edges + middle
        reach = blob.reach_mm / edges + 1.0
        low = np.maximum(np.floor(at - reach).astype(int), 0)
        high = np.minimum(np.ceil(at + reach).astype(int) + 1, grid.shape)
        if (low < high).all():
            boxes.append((blob, low, high))
    for height, weight in profile:
        thin = np.zeros_like(total)
        for blob, low, high in boxes:
            axes = [np.arange(a, b) - m for a, b, m in zip(low, high, middle, strict=True)]
            axes[2] = axes[2] + height
            scanner = np.stack(np.meshgrid(*(a * e for a, e in zip(axes, edges, strict=True)), indexing="ij"))
            place = np.tensordot(rotation, scanner, axes=1) + shift.reshape(3, 1, 1, 1)
            box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
            thin[box] = np.maximum(thin[box], blob.share(place))
        total += np.float32(weight) * thin
    return total
