"""Random changes of training images, the same for every image and channel of a pair.

Activity is moved, counts are neither made nor lost: flips and shifts are exact, rotation and zoom divide by
the Jacobian of the map. What leaves the frame is lost, as it would be in a scanner.
"""

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from taskgan.recipe import Augment

Image = TypeVar("Image", NDArray[np.float32], Tensor)


def augment(
    images: Sequence[Image],
    settings: Augment,
    rng: np.random.Generator,
    masks: Sequence[Image] = (),
) -> list[Image]:
    """Change all images of a sample in the same random way: flip, then rotate and zoom, then shift.

    Rotation and zoom are one bilinear resampling about the centre. Bilinear weights sum to the Jacobian only
    nearly (to about 1e-3), so the sum over all images is then corrected by one factor that all share: their
    ratio, which is what a restorer learns, stays. It is found before anything is cut off at the frame, so that
    activity that leaves is not made up for. Images with negative values (parts of complex MR) have no
    sum worth keeping and get the Jacobian alone. Pixels are taken to be square.

    Args:
        images: (C, H, W) each, float32, arrays or tensors; C may differ, H and W may not.
        settings: Sizes of the changes.
        rng: The only source of randomness. Every call draws the same number of values, whatever comes out.
        masks: Class numbers of the same frame, which move with the images by their nearest neighbour and keep
            their values; 0 comes in.

    Returns:
        New images, then masks, of the same shapes and type, contiguous; the given ones are untouched.

    Raises:
        ValueError: If the images differ in height or width.
    """
    frames = {image.shape[1:] for image in (*images, *masks)}
    if len(frames) != 1:
        raise ValueError(
            f"images of a sample must have one height and width, got {sorted(map(tuple, frames))}"
        )
    mirrored = settings.flip and bool(rng.random() < 0.5)
    angle = math.radians(rng.uniform(-settings.rotate, settings.rotate)) if settings.rotate else 0.0
    zoom = 1.0 + rng.uniform(-settings.zoom, settings.zoom) if settings.zoom else 1.0
    down, right = rng.integers(-settings.shift, settings.shift + 1, size=2) if settings.shift else (0, 0)

    changed: list[Image] = []
    for group, turn in ((images, _turn), (masks, _turn_mask)):
        if not group:
            continue
        tensors = [torch.as_tensor(image) for image in group]
        stack = torch.cat(tensors)
        if mirrored:
            stack = stack.flip(1)
        height, width = stack.shape[1:]
        if angle or zoom != 1.0:
            stack = turn(stack, angle, zoom)
        stack = _window(stack, int(down), int(right), height, width)
        parts = torch.split(stack, [len(t) for t in tensors])
        changed += [
            part.contiguous() if isinstance(image, Tensor) else np.ascontiguousarray(part.numpy())
            for image, part in zip(group, parts, strict=True)
        ]
    return changed


def _turn(stack: Tensor, angle: float, zoom: float) -> Tensor:
    """Rotate and zoom (C, H, W) about its centre onto a frame that is large enough to hold all of it."""
    turned = _resampled(stack, angle, zoom, "bilinear")
    factor = 1.0 / zoom**2
    total = float(turned.sum(dtype=torch.float64))
    if float(stack.min()) >= 0 and total > 0:
        factor = float(stack.sum(dtype=torch.float64)) / total
    return turned * factor


def _turn_mask(stack: Tensor, angle: float, zoom: float) -> Tensor:
    """The same for class numbers, which are not summed."""
    return _resampled(stack, angle, zoom, "nearest")


def _resampled(stack: Tensor, angle: float, zoom: float, mode: str) -> Tensor:
    height, width = stack.shape[1:]
    cos, sin = math.cos(angle), math.sin(angle)
    tall = _room(height, zoom * (height * abs(cos) + width * abs(sin)))
    wide = _room(width, zoom * (height * abs(sin) + width * abs(cos)))
    # affine_grid counts in half frames, x before y, and maps where a value goes to where it comes from.
    inverse = torch.tensor(
        [
            [cos * wide / width, -sin * tall / width, 0.0],
            [sin * wide / height, cos * tall / height, 0.0],
        ],
        dtype=stack.dtype,
    )
    inverse = inverse / zoom
    grid = F.affine_grid(inverse[None], [1, len(stack), tall, wide], align_corners=False)
    return F.grid_sample(stack[None], grid, mode=mode, padding_mode="zeros", align_corners=False)[0]


def _room(size: int, needed: float) -> int:
    """At least ``size`` and ``needed`` plus a border, and even or odd like ``size``, so that centres agree."""
    border = max(0, math.ceil((needed - size) / 2) + 1)
    return size + 2 * border


def _window(stack: Tensor, down: int, right: int, height: int, width: int) -> Tensor:
    """Cut (C, height, width) out of the middle of a stack, moved by whole pixels; zeros come in."""
    top = (stack.shape[1] - height) // 2 - down
    left = (stack.shape[2] - width) // 2 - right
    # Negative padding crops.
    return F.pad(stack, (-left, left + width - stack.shape[2], -top, top + height - stack.shape[1]))
