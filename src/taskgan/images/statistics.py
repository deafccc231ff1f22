"""What an image is like, in three numbers: by them a model knows an image of another kind."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_GAIN = 6.0  # standard deviation of the filter's answer to white noise of one
_GAUSS = 0.6745  # median absolute deviation of a normal variable
_LEAST = 64  # voxels


@dataclass(frozen=True)
class ImageStatistics:
    """Statistics of one image.

    Attributes:
        positive: Share of values above zero.
        noise: Standard deviation of the finest structure, by the mean of the foreground: noise of a volume, sharpness
            of a photo. A second difference along both axes of a slice takes out what is smooth (Immerkær 1996,
            doi:10.1006/cviu.1996.0060).
        contrast: Standard deviation of all values, by the mean of the foreground.
    """

    positive: float
    noise: float
    contrast: float


def image_statistics(image: NDArray[np.float32]) -> ImageStatistics:
    """Statistics of (X, Y, Z) in any units. The foreground is what lies above a tenth of the 99th percentile."""
    positive = float((image > 0).mean())
    inside = image > max(0.1 * float(np.percentile(image, 99)), 0.0)
    if min(image.shape[:2]) < 3 or inside.sum() < _LEAST:
        return ImageStatistics(positive, 0.0, 0.0)
    mean = float(image[inside].mean(dtype=np.float64))
    fine = np.diff(np.diff(image, 2, axis=0), 2, axis=1)[inside[1:-1, 1:-1]]
    noise = float(np.median(np.abs(fine))) / _GAUSS / _GAIN if fine.size else 0.0
    return ImageStatistics(positive, noise / mean, float(image.std(dtype=np.float64)) / mean)
