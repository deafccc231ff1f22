"""The layers of all networks: norms as a setting, and convolutions that are right in bfloat16 too."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from taskgan.recipe.task import Norm

Output = Literal["nonnegative", "real", "unit"]

_OUTSIDE = 0.1  # share of the gradient that passes where the output is held at a bound
_MAX_GROUPS = 32  # Wu and He 2018
_PLAIN_3D = 20480  # channels × slices × rows up to which torch takes its slow kernel for one volume (Convolution.cpp)
_MIN_GROUP = 4  # on a 1×1 map the statistics of a group come from its channels alone


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation that survives a batch of one image on a 1×1 map.

    There a channel has a single value, which its own statistics would turn into zero (torch refuses it).
    Such a batch is normalised by the running statistics and does not change them.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        if self.training and input.numel() == input.shape[1]:
            return torch.nn.functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        return super().forward(input)


class InstanceNorm(nn.InstanceNorm2d):
    """Instance normalisation, affine, that leaves 1×1 maps as they are.

    One value minus its own mean is zero, which would cut the innermost layers of a U-Net off. There only the
    learned scale and shift act.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=True)

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        if input.shape[-1] * input.shape[-2] == 1:
            return input * self.weight[:, None, None] + self.bias[:, None, None]
        return super().forward(input)


def group_count(channels: int) -> int:
    """The most groups, at most 32, that divide ``channels`` and leave at least 4 channels to each."""
    most = max(1, min(_MAX_GROUPS, channels // _MIN_GROUP))
    return next(groups for groups in range(most, 0, -1) if channels % groups == 0)


def norm_layer(kind: Norm, channels: int) -> nn.Module:
    """A normalisation of feature maps (B, ``channels``, H, W), with learned scale and shift.

    Args:
        kind: ``batch`` (the paper), ``instance``, ``group`` or ``none``.

    Raises:
        ValueError: If the kind is not one of these.
    """
    if kind == "group":
        return nn.GroupNorm(group_count(channels), channels)
    layers: dict[str, type[nn.Module]] = {"batch": BatchNorm, "instance": InstanceNorm, "none": nn.Identity}
    if kind not in layers:
        raise ValueError(f"norm is {kind!r}, expected batch, instance, group or none")
    return layers[kind](channels)


@contextmanager
def frozen_statistics(network: nn.Module) -> Iterator[None]:
    """Batch norms go on normalising by the batch, but do not take it into their running statistics."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation for the block; then every module is back in the mode that it was in."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def needs_bias(kind: Norm) -> bool:
    """Whether a convolution before the norm has a bias: what each channel's mean takes away is a dead weight."""
    return kind in ("none", "group")


def through(layers: Iterable[nn.Module], x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """What comes out of layers one after the other, and the features of each."""
    features: list[Tensor] = []
    for layer in layers:
        x = layer(x)
        features.append(x)
    return x, features


class Conv2d(nn.Conv2d):
    """:class:`torch.nn.Conv2d`, also where two kernels of the CPU (torch 2.13) are wrong.

    A bfloat16 map that narrows to one column: oneDNN's kernel for AMX leaves memory that was never written in the
    result: with a stride, an output of width 1 and more than a few rows is arbitrary, up to 1e37. The transposed map,
    whose output has one row, is right, and convolution commutes with transposition.

    A kernel of one pixel with a stride on 2 to 7 channels, channels last: on AVX2 its backward pass writes beyond its
    memory, and the process dies. Leaving the pixels out first is the same convolution.
    (``tests/networks/test_convolution.py`` has both.)
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C, H, W); see :class:`torch.nn.Conv2d`."""
        if self.kernel_size == (1, 1) and self.stride != (1, 1) and self.in_channels < 8 and x.device.type == "cpu":
            kept = x[..., :: self.stride[0], :: self.stride[1]]
            return functional.conv2d(kept, self.weight, self.bias, groups=self.groups)
        low = x.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu")
        if not low or x.device.type != "cpu" or self._columns(x.shape[-1]) != 1:
            return super().forward(x)
        stride, padding, dilation = self.stride[::-1], self.padding[::-1], self.dilation[::-1]
        y = functional.conv2d(x.mT, self.weight.mT, self.bias, stride, padding, dilation, self.groups)
        return y.mT.contiguous(memory_format=torch.channels_last)

    def _columns(self, width: int) -> int:
        """Width of the output."""
        padded = width + 2 * int(self.padding[1])
        return (padded - self.dilation[1] * (self.kernel_size[1] - 1) - 1) // self.stride[1] + 1


class Conv3d(nn.Conv3d):
    """:class:`torch.nn.Conv3d` with :class:`Conv2d`'s remedy: a map of one column is convolved in float32.

    Volumes of that width are rare, so that what it costs does not matter. A single volume of the CPU is convolved as
    two halves: for a batch of one, torch 2.13 leaves oneDNN's kernel for one that is up to seven times slower.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C, D, H, W); see :class:`torch.nn.Conv3d`."""
        if x.device.type != "cpu":
            return super().forward(x)
        low = torch.is_autocast_enabled("cpu")
        if low and (x.shape[-1] + 2 * int(self.padding[2]) - self.kernel_size[2]) // self.stride[2] == 0:
            with torch.autocast("cpu", enabled=False):
                return self._halves(x.float())
        return super().forward(x) if low else self._halves(x)

    def _halves(self, x: Tensor) -> Tensor:
        """The slices of one volume as a batch of two, with the neighbours that the kernel reaches."""
        if torch.compiler.is_exporting() or len(x) != 1 or x.shape[1:4].numel() > _PLAIN_3D:  # a graph has any sizes
            return super().forward(x)
        kernel, stride, padding = self.kernel_size[0], self.stride[0], int(self.padding[0])
        slices = (x.shape[2] + 2 * padding - kernel) // stride + 1
        half = (slices + 1) // 2
        length = (half - 1) * stride + kernel
        padded = functional.pad(x, (0, 0, 0, 0, padding, max(0, half * stride + length - x.shape[2] - padding)))
        pair = torch.cat([padded[:, :, start : start + length] for start in (0, half * stride)])
        pair = functional.conv3d(pair, self.weight, self.bias, self.stride, (0, *self.padding[1:]), self.dilation)
        return torch.cat([pair[:1], pair[1:]], dim=2)[:, :, :slices]


def bounded(raw: Tensor, output: Output) -> Tensor:
    """Values within the bounds of ``output``, where a tenth of the gradient passes a bound that holds them."""
    if output == "real":
        return raw
    held = raw.clamp(min=0.0, max=1.0 if output == "unit" else None)
    if not torch.is_grad_enabled():
        return held
    # The value is that of `held`; the gradient outside of the bounds comes from the second term, a zero.
    outside = _OUTSIDE * (raw - held.detach())
    inside = (raw == held).to(raw)
    return held + (1 - inside) * (outside - outside.detach())
