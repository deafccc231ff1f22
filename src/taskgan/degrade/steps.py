"""The steps of a degradation: what each does, what it is set to, and how it is written on a command line."""

import io
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter

from taskgan.errors import UserError
from taskgan.schema import Settings, validated

Image = NDArray[np.float64]


class Blur(Settings):
    """Gaussian blur.

    Attributes:
        sigma: Standard deviation in pixels of the image as it is at this step.
    """

    kind: Literal["blur"] = "blur"
    sigma: float = Field(gt=0, le=100)


class Down(Settings):
    """Fewer pixels.

    Attributes:
        factor: Along each axis; L pixels become L/factor, rounded, at least one.
        by: ``area`` takes the mean over each new pixel, ``decimate`` the value at its middle.
    """

    kind: Literal["down"] = "down"
    factor: float = Field(ge=1, le=64)
    by: Literal["area", "decimate"] = "area"


class Noise(Settings):
    """Gaussian noise, of every pixel and channel its own.

    Attributes:
        sd: Standard deviation; white is 1.
    """

    kind: Literal["noise"] = "noise"
    sd: float = Field(gt=0, le=1)

    def apply(self, image: Image, rng: np.random.Generator) -> Image:
        """Add it; (X, Y) or (X, Y, C)."""
        return np.asarray(image + rng.normal(0.0, self.sd, image.shape))


class Poisson(Settings):
    """Counting noise.

    Attributes:
        peak: Events in a pixel that is white (1); fewer are noisier.
    """

    kind: Literal["poisson"] = "poisson"
    peak: float = Field(gt=0, le=1e6)

    def apply(self, image: Image, rng: np.random.Generator) -> Image:
        """Draw the counts; (X, Y) or (X, Y, C). Values below zero count as zero."""
        return np.asarray(rng.poisson(np.clip(image, 0.0, None) * self.peak) / self.peak)


class Jpeg(Settings):
    """JPEG compression and back; values are clipped to 0 to 1 and rounded to eight bits.

    Attributes:
        quality: 1 to 95, as libjpeg counts it.
    """

    kind: Literal["jpeg"] = "jpeg"
    quality: int = Field(ge=1, le=95)

    def apply(self, image: Image, rng: np.random.Generator) -> Image:
        """Compress; (X, Y) or (X, Y, C) with C of 1 or 3. Nothing is drawn."""
        from PIL import Image as Pillow

        flat = image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image
        turned = np.ascontiguousarray(np.swapaxes(flat, 0, 1))
        packed = io.BytesIO()
        Pillow.fromarray(np.rint(np.clip(turned, 0, 1) * 255).astype(np.uint8)).save(
            packed, "JPEG", quality=self.quality
        )
        with Pillow.open(packed) as opened:
            found = np.asarray(opened, dtype=np.float64) / 255
        return np.ascontiguousarray(np.swapaxes(found, 0, 1)).reshape(image.shape)


NOT_LINEAR = (Noise, Poisson, Jpeg)
"""Steps after which the low-resolution image is no longer a linear operator of the clean one."""
Step = Annotated[Blur | Down | Noise | Poisson | Jpeg, Field(discriminator="kind")]
_KINDS: dict[str, tuple[type[Settings], str]] = {
    "blur": (Blur, "sigma"),
    "down": (Down, "factor"),
    "decimate": (Down, "factor"),
    "noise": (Noise, "sd"),
    "poisson": (Poisson, "peak"),
    "jpeg": (Jpeg, "quality"),
}
_ADAPTER: TypeAdapter[Any] = TypeAdapter(tuple[Step, ...])


def parse_steps(text: str) -> tuple[Any, ...]:
    """``blur:2,down:4,noise:0.05,jpeg:30`` to steps, in that order.

    Raises:
        UserError: If a step is unknown or has no number.
        Problems: If a number is out of range.
    """
    found = []
    for part in text.split(","):
        name, colon, number = part.strip().partition(":")
        if name not in _KINDS or not colon:
            raise UserError(
                f"--degrade {text}: {part.strip() or 'an empty step'} is no step; expected some of blur:SIGMA, "
                "down:FACTOR, decimate:FACTOR, noise:SD, poisson:PEAK, jpeg:QUALITY, separated by commas"
            )
        model, key = _KINDS[name]
        values: dict[str, Any] = {key: number.strip()}
        if name == "decimate":
            values["by"] = "decimate"
        found.append(validated(model, values, f"--degrade {text} has a bad step {part.strip()}"))
    return tuple(found)


def steps_of(values: Sequence[Any]) -> tuple[Any, ...]:
    """Steps as ``cohort.yaml`` has them."""
    steps: tuple[Any, ...] = _ADAPTER.validate_python(list(values))
    return steps
