"""The intensity transform: what a network sees of an image in SUV or Bq/ml.

Its parameters come from the degraded volume alone, because at restore time there is no clean one. They are
applied to both images of a pair, travel with the sample and are inverted on the output, so that units in are
units out and ``restore(3·x) = 3·restore(x)``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from taskgan.core.errors import UserError
from taskgan.recipe import IntensityTransform


@dataclass(frozen=True)
class Intensity:
    """A fitted transform: network value = image value / ``scale``."""

    scale: float

    def apply(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """From the image's units to the network's."""
        return np.asarray(image / np.float32(self.scale), dtype=np.float32)

    def invert(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """From the network's units back to the image's."""
        return np.asarray(image * np.float32(self.scale), dtype=np.float32)


def fit_intensity(settings: IntensityTransform, degraded: NDArray[np.float32], name: str = "the image") -> Intensity:
    """Find the scale of one degraded volume, of any shape, in its own units.

    Raises:
        UserError: If the volume has no value above zero to scale by.
    """
    if settings.kind == "none":
        return Intensity(1.0)
    if settings.kind == "percentile":
        scale = float(np.percentile(degraded, settings.percentile))
    else:
        floor = 0.0 if settings.kind == "mean_nonzero" else 0.1 * float(np.percentile(degraded, 99))
        inside = degraded[degraded > floor]
        scale = float(inside.mean(dtype=np.float64)) if inside.size else 0.0
    if not np.isfinite(scale) or scale <= 0:
        raise UserError(f"{name} has no positive values to scale by ({settings.kind} gives {scale:g})")
    return Intensity(scale)


def fit_further(
    settings: IntensityTransform, degraded: Intensity, image: NDArray[np.float32], name: str = "the image"
) -> Intensity:
    """The transform of a further input, of any shape: that of the degraded image of the same case, or one of its own.

    Raises:
        UserError: If it needs a scale of its own and has no value above zero.
    """
    return degraded if settings.shared else fit_intensity(settings, image, name)
