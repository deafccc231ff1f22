"""A square part of an image brought to another size, as a product of two matrices: linear, so gradients are exact."""

import torch
from torch import Tensor

Crop = tuple[float, float, float]
"""Middle from the left, middle from the top, and edge of a square, all as shares of the image's shorter side."""


def cropped(x: Tensor, crop: Crop | None, size: int) -> Tensor:
    """The square ``crop`` of images, at ``size`` × ``size`` pixels.

    Bilinear where it enlarges; where it reduces, a triangle as wide as two new pixels, so that no line is lost.
    Beyond the frame its edge is repeated.

    Args:
        x: (B, C, H, W), rows along H.
        crop: The part, from the middle of the image's left and upper edge as they are counted there: (0.5, 0.5, 1) is
            all of a square image. None is the middle square.
        size: Pixels of either edge.

    Returns:
        (B, C, size, size).
    """
    rows, columns = x.shape[2:]
    shorter = min(rows, columns)
    across, down, edge = crop or (0.5 * columns / shorter, 0.5 * rows / shorter, 1.0)
    down_weights = _weights(rows, (down - 0.5 * edge) * shorter, edge * shorter, size)
    across_weights = _weights(columns, (across - 0.5 * edge) * shorter, edge * shorter, size)
    return down_weights.to(x) @ x @ across_weights.to(x).T


def _weights(count: int, start: float, extent: float, size: int) -> Tensor:
    """What each of ``count`` pixels gives to ``size`` new ones between start and start + extent: (size, count)."""
    centre = (start + (torch.arange(size, dtype=torch.float64) + 0.5) * extent / size - 0.5).clamp(0, count - 1)
    reach = max(extent / size, 1.0)
    weights = (1 - (torch.arange(count) - centre[:, None]).abs() / reach).clamp(min=0)
    return weights / weights.sum(dim=1, keepdim=True)
