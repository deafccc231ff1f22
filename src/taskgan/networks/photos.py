"""How photos are shown to networks of others: a part of them, upright, at their size and in their units."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

Crop = tuple[float, float, float]
"""Middle from the left, middle from the top, and edge of a square, all as shares of the image's shorter side."""


def cropped(x: Tensor, crop: Crop | None, size: int) -> Tensor:
    """The square ``crop`` of images, at ``size`` × ``size`` pixels: a product with two matrices.

    Bilinear where it enlarges; where it reduces, a triangle as wide as two new pixels, so that no line is lost (a
    250-pixel photo would else lose some). Beyond the frame its edge is repeated.

    Args:
        x: (B, C, H, W), rows along H.
        crop: (0.5, 0.5, 1) is all of a square image; None is the middle square.
        size: Pixels of either edge.

    Returns:
        (B, C, size, size).
    """
    rows, columns = x.shape[2:]
    shorter = min(rows, columns)
    across, down, edge = crop or (0.5 * columns / shorter, 0.5 * rows / shorter, 1.0)
    weights = [
        _weights(count, (middle - 0.5 * edge) * shorter, edge * shorter, size).to(x)
        for count, middle in ((rows, down), (columns, across))
    ]
    return weights[0] @ x @ weights[1].T


def _weights(count: int, start: float, extent: float, size: int) -> Tensor:
    """What each of ``count`` pixels gives to ``size`` new ones between start and start + extent: (size, count)."""
    centre = (start + (torch.arange(size, dtype=torch.float64) + 0.5) * extent / size - 0.5).clamp(0, count - 1)
    reach = max(extent / size, 1.0)
    weights = (1 - (torch.arange(count) - centre[:, None]).abs() / reach).clamp(min=0)
    return weights / weights.sum(dim=1, keepdim=True)


class FaceRecogniser(nn.Module):
    """A released network of faces for images of this package: any size, grey or colour, network units of 0 to 1.

    Slices of this package run from left to right along H and downwards along W (``taskgan.cohort.slices``), on their
    side for a network that learnt from upright faces: they are turned first, and its features are upright. Grey is
    repeated. Values are not clipped, so that a gradient reaches every pixel that is shown.

    Attributes:
        crop: The part that is shown, see :func:`cropped`.

    Args:
        network: Gives a descriptor and features of what its authors show it: (255 x − mean) / sd.
        length: Of the descriptor.
        outputs: What is asked for; it cannot be another length.
        in_channels: 1 or 3.
        unused: What other recognisers can be told: norm and dropout are the network's own.

    Raises:
        ValueError: If ``outputs`` or ``in_channels`` is something else.
    """

    title: ClassVar[str]
    size: ClassVar[int]
    colours: ClassVar[tuple[float, float, float]]
    sd: ClassVar[float] = 1.0
    mean: Tensor

    def __init__(
        self, network: nn.Module, length: int, *, width: int, outputs: int, in_channels: int = 1, **unused: Any
    ) -> None:
        super().__init__()
        if outputs != length:
            raise ValueError(f"{self.title} of width {width} gives {length}, asked for {outputs}")
        if in_channels not in (1, 3):
            raise ValueError(f"{self.title} reads grey or colour images, got {in_channels} channels")
        self.network = network
        self.crop: Crop | None = None
        self.register_buffer("mean", torch.tensor(self.colours).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Slices (B, 1 or 3, H, W), 0 to 1, red first, to descriptors (B, outputs) and the network's features."""
        output: tuple[Tensor, list[Tensor]] = self.network(self.prepare(x))
        return output

    def prepare(self, x: Tensor) -> Tensor:
        """What the network sees of slices (B, 1 or 3, columns, rows); ValueError where there are other channels."""
        if x.ndim != 4 or x.shape[1] not in (1, 3):
            raise ValueError(f"{self.title} reads (B, 1 or 3, H, W), got {tuple(x.shape)}")
        upright = cropped(x.transpose(2, 3), self.crop, self.size).expand(-1, 3, -1, -1)
        return (255 * upright - self.mean) / self.sd
