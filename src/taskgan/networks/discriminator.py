"""The discriminator D: an image classifier that also shows its features (appendix; Eq. 2 matches them)."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from taskgan.networks.layers import Conv2d, needs_bias, norm_layer, through
from taskgan.recipe.task import Norm

_SLOPE = 0.2


class ImageDiscriminator(nn.Module):
    """C64-C128-C256-C512-C512-C512, every layer 4×4 with stride 2, then one logit for the whole image.

    The paper says "image-based classifier" and no more. Here the last features are averaged over the image
    before the linear head, so that any image size works with the same weights; each layer floors half the
    size, so an image needs at least ``2 ** len(widths)`` pixels along both axes.

    Weights start by He's rule for LeakyReLU 0.2, not by pix2pix's N(0, 0.02): features then have the scale of
    the images with any norm, and λ means the same with any norm.

    Args:
        in_channels: Image channels (image plus degraded image where D is conditional).
        widths: Channels of each stride-2 layer.
        norm: ``batch``, ``instance``, ``group`` or ``none``, on all layers but the first.
    """

    def __init__(
        self, *, in_channels: int, widths: Sequence[int] = (64, 128, 256, 512, 512, 512), norm: Norm = "batch"
    ) -> None:
        super().__init__()
        if in_channels < 1:
            raise ValueError(f"in_channels must be at least 1, got {in_channels}")
        if not widths or min(widths) < 1:
            raise ValueError(f"widths must be one or more positive numbers, got {tuple(widths)}")
        self.in_channels = in_channels
        self.least_size = 2 ** len(widths)
        self.layers = nn.ModuleList(
            _layer(before, width, norm if index else "none")
            for index, (before, width) in enumerate(zip((in_channels, *widths[:-1]), widths, strict=True))
        )
        self.head = nn.Linear(widths[-1], 1)
        nn.init.normal_(self.head.weight, std=widths[-1] ** -0.5)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Judge images.

        Args:
            x: (B, C, H, W), network units.

        Returns:
            Logit (B,), positive where D takes the image for a clean one, and the features of every layer after
            its activation: (B, widths[k], H / 2**(k+1), W / 2**(k+1)).

        Raises:
            ValueError: If the channels are not ``in_channels`` or the image is too small for the layers.
        """
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f"expected (B, {self.in_channels}, H, W), got {tuple(x.shape)}")
        if min(x.shape[2:]) < self.least_size:
            raise ValueError(
                f"an image of {x.shape[2]}×{x.shape[3]} is too small for {len(self.layers)} stride-2 layers: "
                f"expected at least {self.least_size}×{self.least_size}, or fewer discriminator widths"
            )
        x, features = through(self.layers, x)
        return self.head(x.mean(dim=(2, 3))).squeeze(1), features


class VolumeDiscriminator(nn.Module):
    """A patch discriminator of blocks: a logit for each patch that the last layer sees (10.1109/CVPR.2017.632 in 3D).

    Layers 3×4×4 with stride 2; slices, which are fewer and thicker, are halved upwards, so that any number of them
    will do. Weights start as those of :class:`ImageDiscriminator`.

    Attributes:
        volumes: It judges blocks, not their slices.
    """

    volumes = True

    def __init__(self, *, in_channels: int, widths: Sequence[int], norm: Norm) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            _volume_layer(before, width, norm if index else "none")
            for index, (before, width) in enumerate(zip((in_channels, *widths[:-1]), widths, strict=True))
        )
        self.head = nn.Conv3d(widths[-1], 1, kernel_size=1)
        nn.init.normal_(self.head.weight, std=widths[-1] ** -0.5)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Judge blocks (B, C, D, H, W), network units: logits (B, patches), positive where D takes a patch for a clean
        one, and the features of every layer, (B, widths[k], ⌈D / 2**(k+1)⌉, H / 2**(k+1), W / 2**(k+1)).
        """
        x, features = through(self.layers, x)
        return self.head(x).flatten(1), features


def _volume_layer(before: int, width: int, norm: Norm) -> nn.Sequential:
    conv = nn.Conv3d(before, width, kernel_size=(3, 4, 4), stride=2, padding=1, bias=needs_bias(norm))
    nn.init.kaiming_normal_(conv.weight, a=_SLOPE)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    norms = {"batch": nn.BatchNorm3d, "instance": nn.InstanceNorm3d}
    layer = norms[norm](width) if norm in norms else norm_layer(norm, width)
    return nn.Sequential(conv, layer, nn.LeakyReLU(_SLOPE))


def _layer(before: int, width: int, norm: Norm, stride: int = 2) -> nn.Sequential:
    conv = Conv2d(before, width, kernel_size=4, stride=stride, padding=1, bias=needs_bias(norm))
    nn.init.kaiming_normal_(conv.weight, a=_SLOPE)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return nn.Sequential(conv, norm_layer(norm, width), nn.LeakyReLU(_SLOPE))


_STRIDES = (2, 2, 2, 2, 1, 1)


class PatchClassifier(nn.Module):
    """C64-C128-C256-C512-C512 and one more convolution to a logit for each class, all 4×4: six layers.

    "A 6-layer patch-based classifier derived from the discriminator in Isola et al." (appendix) is read as
    pix2pix's PatchGAN (10.1109/CVPR.2017.632) with one layer of stride 2 more than its 70×70 default, which makes six
    convolutions, each of whose outputs sees 142×142 pixels; LeakyReLU 0.2, no norm on the first and the last layer.
    The logit of an image is the mean over its patches. Weights start by He's rule, not by pix2pix's N(0, 0.02), as
    those of the discriminator do.

    Args:
        width: Channels of the first layer; the later ones have 2, 4, 8 and 8 times as many.
        norm: ``batch``, ``instance``, ``group`` or ``none``.
    """

    least_size = 48
    """Pixels along an axis from which a patch fits; smaller images are padded with zeros, which is air."""

    def __init__(self, *, in_channels: int, width: int, norm: Norm, dropout: float, outputs: int) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width, 8 * width]
        self.layers = nn.ModuleList(
            _layer(before, after, norm if index else "none", stride)
            for index, (before, after, stride) in enumerate(
                zip([in_channels, *widths[:-1]], widths, _STRIDES[:-1], strict=True)
            )
        )
        last = Conv2d(widths[-1], outputs, kernel_size=4, stride=_STRIDES[-1], padding=1)
        nn.init.normal_(last.weight, std=(16 * widths[-1]) ** -0.5)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.head = nn.Sequential(nn.Dropout2d(dropout), last)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Read images.

        Args:
            x: (B, C, H, W), network units.

        Returns:
            Logits (B, outputs), the mean over the (H / 16 − 2) × (W / 16 − 2) patches, and the features of every
            layer before the logits, finest first: (B, width_k, h_k, w_k).
        """
        lacking = [max(0, self.least_size - size) for size in x.shape[2:]]
        x = F.pad(x, (0, lacking[1], 0, lacking[0]))
        x, features = through(self.layers, x)
        return self.head(x).mean(dim=(2, 3)), features
