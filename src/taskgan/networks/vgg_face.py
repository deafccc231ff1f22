"""VGG-Face (Parkhi, Vedaldi and Zisserman 2015, 10.5244/C.29.41): the paper's T for faces.

Thirteen 3×3 convolutions in five blocks and three fully connected layers, the layout D of VGG (Simonyan and
Zisserman 2015, arXiv:1409.1556), trained on 2,622 identities at 224×224.
"""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from taskgan.networks.layers import Conv2d
from taskgan.networks.photos import FaceRecogniser
from taskgan.recipe.task import NETWORKS

SIZE = 224
"""Pixels on either side of what the network sees."""
IDENTITIES = 2622
"""Classes of fc8."""
MEAN = (129.1863, 104.7624, 93.5940)
"""What is taken off red, green and blue, on 0 to 255. Data in another order want the mean in that order too."""

_BLOCKS = ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3))  # channels in widths, convolutions
_FULL = NETWORKS["vgg_face"].descriptor or 64  # channels of fc6 and fc7 in widths: 4096 at the published one


def descriptor_length(width: int) -> int:
    """Length of fc7: 4096 at the published width of 64."""
    return _FULL * width


def layer_shapes(width: int) -> dict[str, tuple[int, ...]]:
    """Shape of the weights of every layer, ``conv1_1`` to ``fc8``, in order; biases are as long as the first axis."""
    shapes: dict[str, tuple[int, ...]] = {}
    channels = 3
    for block, (share, count) in enumerate(_BLOCKS, start=1):
        for number in range(1, count + 1):
            shapes[f"conv{block}_{number}"] = (share * width, channels, 3, 3)
            channels = share * width
    side, full = SIZE // 2 ** len(_BLOCKS), descriptor_length(width)
    return {**shapes, "fc6": (full, channels * side * side), "fc7": (full, full), "fc8": (IDENTITIES, full)}


class VggFace(nn.Module):
    """The network itself; its layers have the released files' names.

    Args:
        width: Channels of the first block; 64 is the published network.
    """

    def __init__(self, *, width: int = 64) -> None:
        super().__init__()
        for name, (outputs, inputs, *kernel) in layer_shapes(width).items():
            layer = Conv2d(inputs, outputs, kernel_size=3, padding=1) if kernel else nn.Linear(inputs, outputs)
            self.add_module(name, layer)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Descriptors and the features of the five blocks.

        Args:
            x: (B, 3, 224, 224), red, green and blue on 0 to 255 less :data:`MEAN`.

        Returns:
            fc7 after its ReLU, which is what fc8 sees, (B, 64 · width); and the activations of each block before
            its pooling, from 224 to 14 pixels.
        """
        features: list[Tensor] = []
        for block, (_, count) in enumerate(_BLOCKS, start=1):
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
    size, colours = SIZE, MEAN

    def __init__(self, *, width: int = 64, **further: Any) -> None:
        super().__init__(VggFace(width=width), descriptor_length(width), width=width, **further)
