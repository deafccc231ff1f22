"""dlib's face ResNet (King 2017, dlib_face_recognition_resnet_model_v1): 29 layers, a descriptor of 128 numbers."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taskgan.networks.layers import Conv2d
from taskgan.networks.photos import FaceRecogniser
from taskgan.recipe.preparation import Preparation

SIZE = 150
"""Pixels on either side of what the network sees."""
MEAN = (122.782, 117.001, 104.298)
"""What is taken off red, green and blue, on 0 to 255, before they are divided by 256."""
_WIDTHS = (1, 2, 4, 8, 8)  # of the stages, in halves of the width; all but the first begin with half the resolution
_BLOCKS = (3, 4, 3, 3, 1)


def descriptor_length(width: int) -> int:
    """Numbers of a descriptor: 128 at the published width of 64."""
    return 2 * width


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
        half = width // 2
        self.stem = _Scaled(3, half, kernel=7, stride=2)
        blocks: list[nn.Module] = []
        before = half
        for stage, (share, count) in enumerate(zip(_WIDTHS, _BLOCKS, strict=True)):
            for number in range(count):
                blocks.append(_Block(before, share * half, down=stage > 0 and number == 0))
                before = share * half
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Linear(before, descriptor_length(width), bias=False)

    def layers(self) -> list["_Scaled"]:
        """The 29 layers but the last, in the order in which an image meets them."""
        return [module for module in self.modules() if isinstance(module, _Scaled)]

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Descriptors (B, 128) and the features after the stem and every stage.

        Args:
            x: (B, 3, 150, 150), red, green and blue on 0 to 255 less :data:`MEAN`, over 256.
        """
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2)
        features = [x]
        ends = {sum(_BLOCKS[: k + 1]) for k in range(len(_BLOCKS))}
        for number, block in enumerate(self.blocks, start=1):
            x = block(x)
            if number in ends:
                features.append(x)
        descriptor: Tensor = self.head(x.mean(dim=(2, 3)))
        return descriptor, features


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
    shown = Preparation(pixels=SIZE, channels=3, upright=True, scale=255, mean=MEAN, sd=(256.0,))

    def __init__(self, *, width: int = 64, **further: Any) -> None:
        super().__init__(DlibFace(width=width), descriptor_length(width), width=width, **further)
