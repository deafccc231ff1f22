"""An improved residual network for faces, as ArcFace has it (Deng et al. 2019, 10.1109/CVPR.2019.00482)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taskgan.networks.layers import Conv2d, needs_bias, norm_layer, through
from taskgan.recipe.task import Norm

_STAGES = (2, 2, 2, 2)  # units; the 18-layer member of the family
_GRID = 7  # what is left of 112 pixels after four halvings
_SQUEEZE = 16
_FEWEST = 4  # one ReLU alone may be dead from the start


class ImprovedResNet(nn.Module):
    """Residual units norm–3×3–norm–PReLU–3×3–norm, a stem that keeps the size, norm–dropout–FC–norm at the end.

    The end sees *where* features are, which an average over the image would lose: the last maps are brought to 7×7 by
    averaging (at 112 pixels, the published size, they are 7×7) and flattened. The last norm is batch norm and stands
    only where ``norm`` is ``batch``: the others would take statistics over the descriptor itself.

    Args:
        width: Channels of the stem and of the first stage (64 is published); the later ones have 2, 4 and 8 times as
            many.
        squeeze: Weigh the channels of every unit (squeeze and excitation, Hu et al. 2018, 10.1109/CVPR.2018.00745).
    """

    def __init__(
        self, *, in_channels: int, width: int, norm: Norm, dropout: float, outputs: int, squeeze: bool = False
    ) -> None:
        super().__init__()
        widths = [width * 2**k for k in range(len(_STAGES))]
        self.stem = nn.Sequential(
            Conv2d(in_channels, width, kernel_size=3, padding=1, bias=needs_bias(norm)),
            norm_layer(norm, width),
            nn.PReLU(width),
        )
        self.stages = nn.ModuleList(
            nn.Sequential(
                _Unit(before, after, stride=2, norm=norm, squeeze=squeeze),
                *(_Unit(after, after, stride=1, norm=norm, squeeze=squeeze) for _ in range(units - 1)),
            )
            for before, after, units in zip([width, *widths[:-1]], widths, _STAGES, strict=True)
        )
        self.norm = norm_layer(norm, widths[-1])
        self.head = nn.Sequential(
            nn.Dropout(dropout), nn.Flatten(), nn.Linear(widths[-1] * _GRID**2, outputs, bias=norm != "batch")
        )
        self.last = norm_layer("batch" if norm == "batch" else "none", outputs)
        _start(self)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, C, H, W) to (B, outputs) and the four stages' features, from 1/2 to 1/16 of the size."""
        x, features = through(self.stages, self.stem(x))
        descriptor = self.head(F.adaptive_avg_pool2d(self.norm(x), _GRID))
        return self.last(descriptor[:, :, None, None])[:, :, 0, 0], features


class _Unit(nn.Module):
    """The step is in the second convolution; the shortcut drops pixels, or is a 1×1 convolution to more channels."""

    def __init__(self, before: int, after: int, *, stride: int, norm: Norm, squeeze: bool) -> None:
        super().__init__()
        bias = needs_bias(norm)
        self.inner = nn.Sequential(
            norm_layer(norm, before),
            Conv2d(before, after, kernel_size=3, padding=1, bias=bias),
            norm_layer(norm, after),
            nn.PReLU(after),
            Conv2d(after, after, kernel_size=3, stride=stride, padding=1, bias=bias),
            norm_layer(norm, after),
            _Squeeze(after) if squeeze else nn.Identity(),
        )
        self.shortcut: nn.Module = nn.MaxPool2d(kernel_size=1, stride=stride)
        if before != after:
            self.shortcut = nn.Sequential(
                Conv2d(before, after, kernel_size=1, stride=stride, bias=bias), norm_layer(norm, after)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, before, H, W) to (B, after, H/stride, W/stride)."""
        output: Tensor = self.inner(x) + self.shortcut(x)
        return output


class _Squeeze(nn.Module):
    """Each channel times a number in 0 to 1 that depends on the means of all."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        fewer = max(_FEWEST, channels // _SQUEEZE)
        self.weigh = nn.Sequential(nn.Linear(channels, fewer), nn.ReLU(), nn.Linear(fewer, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same, each channel times its weight in (0, 1)."""
        output: Tensor = x * self.weigh(x.mean(dim=(2, 3)))[:, :, None, None]
        return output


def _start(network: nn.Module) -> None:
    """He's rule over the outputs for convolutions, PReLU at 1/4, zero biases."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, a=0.25, mode="fan_out", nonlinearity="leaky_relu")
        elif isinstance(module, nn.Linear):
            nn.init.xavier_normal_(module.weight)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            torch.nn.init.zeros_(module.bias)
