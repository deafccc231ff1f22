"""The steps of a degradation: what noise and compression do, and how steps are written on a command line."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from taskgan.core.errors import UserError
from taskgan.core.settings import Settings, validated
from taskgan.recipe.generator import Blur, Down, Jpeg, Noise, Poisson, Step

Image = NDArray[np.float64]

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
    steps = []
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
        steps.append(validated(model, values, f"--degrade {text} has a bad step {part.strip()}"))
    return tuple(steps)


def steps_from_values(values: Sequence[Any]) -> tuple[Any, ...]:
    """Steps as ``cohort.yaml`` has them."""
    steps: tuple[Any, ...] = _ADAPTER.validate_python(list(values))
    return steps


def apply_noise(step: Noise | Poisson | Jpeg, image: Image, rng: np.random.Generator) -> Image:
    """Do what a step does that is not linear.

    Args:
        step: Poisson counts values below zero as zero; JPEG takes images of 1 or 3 channels and draws nothing.
        image: (X, Y) or (X, Y, C), white is 1.
        rng: Of what is drawn.
    """
    if isinstance(step, Noise):
        return np.asarray(image + rng.normal(0.0, step.sd, image.shape))
    if isinstance(step, Poisson):
        return np.asarray(rng.poisson(np.clip(image, 0.0, None) * step.peak) / step.peak)
    from PIL import Image as Pillow

    flat = image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image
    turned = np.ascontiguousarray(np.swapaxes(flat, 0, 1))
    packed = io.BytesIO()
    Pillow.fromarray(np.rint(np.clip(turned, 0, 1) * 255).astype(np.uint8)).save(packed, "JPEG", quality=step.quality)
    with Pillow.open(packed) as opened:
        restored = np.asarray(opened, dtype=np.float64) / 255
    return np.ascontiguousarray(np.swapaxes(restored, 0, 1)).reshape(image.shape)
