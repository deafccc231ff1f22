"""Channels of the observer: differences of Gaussians inside the brain, in plane."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
SIGMAS_MM = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Widths of the Gaussians: lesions of about 3 to 30 mm stand out in the differences of neighbours."""
_LEAST = 0.02  # of a Gaussian's weight inside the region, below which its mean is not taken


def dog_channels(image: Array, inside: Mask, voxel_mm: Sequence[float]) -> Array:
    """What every voxel looks like to the observer.

    Sparse difference-of-Gaussians channels (Abbey and Barrett 2001, 10.1364/JOSAA.18.000473), each twice as wide as
    the one before. They are blind to the level of their surroundings. Means are taken inside the region only
    (normalised convolution), so that a ventricle or the skull beside a voxel is not taken for a lesion; slices, which
    are thick, are seen one by one.

    Args:
        image: (X, Y, Z).
        inside: Brain tissue (X, Y, Z).
        voxel_mm: Edges of a voxel.

    Returns:
        (C, X, Y, Z), C = one less than :data:`SIGMAS_MM`; 0 outside the region.
    """
    weight = inside.astype(np.float32)
    held = image * weight
    means = []
    for sigma in SIGMAS_MM:
        pixels = (sigma / voxel_mm[0], sigma / voxel_mm[1], 0.0)
        share = ndimage.gaussian_filter(weight, pixels, mode="constant", truncate=3.0)
        total = ndimage.gaussian_filter(held, pixels, mode="constant", truncate=3.0)
        means.append(np.where(share > _LEAST, total / np.maximum(share, _LEAST), 0.0))
    bands = np.stack([finer - coarser for finer, coarser in pairwise(means)])
    return np.asarray(bands * weight, dtype=np.float32)
