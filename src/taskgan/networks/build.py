"""The generator that a recipe or a card describes."""

from typing import Any

import torch
from torch import nn

from taskgan.networks.generator import UNet
from taskgan.networks.volume_unet import VolumeUNet
from taskgan.recipe import Data, Generator
from taskgan.recipe.data import check_dimensions


def generator_network(settings: Generator, data: Data) -> UNet | VolumeUNet:
    """G with weights from torch's global state.

    Args:
        settings: Architecture.
        data: Channels, conditions and bounds.

    Raises:
        ValueError: If a setting is out of range or the two do not fit.
    """
    check_dimensions(settings, data)
    common: dict[str, Any] = {
        "in_channels": data.channels,
        "residual": settings.residual is not False,
        "start": data.start(settings.residual),
        "output": data.intensity.output,
    }
    if settings.dimensions == 3:
        return VolumeUNet(**common, **settings.model_dump(include={"width", "max_width", "depth", "norm"}))
    values = settings.model_dump(exclude={"dimensions", "residual"})
    return UNet(**common, **values, out_channels=data.colours, conditions=len(data.conditions))


def memory_format(images: torch.Tensor | nn.Module, channels_last: bool) -> torch.memory_format:
    """The layout of images (B, C, H, W) or (B, C, D, H, W), or of a network of either."""
    if not channels_last:
        return torch.contiguous_format
    volume = images.ndim == 5 if isinstance(images, torch.Tensor) else isinstance(images, VolumeUNet)
    return torch.channels_last_3d if volume else torch.channels_last
