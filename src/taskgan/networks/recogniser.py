"""Networks that read a property from one image or of every pixel: the task network T, judges of another family.

Both return logits and the features of each stage, because the task-feature loss and the geometry of the
mapping (Figure 4) look inside.
"""

from importlib import import_module

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taskgan.networks.layers import Conv2d, needs_bias, norm_layer, through
from taskgan.recipe.task import NETWORKS, Norm


def recogniser_network(
    name: str, *, in_channels: int = 1, width: int = 64, norm: Norm = "batch", dropout: float = 0.0, outputs: int = 1
) -> nn.Module:
    """Build a recogniser by name.

    Args:
        name: One of :data:`~taskgan.recipe.task.NETWORKS`, see ``network`` of
            :class:`~taskgan.recipe.task.RecogniserSettings`.
        width: Channels at a quarter of the size, of ``patch`` at half of it; 64 is the published one.
        outputs: Logits an image (a pixel).

    Returns:
        A module with ``forward(x (B, C, H, W)) -> (logits (B, outputs), features)``, where ``features`` lists
        the activations (B, width_k, h_k, w_k) of each stage, finest first. ``unet`` and ``dilated`` give logits
        (B, outputs, H, W).

    Raises:
        ValueError: If the name is unknown or a size is not positive.
    """
    if min(in_channels, width, outputs) < 1:
        raise ValueError(f"in_channels, width and outputs must be positive, got {in_channels}, {width}, {outputs}")
    if name not in NETWORKS:
        raise ValueError(f"no recogniser network {name!r}: expected {', '.join(NETWORKS)}")
    facts = NETWORKS[name]
    module, _, builder = facts.builder.partition(":")
    network: nn.Module = getattr(import_module(f"taskgan.networks.{module}"), builder)(
        in_channels=in_channels, width=width, norm=norm, dropout=dropout, outputs=outputs, **facts.options
    )
    return network


class ResNet(nn.Module):
    """ResNet with basic blocks (10.1109/CVPR.2016.90): 7×7 stem, max pooling, four stages, global average.

    Args:
        blocks: Blocks in each of the four stages: 2 is ResNet18, 1 is ResNet10.
        width: Channels of the first stage; the later ones have 2, 4 and 8 times as many.
    """

    def __init__(self, *, blocks: int, in_channels: int, width: int, norm: Norm, dropout: float, outputs: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            Conv2d(in_channels, width, kernel_size=7, stride=2, padding=3, bias=needs_bias(norm)),
            norm_layer(norm, width),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        )
        widths = [width * 2**k for k in range(4)]
        self.stages = nn.ModuleList(
            nn.Sequential(
                _Block(before, after, stride=1 if k == 0 else 2, norm=norm),
                *(_Block(after, after, stride=1, norm=norm) for _ in range(blocks - 1)),
            )
            for k, (before, after) in enumerate(zip([width, *widths[:-1]], widths, strict=True))
        )
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(widths[-1], outputs))
        _start(self)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, C, H, W) to logits (B, outputs) and the four stages' features, from 1/4 to 1/32 of the size."""
        x, features = through(self.stages, self.stem(x))
        return self.head(x.mean(dim=(2, 3))), features


class _Block(nn.Module):
    """Two 3×3 convolutions and a shortcut, which is a 1×1 convolution where the shape changes."""

    def __init__(self, before: int, after: int, *, stride: int, norm: Norm) -> None:
        super().__init__()
        bias = needs_bias(norm)
        self.inner = nn.Sequential(
            Conv2d(before, after, kernel_size=3, stride=stride, padding=1, bias=bias),
            norm_layer(norm, after),
            nn.ReLU(),
            Conv2d(after, after, kernel_size=3, padding=1, bias=bias),
            norm_layer(norm, after),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(
                Conv2d(before, after, kernel_size=1, stride=stride, bias=bias), norm_layer(norm, after)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, width, H / stride, W / stride)."""
        return torch.relu(self.inner(x) + self.shortcut(x))


class ConvNet(nn.Module):
    """Plain strided convolutions, for a judge that shares as little as possible with a ResNet.

    No shortcuts, no pooling between layers (the 5×5 kernels take the steps, so the receptive field grows
    evenly instead of fourfold in the stem), SiLU instead of ReLU, and a head that sees the maximum over the
    image beside the mean.

    Args:
        width: Channels at a quarter of the size, as for a ResNet; the layer before has half of it, the later
            ones 2, 4 and 8 times as many.
    """

    def __init__(self, *, in_channels: int, width: int, norm: Norm, dropout: float, outputs: int) -> None:
        super().__init__()
        widths = [max(1, width // 2), *(width * 2**k for k in range(4))]
        self.stages = nn.ModuleList(
            nn.Sequential(
                Conv2d(before, after, kernel_size=5, stride=2, padding=2, bias=needs_bias(norm)),
                norm_layer(norm, after),
                nn.SiLU(),
            )
            for before, after in zip([in_channels, *widths[:-1]], widths, strict=True)
        )
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * widths[-1], outputs))
        _start(self)  # SiLU has no gain of its own; ReLU's is near

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, C, H, W) to logits (B, outputs) and the five layers' features, from 1/2 to 1/32 of the size."""
        x, features = through(self.stages, x)
        return self.head(torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)), features


def _start(network: nn.Module) -> None:
    """He's rule over the outputs, as published for ResNet; zero biases."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


_FLAT = 0.05  # SD in network units of an image that has hardly anything to enlarge


class PreparedNetwork(nn.Module):
    """Coarser images, or images of one light, for a network that need not see more.

    Args:
        network: ``forward(x (B, C, H, W)) -> (outputs (B, …), features)``.
        reduce: Edge of the squares of pixels that are averaged into one; what is left over at the end of a side is
            averaged by itself.
        standardise: Take the mean off every image and divide it by its SD (plus 0.05, so that noise is not blown up).
    """

    def __init__(self, network: nn.Module, *, reduce: int = 1, standardise: bool = False) -> None:
        super().__init__()
        self.network = network
        self.reduce, self.standardise = reduce, standardise

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, C, H, W) to what the network gives for the prepared images."""
        if self.reduce > 1:
            x = F.avg_pool2d(x, self.reduce, ceil_mode=True, count_include_pad=False)
        if self.standardise:
            variance, mean = torch.var_mean(x, dim=(1, 2, 3), correction=0, keepdim=True)
            x = (x - mean) / (variance.sqrt() + _FLAT)
        output: tuple[Tensor, list[Tensor]] = self.network(x)
        return output


_DEPTH = 3
_DILATIONS = (1, 1, 2, 4, 8, 16, 1)  # Yu and Koltun's context network


class PixelUNet(nn.Module):
    """A light U-Net (10.1007/978-3-319-24574-4_28): two 3×3 convolutions a level, 1/8 of the size at the bottom.

    Any size works: the image is padded with its border to what three halvings need, and the answer is cropped.

    Args:
        width: Channels at full size; each of the three lower levels has twice as many as the one above.
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


_STAGES = (2, 2, 2, 2)  # units; the 18-layer member of the family
_GRID = 7  # what is left of 112 pixels after four halvings
_SQUEEZE = 16
_FEWEST = 4  # one ReLU alone may be dead from the start


class ImprovedResNet(nn.Module):
    """An improved residual network for faces, as ArcFace has it (Deng et al. 2019, 10.1109/CVPR.2019.00482).

    Residual units norm–3×3–norm–PReLU–3×3–norm, a stem that keeps the size, norm–dropout–FC–norm at the end.
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
        _start_ir(self)

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


def _start_ir(network: nn.Module) -> None:
    """He's rule over the outputs for convolutions, PReLU at 1/4, zero biases."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, a=0.25, mode="fan_out", nonlinearity="leaky_relu")
        elif isinstance(module, nn.Linear):
            nn.init.xavier_normal_(module.weight)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            torch.nn.init.zeros_(module.bias)
