"""How a photo happens to look: contrast, brightness, sharpness, something in the way. None of it moves a pixel."""

import math

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
