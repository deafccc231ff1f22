"""In which arithmetic a recogniser learns."""

from collections.abc import Callable
from typing import Any

import torch

from taskgan import recipe


def has_bf16(device: torch.device) -> bool:
    """Whether the device computes in bf16 itself: elsewhere it is converted to and fro, and slower than 32 bits."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    probes: list[Callable[[], bool]] = [
        probe
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        if (probe := getattr(torch.cpu, name, None)) is not None
    ]
    return device.type == "cpu" and any(ask() for ask in probes)


def autocast(settings: recipe.RecogniserSettings, device: torch.device) -> Any:
    """The context in which the network is called while it learns."""
    enabled = settings.precision == "bf16" or (settings.precision == "auto" and has_bf16(device))
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)
