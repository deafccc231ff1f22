"""Released networks of faces, and how photos are shown to them: a part, upright, at their size and in their units."""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taskgan.networks.layers import Conv2d
from taskgan.recipe.task import NETWORKS

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


VGG_SIZE = 224
"""Pixels on either side of what the network sees."""
IDENTITIES = 2622
"""Classes of fc8."""
VGG_MEAN = (129.1863, 104.7624, 93.5940)
"""What is taken off red, green and blue, on 0 to 255. Data in another order want the mean in that order too."""

_VGG_BLOCKS = ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3))  # channels in widths, convolutions
_FULL = NETWORKS["vgg_face"].descriptor or 64  # channels of fc6 and fc7 in widths: 4096 at the published one


def descriptor_length(width: int) -> int:
    """Length of fc7: 4096 at the published width of 64."""
    return _FULL * width


def convolutions(width: int) -> list[tuple[str, int, int]]:
    """Name, input and output channels of the convolutions, in order."""
    layers, before = [], 3
    for block, (share, count) in enumerate(_VGG_BLOCKS, start=1):
        for number in range(1, count + 1):
            layers.append((f"conv{block}_{number}", before, share * width))
            before = share * width
    return layers


def layer_shapes(width: int) -> dict[str, tuple[int, ...]]:
    """Shape of the weights of every layer, ``conv1_1`` to ``fc8``, in order; biases are as long as the first axis."""
    shapes: dict[str, tuple[int, ...]] = {name: (after, before, 3, 3) for name, before, after in convolutions(width)}
    last, full = _VGG_BLOCKS[-1][0] * width, descriptor_length(width)
    side = VGG_SIZE // 2 ** len(_VGG_BLOCKS)
    return {**shapes, "fc6": (full, last * side * side), "fc7": (full, full), "fc8": (IDENTITIES, full)}


class VggFace(nn.Module):
    """VGG-Face (Parkhi, Vedaldi and Zisserman 2015, 10.5244/C.29.41): the paper's T for faces.

    Thirteen 3×3 convolutions in five blocks and three fully connected layers, the layout D of VGG (Simonyan and
    Zisserman 2015, arXiv:1409.1556), trained on 2,622 identities at 224×224. Layers have the released files' names;
    ``width``, channels of the first block, is 64 in the published network.
    """

    def __init__(self, *, width: int = 64) -> None:
        super().__init__()
        for name, before, after in convolutions(width):
            self.add_module(name, Conv2d(before, after, kernel_size=3, padding=1))
        for name in ("fc6", "fc7", "fc8"):
            outputs, inputs = layer_shapes(width)[name]
            self.add_module(name, nn.Linear(inputs, outputs))
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, 3, 224, 224), RGB on 0 to 255 less :data:`VGG_MEAN`, to fc7 after its ReLU (B, 64 · width), which is what
        fc8 sees, and the activations of each block before its pooling, from 224 to 14 pixels.
        """
        features: list[Tensor] = []
        for block, (_, count) in enumerate(_VGG_BLOCKS, start=1):
            for number in range(1, count + 1):
                x = F.relu(self.get_submodule(f"conv{block}_{number}")(x))
            features.append(x)
            x = F.max_pool2d(x, 2)
        x = self.dropout(F.relu(self.get_submodule("fc6")(x.flatten(1))))
        return F.relu(self.get_submodule("fc7")(x)), features

    def scores(self, descriptor: Tensor) -> Tensor:
        """fc8: what the 2,622 identities of its own training get, (B, 2622) from fc7 (B, 64 · width)."""
        logits: Tensor = self.get_submodule("fc8")(self.dropout(descriptor))
        return logits


class VggFaceRecogniser(FaceRecogniser):
    """VGG-Face for images of this package."""

    title = "VGG-Face"
    size, colours = VGG_SIZE, VGG_MEAN

    def __init__(self, *, width: int = 64, **further: Any) -> None:
        super().__init__(VggFace(width=width), descriptor_length(width), width=width, **further)


DLIB_SIZE = 150
"""Pixels on either side of what the network sees."""
DLIB_MEAN = (122.782, 117.001, 104.298)
"""What is taken off red, green and blue, on 0 to 255, before they are divided by 256."""
# Of the stages, in halves of the width; all but the first begin with half the resolution.
_DLIB_WIDTHS = (1, 2, 4, 8, 8)
_DLIB_BLOCKS = (3, 4, 3, 3, 1)


class DlibFace(nn.Module):
    """dlib's face ResNet (King 2017, dlib_face_recognition_resnet_model_v1): 29 layers, a descriptor of 128 numbers.

    Its convolutions have biases, and a gain and a shift a channel follow each of them. Strided convolutions and
    poolings are not padded. A block that halves its input adds the mean over 2×2 pixels to it, with channels, rows and
    columns of zeros where one of the two is smaller, as dlib's ``add_prev`` does. ``width``, channels of the second
    stage, is 64 in the published network.

    Raises:
        ValueError: If the width is odd.
    """

    def __init__(self, *, width: int = 64) -> None:
        super().__init__()
        if width % 2:
            raise ValueError(f"dlib's face network has an even width, got {width}")
        widths = [share * width // 2 for share in (1, *_DLIB_WIDTHS)]
        self.stem = _Scaled(3, widths[0], kernel=7, stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(
                _Block(before, after, down=stage > 0), *(_Block(after, after, down=False) for _ in range(count - 1))
            )
            for stage, (before, after, count) in enumerate(zip(widths, widths[1:], _DLIB_BLOCKS, strict=False))
        )
        self.head = nn.Linear(widths[-1], 2 * width, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, 3, 150, 150), RGB on 0 to 255 less :data:`DLIB_MEAN`, over 256, to descriptors (B, 128) and the features
        after the stem and every stage.
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
    size, colours, sd = DLIB_SIZE, DLIB_MEAN, 256.0

    def __init__(self, *, width: int = 64, **further: Any) -> None:
        super().__init__(DlibFace(width=width), 2 * width, width=width, **further)
