"""The same generator, faster: norms folded into convolutions, images last, bfloat16 where the machine has it."""

import copy
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from taskgan.core.errors import UserError
from taskgan.networks.generator import UNet

Precision = Literal["auto", "32", "bf16"]

_NAMES: tuple[Precision, ...] = ("auto", "32", "bf16")
_NATIVE = ("avx512_bf16", "amx_bf16")


def check_precision(text: str) -> Precision:
    """The precision that a user named.

    Raises:
        UserError: If there is none of that name.
    """
    for known in _NAMES:
        if text == known:
            return known
    raise UserError(f"precision is {text!r}, expected auto, 32 or bf16")


def bf16_is_native() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; emulated, it is slower than float32.

    Decided by what the CPU is, not by a stopwatch: the same machine gives the same numbers however busy it is.
    """
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in _NATIVE)


def fold_batch_norms(network: UNet, *, in_place: bool = False) -> UNet:
    """The network in evaluation, its batch norms part of the convolutions before them, channels last.

    The result is the same up to rounding; other norms depend on the image and stay.

    Args:
        network: A U-Net.
        in_place: Change it, rather than a copy: at the paper's size a copy is another 250 MB.
    """
    fast = (network if in_place else copy.deepcopy(network)).eval()
    for layers in (fast.down, fast.up):
        for index, layer in enumerate(layers):
            convolution, norm = layer.children()
            if isinstance(norm, nn.BatchNorm2d) and isinstance(convolution, nn.Conv2d | nn.ConvTranspose2d):
                transposed = isinstance(convolution, nn.ConvTranspose2d)
                fused = fuse_conv_bn_eval(convolution, norm, transpose=transposed)
                layers[index] = nn.Sequential(fused, nn.Identity())
    fast.requires_grad_(False)
    return fast.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def to_bf16(network: UNet) -> UNet:
    """A copy of a folded network in bfloat16, all but the last layer: the output keeps float32's digits."""
    small = copy.deepcopy(network)
    for layers in (small.down, small.up):
        layers.to(torch.bfloat16)
    return small
