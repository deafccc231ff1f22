"""Networks that read a property of every pixel: a light U-Net for T and one of another family for its judge.

Both give logits at full resolution and the features of each stage, as the recognisers of images do.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taskgan.networks.layers import Conv2d, norm_layer, through
from taskgan.recipe.task import Norm

_DEPTH = 3
_DILATIONS = (1, 1, 2, 4, 8, 16, 1)  # Yu and Koltun's context network


class PixelUNet(nn.Module):
    """A light U-Net (10.1007/978-3-319-24574-4_28): two 3×3 convolutions a level, 1/8 of the size at the bottom.

    Any size works: the image is padded with its border to what three halvings need, and the answer is cropped.

    Args:
        in_channels: Image channels.
        width: Channels at full size; each of the three lower levels has twice as many as the one above.
        norm: Normalisation.
        dropout: Rate before the head, for whole channels.
        outputs: Logits a pixel.
    """

    def __init__(self, *, in_channels: int, width: int, norm: Norm, dropout: float, outputs: int) -> None:
        super().__init__()
        widths = [width * 2**k for k in range(_DEPTH + 1)]
        self.down = nn.ModuleList(
            _double(before, after, norm) for before, after in zip([in_channels, *widths[:-1]], widths, strict=True)
        )
        pairs = [(widths[k + 1] + widths[k], widths[k]) for k in reversed(range(_DEPTH))]
        self.up = nn.ModuleList(_double(before, after, norm) for before, after in pairs)
        self.head = nn.Sequential(nn.Dropout2d(dropout), Conv2d(width, outputs, kernel_size=1))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, C, H, W) to logits (B, outputs, H, W) and the four levels' features, full size first."""
        height, width = x.shape[-2:]
        step = 2**_DEPTH
        x = F.pad(x, (0, -width % step, 0, -height % step), mode="replicate")
        features: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            features.append(x)
        for block, skip in zip(self.up, reversed(features[:-1]), strict=True):
            x = block(torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), skip], dim=1))
        return self.head(x)[..., :height, :width], features


class DilatedNet(nn.Module):
    """Convolutions that stay at full size and look further by dilation (Yu and Koltun 2016, arXiv:1511.07122).

    No pooling, no skips, SiLU instead of ReLU: it shares as little as possible with a U-Net. It sees 67×67 pixels.

    Args:
        in_channels: Image channels.
        width: Channels of every layer.
        norm: Normalisation.
        dropout: Rate before the head, for whole channels.
        outputs: Logits a pixel.
    """

    def __init__(self, *, in_channels: int, width: int, norm: Norm, dropout: float, outputs: int) -> None:
        super().__init__()
        befores = [in_channels, *[width] * (len(_DILATIONS) - 1)]
        self.stages = nn.ModuleList(
            nn.Sequential(
                Conv2d(before, width, kernel_size=3, padding=dilation, dilation=dilation),
                norm_layer(norm, width),
                nn.SiLU(),
            )
            for before, dilation in zip(befores, _DILATIONS, strict=True)
        )
        self.head = nn.Sequential(nn.Dropout2d(dropout), Conv2d(width, outputs, kernel_size=1))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, C, H, W) to logits (B, outputs, H, W) and the features of each layer, all of full size."""
        x, features = through(self.stages, x)
        return self.head(x), features


def _double(before: int, after: int, norm: Norm) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers += [Conv2d(channels, after, kernel_size=3, padding=1), norm_layer(norm, after), nn.ReLU()]
    return nn.Sequential(*layers)
