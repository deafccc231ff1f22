"""dlib's face ResNet (King 2017, dlib_face_recognition_resnet_model_v1): 29 layers, a descriptor of 128 numbers."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taskgan.networks.layers import Conv2d
from taskgan.networks.photos import FaceRecogniser

SIZE = 150
"""Pixels on either side of what the network sees."""
MEAN = (122.782, 117.001, 104.298)
"""What is taken off red, green and blue, on 0 to 255, before they are divided by 256."""
_WIDTHS = (1, 2, 4, 8, 8)  # of the stages, in halves of the width; all but the first begin with half the resolution
_BLOCKS = (3, 4, 3, 3, 1)


class DlibFace(nn.Module):
    """The network itself. Its convolutions have biases, and a gain and a shift a channel follow each of them.

    Strided convolutions and poolings are not padded. A block that halves its input adds the mean over 2×2 pixels to
    it, with channels, rows and columns of zeros where one of the two is smaller, as dlib's ``add_prev`` does.

    Args:
        width: Channels of the second stage, twice those of the first; 64 is the published network.

    Raises:
        ValueError: If the width is odd.
    """

    def __init__(self, *, width: int = 64) -> None:
        super().__init__()
        if width % 2:
            raise ValueError(f"dlib's face network has an even width, got {width}")
        widths = [share * width // 2 for share in (1, *_WIDTHS)]
        self.stem = _Scaled(3, widths[0], kernel=7, stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(
                _Block(before, after, down=stage > 0), *(_Block(after, after, down=False) for _ in range(count - 1))
            )
            for stage, (before, after, count) in enumerate(zip(widths, widths[1:], _BLOCKS, strict=False))
        )
        self.head = nn.Linear(widths[-1], 2 * width, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Descriptors (B, 128) and the features after the stem and every stage.

        Args:
            x: (B, 3, 150, 150), red, green and blue on 0 to 255 less :data:`MEAN`, over 256.
        """
        features = [F.max_pool2d(F.relu(self.stem(x)), 3, 2)]
        for stage in self.stages:
            features.append(stage(features[-1]))
        descriptor: Tensor = self.head(features[-1].mean(dim=(2, 3)))
        return descriptor, features


def scaled_layers(network: DlibFace) -> dict[str, "_Scaled"]:
    """Its 29 convolutions by name, in the order in which an image meets them."""
    return {name: module for name, module in network.named_modules() if isinstance(module, _Scaled)}


class _Scaled(nn.Module):
    """A convolution, then a gain and a shift for each of its channels (dlib's ``affine_``)."""

    def __init__(self, before: int, after: int, *, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        padding = kernel // 2 if stride == 1 else 0
        self.conv = Conv2d(before, after, kernel_size=kernel, stride=stride, padding=padding)
        self.gain, self.shift = nn.Parameter(torch.ones(after)), nn.Parameter(torch.zeros(after))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, after, h, w)."""
        out: Tensor = self.conv(x) * self.gain[:, None, None] + self.shift[:, None, None]
        return out


class _Block(nn.Module):
    """Two 3×3 convolutions and a shortcut that has no weights."""

    def __init__(self, before: int, after: int, *, down: bool) -> None:
        super().__init__()
        self.first = _Scaled(before, after, stride=2 if down else 1)
        self.second = _Scaled(after, after)
        self.down = down

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, after, h, w)."""
        inner = self.second(F.relu(self.first(x)))
        if not self.down:
            return F.relu(inner + x)
        shortcut = F.avg_pool2d(x, 2)
        shape = [max(a, b) for a, b in zip(inner.shape[1:], shortcut.shape[1:], strict=True)]
        return F.relu(_zero_padded(inner, shape) + _zero_padded(shortcut, shape))


def _zero_padded(x: Tensor, shape: list[int]) -> Tensor:
    """(B, C, H, W) with zeros behind, to (B, *shape)."""
    channels, rows, columns = (wanted - there for wanted, there in zip(shape, x.shape[1:], strict=True))
    return F.pad(x, (0, columns, 0, rows, 0, channels))


class DlibFaceRecogniser(FaceRecogniser):
    """dlib's network for images of this package."""

    title = "dlib's face network"
    size, colours, sd = SIZE, MEAN, 256.0

    def __init__(self, *, width: int = 64, **further: Any) -> None:
        super().__init__(DlibFace(width=width), 2 * width, width=width, **further)
