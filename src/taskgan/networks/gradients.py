"""Histograms of oriented gradients as a network: nothing in it is learnt, and a gradient passes through all of it.

The idea of Dalal and Triggs 2005 (10.1109/CVPR.2005.177): where edges are and which way they run, in cells, each
relative to the edges around it, so that light and contrast make little difference. Here at two scales, with
directions shared softly, so that nothing jumps while an image changes.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SCALES = (1.0, 2.5)  # SDs of the blur before the gradient, in pixels of a 128-pixel frame
_DIRECTIONS = 8  # signed: dark to bright is another direction than bright to dark
_CELLS = 16  # on either side of the frame
_FAINT = 1e-4  # squared gradient per pixel that counts as none, for images of 0 to 1
_ROOT = 1e-3  # added under the root, whose slope would else have no end
_REACH = 2.5  # SDs

FEATURES = len(_SCALES) * _DIRECTIONS * _CELLS**2
"""How many numbers describe an image."""


class OrientedGradients(nn.Module):
    """Edges by direction, cell and scale.

    At each scale: blur; central differences; the share of the gradient along each of eight directions, where it is
    positive; mean over each of 16×16 cells; division by the energy of the cells around; square root (as in RootSIFT,
    which keeps a few strong edges from deciding).

    Args:
        in_channels: Image channels; each is described by itself and the descriptions are averaged.
        unused: What other recognisers can be told: width, norm and dropout count for nothing.

    Raises:
        ValueError: If ``outputs`` is another length.
    """

    def __init__(self, *, in_channels: int = 1, outputs: int = FEATURES, **unused: Any) -> None:
        super().__init__()
        if outputs != FEATURES:
            raise ValueError(f"oriented gradients are {FEATURES} numbers, asked for {outputs}")
        self.in_channels = in_channels
        angles = [2 * math.pi * k / _DIRECTIONS for k in range(_DIRECTIONS)]
        directions = torch.tensor([[math.cos(a), math.sin(a)] for a in angles])
        self.register_buffer("directions", directions, persistent=False)

    directions: Tensor

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, C, H, W) to (B, 4096) and the cells (B, 8, 16, 16) of both scales, finer first.

        Frames that are no multiple of 16 get cells that overlap by a pixel.
        """
        count, channels, *frame = x.shape
        x = x.reshape(count * channels, 1, *frame)
        maps = [self._cells(x, scale).reshape(count, channels, _DIRECTIONS, _CELLS, _CELLS) for scale in _SCALES]
        features = [cells.mean(dim=1) for cells in maps]
        return torch.cat([cells.flatten(1) for cells in features], dim=1), features

    def _cells(self, x: Tensor, scale: float) -> Tensor:
        x = _blur(x, scale * min(x.shape[2:]) / 128)
        step = 2 if scale >= 2 and min(x.shape[2:]) >= 4 * _CELLS else 1  # a blurred image loses nothing
        x = F.pad(x[:, :, ::step, ::step], (1, 1, 1, 1), mode="replicate")
        down = (x[:, :, 2:, 1:-1] - x[:, :, :-2, 1:-1]) / 2
        right = (x[:, :, 1:-1, 2:] - x[:, :, 1:-1, :-2]) / 2
        both = torch.cat([down, right], dim=1)
        # As a product of matrices: a convolution of 1×1 is many times slower for large batches on CPUs.
        along = F.relu(torch.matmul(self.directions, both.flatten(2)).reshape(len(x), -1, *both.shape[2:]))
        cells = F.adaptive_avg_pool2d(along, _CELLS)
        energy = cells.square().sum(dim=1, keepdim=True)
        around = F.avg_pool2d(energy, 3, 1, 1, count_include_pad=False)
        return (cells / (around + _FAINT).sqrt() + _ROOT).sqrt()


def _blur(x: Tensor, sd: float) -> Tensor:
    """Gaussian blur of (B, 1, H, W); the edge is repeated."""
    reach = min(max(1, math.ceil(_REACH * sd)), min(x.shape[2:]) - 1)
    place = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    weights = torch.exp(-0.5 * (place / sd) ** 2)
    weights = weights / weights.sum()
    x = F.pad(x, (reach, reach, reach, reach), mode="replicate")
    # The batch as channels: with one channel a convolution is up to fifty times slower for large batches on CPUs.
    count = len(x)
    kernel = weights.expand(count, 1, -1)
    x = F.conv2d(x.transpose(0, 1), kernel[:, :, :, None], groups=count)
    return F.conv2d(x, kernel[:, :, None, :], groups=count).transpose(0, 1)


class Discriminant(nn.Module):
    """A network, then a linear layer, which :mod:`taskgan.judges.discriminant` fits in closed form.

    Args:
        network: ``forward(x) -> (outputs (B, length), features)``.
        outputs: Of the layer, at most ``length``; before it is fitted it passes the first of them on.
    """

    def __init__(self, network: nn.Module, length: int, outputs: int) -> None:
        super().__init__()
        if outputs > length:
            raise ValueError(f"a discriminant makes {length} numbers fewer or as many, asked for {outputs}")
        self.network = network
        # Draws nothing: the network learns the same with and without it.
        self.last: nn.Linear = nn.utils.skip_init(nn.Linear, length, outputs)  # type: ignore[no-untyped-call]
        nn.init.eye_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, C, H, W) to (B, outputs) and the network's features."""
        output, features = self.network(x)
        return self.last(output), features
