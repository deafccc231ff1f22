"""Random changes of training images, the same for every image and channel of a pair.

Where the sum counts (PET), activity is moved, counts are neither made nor lost: flips and shifts are exact, rotation
and zoom divide by the Jacobian of the map, and what leaves the frame is lost, as it would be in a scanner. Where
values count (photos), a pixel keeps its brightness and the edge is repeated.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from taskgan.recipe import Augment

_SMALLEST = 0.02  # share of the frame that the smallest rectangle hides
_SHARPEST = 0.1  # SD in pixels of a blur that changes nothing
_REACH = 2.5  # SDs to which a blur is summed


def change_appearance(images: Tensor, settings: Augment, rng: np.random.Generator) -> Tensor:
    """Blur, contrast and brightness, a hidden rectangle: of each sample at random, of all its channels alike.

    Args:
        images: (B, C, H, W) float32.
        settings: Sizes of the changes; what is 0 draws nothing.
        rng: The only source of randomness. What it draws depends on the settings alone.

    Returns:
        Images of the same shape; the given ones where there is nothing to change.
    """
    count = len(images)
    if settings.blur:
        images = blurred(images, rng.uniform(0, settings.blur, count))
    if settings.contrast or settings.brightness:
        factor = _column(rng.uniform(1 - settings.contrast, 1 + settings.contrast, count), images)
        added = _column(rng.uniform(-settings.brightness, settings.brightness, count), images)
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        images = (images - mean) * factor + mean + added
    return _hidden(images, settings.erase, rng) if settings.erase else images


def blurred(images: Tensor, sds: NDArray[np.float64]) -> Tensor:
    """Gaussian blur of every sample by an SD of its own; the edge is repeated.

    Args:
        images: (B, C, H, W).
        sds: (B,) in pixels.
    """
    count, channels, height, width = images.shape
    reach = min(max(1, math.ceil(_REACH * float(sds.max()))), min(height, width) - 1)
    place = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (place[None] / np.maximum(sds, _SHARPEST)[:, None]) ** 2)
    kernels = torch.from_numpy(weights / weights.sum(axis=1, keepdims=True)).to(images.dtype)
    kernels = kernels.repeat_interleave(channels, dim=0)
    stack = images.reshape(1, count * channels, height, width)
    stack = F.pad(stack, (reach, reach, reach, reach), mode="replicate")
    stack = F.conv2d(stack, kernels[:, None, None, :], groups=count * channels)
    stack = F.conv2d(stack, kernels[:, None, :, None], groups=count * channels)
    return stack.reshape(images.shape)


def _hidden(images: Tensor, largest: float, rng: np.random.Generator) -> Tensor:
    """Every second sample with a rectangle of its own mean (random erasing, Zhong et al. 2020,
    10.1609/aaai.v34i07.7000)."""
    count, _, height, width = images.shape
    uniforms = rng.random((count, 5))
    share = min(_SMALLEST, largest) + uniforms[:, 1] * (largest - min(_SMALLEST, largest))
    aspect = np.exp(math.log(2) * (2 * uniforms[:, 2] - 1))  # 1:2 to 2:1
    tall = np.minimum(np.sqrt(share * aspect), 1) * height
    wide = np.minimum(np.sqrt(share / aspect), 1) * width
    top, left = uniforms[:, 3] * (height - tall), uniforms[:, 4] * (width - wide)
    rows, columns = (
        (np.arange(size)[None] >= first[:, None]) & (np.arange(size)[None] < (first + length)[:, None])
        for size, first, length in ((height, top, tall), (width, left, wide))
    )
    hide = (uniforms[:, 0] < 0.5)[:, None, None] & rows[:, :, None] & columns[:, None, :]
    return torch.where(torch.from_numpy(hide)[:, None], images.mean(dim=(2, 3), keepdim=True), images)


def _column(values: NDArray[np.float64], like: Tensor) -> Tensor:
    return torch.from_numpy(values).to(like.dtype)[:, None, None, None]


Image = TypeVar("Image", NDArray[np.float32], Tensor)


def augment(
    images: Sequence[Image], settings: Augment, rng: np.random.Generator, masks: Sequence[Image] = ()
) -> list[Image]:
    """Change all images of a sample in the same random way: flip, then rotate and zoom, then shift, then its look.

    Rotation and zoom are one bilinear resampling about the centre. With ``preserve: sum``, bilinear weights sum to
    the Jacobian only nearly (to about 1e-3), so the sum over all images is then corrected by one factor that all
    share: their ratio, which is what a restorer learns, stays. It is found before anything is cut off at the frame,
    so that activity that leaves is not made up for. Images with negative values (parts of complex MR) have no
    sum worth keeping and get the Jacobian alone. Pixels are taken to be square.

    Args:
        images: (C, H, W) each, float32, arrays or tensors; C may differ, H and W may not.
        rng: The only source of randomness. Every call draws the same number of values, whatever comes out.
        masks: Class numbers of the same frame, which move with the images by their nearest neighbour and keep
            their values; 0 comes in, or the edge.

    Returns:
        New images, then masks, of the same shapes and type, contiguous; the given ones are untouched.

    Raises:
        ValueError: If the images differ in height or width.
    """
    frames = {image.shape[1:] for image in (*images, *masks)}
    if len(frames) != 1:
        raise ValueError(f"images of a sample must have one height and width, got {sorted(map(tuple, frames))}")
    groups = [[torch.as_tensor(image) for image in group] for group in (images, masks)]
    stacks = [torch.cat(group)[None] if group else None for group in groups]
    stack, masked = stacks
    assert stack is not None  # a sample has an image
    changed = augment_batch(stack, settings, rng, masked)
    parts = [
        part
        for group, stack_out in zip(groups, changed, strict=True)
        if stack_out is not None
        for part in torch.split(stack_out[0], [len(tensor) for tensor in group])
    ]
    outputs: list[Any] = []  # of the kind of each image, which the checker cannot follow
    for image, part in zip((*images, *masks), parts, strict=True):
        # Never a view of what was given.
        outputs.append(part.clone() if isinstance(image, Tensor) else np.array(part.numpy(), dtype=np.float32))
    return outputs


def augment_batch(
    images: Tensor, settings: Augment, rng: np.random.Generator, masks: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """Change every sample of a batch in a random way of its own, see :func:`augment`.

    With ``preserve: value`` all samples are changed at once; the draws are not those of sample after sample.

    Args:
        images: (B, C, H, W) float32.
        rng: The only source of randomness.
        masks: (B, M, H, W) class numbers, or None.

    Returns:
        Images and masks of the same shapes.
    """
    if settings.preserve == "value":
        images, masks = _moved_by_value(images, settings, rng, masks)
        return change_appearance(images, settings, rng), masks
    changed, moved = [], []
    for number, image in enumerate(images):
        one, mask = _moved_by_sum(image, settings, rng, None if masks is None else masks[number])
        changed.append(change_appearance(one[None], settings, rng)[0])
        moved.append(mask)
    return torch.stack(changed), None if masks is None else torch.stack([m for m in moved if m is not None])


def _moved_by_sum(
    image: Tensor, settings: Augment, rng: np.random.Generator, mask: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    mirrored = settings.flip and bool(rng.random() < 0.5)
    angle = math.radians(rng.uniform(-settings.rotate, settings.rotate)) if settings.rotate else 0.0
    zoom = 1.0 + rng.uniform(-settings.zoom, settings.zoom) if settings.zoom else 1.0
    down, right = rng.integers(-settings.shift, settings.shift + 1, size=2) if settings.shift else (0, 0)

    def _moved(stack: Tensor, masked: bool) -> Tensor:
        if mirrored:
            stack = stack.flip(1)
        height, width = stack.shape[1:]
        if angle or zoom != 1.0:
            stack = _resampled(stack, angle, zoom, "nearest") if masked else _turn(stack, angle, zoom)
        return _window(stack, int(down), int(right), height, width)

    return _moved(image, False), None if mask is None else _moved(mask, True)


def _moved_by_value(
    images: Tensor, settings: Augment, rng: np.random.Generator, masks: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    count, (height, width) = len(images), images.shape[2:]
    mirrored = torch.from_numpy(rng.random(count) < 0.5) if settings.flip else None
    limit = math.radians(settings.rotate)
    angle = rng.uniform(-limit, limit, count) if settings.rotate else np.zeros(count)
    zoom = 1 + rng.uniform(-settings.zoom, settings.zoom, count) if settings.zoom else np.ones(count)
    shift = np.zeros((count, 2), dtype=np.int64)
    if settings.shift:
        shift = rng.integers(-settings.shift, settings.shift + 1, size=(count, 2))
    if mirrored is not None:
        chosen = mirrored[:, None, None, None]
        images = torch.where(chosen, images.flip(2), images)
        masks = None if masks is None else torch.where(chosen, masks.flip(2), masks)
    if not settings.rotate and not settings.zoom:  # whole pixels need no interpolation
        return _shifted(images, shift), None if masks is None else _shifted(masks, shift)
    # In half frames, x (the last axis) before y; from where a value goes to where it comes from.
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    to_y, to_x = 2 * shift[:, 0] / height, 2 * shift[:, 1] / width
    maps = np.empty((count, 2, 3))
    maps[:, 0] = np.stack([cos, -sin * height / width, -cos * to_x + sin * height / width * to_y], axis=1)
    maps[:, 1] = np.stack([sin * width / height, cos, -sin * width / height * to_x - cos * to_y], axis=1)
    frame = [count, 1, height, width]
    grid = F.affine_grid(torch.from_numpy(maps).to(images.dtype), frame, align_corners=False)
    sample = partial(F.grid_sample, grid=grid, padding_mode="border", align_corners=False)
    return sample(images, mode="bilinear"), None if masks is None else sample(masks, mode="nearest")


def _shifted(stack: Tensor, shift: NDArray[np.int64]) -> Tensor:
    """Every sample of (B, C, H, W) moved by whole pixels (B, 2), down and right; the edge is repeated."""
    moves = torch.from_numpy(shift)
    rows, columns = (
        (torch.arange(size)[None] - moves[:, axis, None]).clamp(0, size - 1)
        for axis, size in enumerate(stack.shape[2:])
    )
    stack = stack.gather(2, rows[:, None, :, None].expand_as(stack))
    return stack.gather(3, columns[:, None, None, :].expand_as(stack))


def _turn(stack: Tensor, angle: float, zoom: float) -> Tensor:
    """Rotate and zoom (C, H, W) about its centre onto a frame that is large enough to hold all of it."""
    turned = _resampled(stack, angle, zoom, "bilinear")
    factor = 1.0 / zoom**2
    total = float(turned.sum(dtype=torch.float64))
    if float(stack.min()) >= 0 and total > 0:
        factor = float(stack.sum(dtype=torch.float64)) / total
    return turned * factor


def _resampled(stack: Tensor, angle: float, zoom: float, mode: str) -> Tensor:
    height, width = stack.shape[1:]
    cos, sin = math.cos(angle), math.sin(angle)
    tall = _room(height, zoom * (height * abs(cos) + width * abs(sin)))
    wide = _room(width, zoom * (height * abs(sin) + width * abs(cos)))
    # affine_grid counts in half frames, x before y, and maps where a value goes to where it comes from.
    inverse = torch.tensor(
        [[cos * wide / width, -sin * tall / width, 0.0], [sin * wide / height, cos * tall / height, 0.0]],
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
    top, left = (stack.shape[1] - height) // 2 - down, (stack.shape[2] - width) // 2 - right
    # Negative padding crops.
    return F.pad(stack, (-left, left + width - stack.shape[2], -top, top + height - stack.shape[1]))
