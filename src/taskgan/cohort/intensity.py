"""The intensity transform: what a network sees of an image in SUV or Bq/ml.

Its parameters come from the degraded volume alone, because at restore time there is no clean one. They are
applied to both images of a pair, travel with the sample and are inverted on the output, so that units in are
units out and ``restore(3·x) = 3·restore(x)``.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from taskgan.errors import UserError

Kind = Literal["mean_nonzero", "mean_foreground", "percentile", "none"]


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


class IntensityTransform(BaseModel):
    """How the scale is found.

    Attributes:
        kind: ``mean_nonzero``: mean of the voxels above zero (the paper's sister work). ``mean_foreground``:
            mean of the voxels above a tenth of the 99th percentile, for images whose background is noise
            rather than zero. ``percentile``: the given percentile. ``none``: 1.
        percentile: For ``percentile``.
        shared: Further inputs of a case are divided by the scale of its degraded image too. Real and imaginary
            parts of one acquisition, or its echoes, mean something only beside each other; without it each
            further input has a scale of its own, which is right for another modality.
        output: What values an image can have, which decides the generator's last activation:
            ``nonnegative`` (PET), ``real`` (complex MR parts), ``unit`` (0 to 1).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind = "mean_nonzero"
    percentile: float = Field(default=99.5, gt=0, le=100)
    shared: bool = False
    output: Literal["nonnegative", "real", "unit"] = "nonnegative"

    def fit(self, degraded: NDArray[np.float32], name: str = "the image") -> Intensity:
        """Find the scale of one volume.

        Args:
            degraded: The degraded volume, any shape, in its own units.
            name: What to call it in a message.

        Raises:
            UserError: If the volume has no value above zero to scale by.
        """
        if self.kind == "none":
            return Intensity(1.0)
        if self.kind == "percentile":
            scale = float(np.percentile(degraded, self.percentile))
        else:
            floor = 0.0 if self.kind == "mean_nonzero" else 0.1 * float(np.percentile(degraded, 99))
            inside = degraded[degraded > floor]
            scale = float(inside.mean(dtype=np.float64)) if inside.size else 0.0
        if not np.isfinite(scale) or scale <= 0:
            raise UserError(f"{name} has no positive values to scale by ({self.kind} gives {scale:g})")
        return Intensity(scale)

    def fit_further(
        self, degraded: Intensity, image: NDArray[np.float32], name: str = "the image"
    ) -> Intensity:
        """The transform of a further input.

        Args:
            degraded: That of the degraded image of the same case.
            image: The further input, any shape, in its own units.
            name: What to call it in a message.

        Raises:
            UserError: If it needs a scale of its own and has no value above zero.
        """
        return degraded if self.shared else self.fit(image, name)
