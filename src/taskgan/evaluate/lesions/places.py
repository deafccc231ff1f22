"""Where lesions are in a subject, and where there are none."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]
LEAST = 3
"""Voxels of a lesion, a true one or a false one: what is smaller is a voxel of noise."""
MARGIN_MM = 4.0
"""Distance from any lesion at which white matter counts as healthy: a lesion's edge is no false lesion."""


@dataclass(frozen=True)
class LesionMap:
    """A subject's white matter.

    Attributes:
        lesions: 1 to ``count`` in the voxels of each lesion, 0 elsewhere (X, Y, Z).
        count: Number of lesions.
        healthy: White matter without and away from lesions (X, Y, Z).
    """

    lesions: NDArray[np.int32]
    count: int
    healthy: Mask


def map_lesions(lesions: Mask, white: Mask, voxel_mm: Sequence[float]) -> LesionMap:
    """Number the lesions of a mask, and find the white matter that has none.

    Args:
        lesions: All lesions (X, Y, Z). Voxels that are connected (by a face) are one lesion; fewer than
            :data:`LEAST` are none.
        white: Pure white matter (X, Y, Z).
        voxel_mm: Edges of a voxel.
    """
    labels, count = ndimage.label(lesions)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    large = [k for k in range(1, count + 1) if sizes[k] >= LEAST]
    renumbered = np.zeros(count + 1, dtype=np.int32)
    renumbered[large] = np.arange(1, len(large) + 1)
    numbered = np.asarray(renumbered[labels], dtype=np.int32)
    healthy = white & ~lesions
    if lesions.any():
        healthy &= ndimage.distance_transform_edt(~lesions, sampling=tuple(voxel_mm)) >= MARGIN_MM
    return LesionMap(numbered, len(large), healthy)
