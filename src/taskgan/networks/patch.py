"""The patch classifier: reads a property from local texture, patch by patch (the paper's T for MR contrasts)."""

import torch.nn.functional as F
from torch import Tensor, nn

from taskgan.networks.convolution import Conv2d
from taskgan.networks.norm import norm_layer
from taskgan.task import Norm

_SLOPE = 0.2
_STRIDES = (2, 2, 2, 2, 1, 1)


class PatchClassifier(nn.Module):
    """C64-C128-C256-C512-C512 and one more convolution to a logit for each class, all 4×4: six layers.

    "A 6-layer patch-based classifier derived from the discriminator in Isola et al." (appendix) is read as
    pix2pix's PatchGAN (10.1109/CVPR.2017.632) with one layer of stride 2 more than its 70×70 default, which makes six
    convolutions, each of whose outputs sees 142×142 pixels; LeakyReLU 0.2, no norm on the first and the last layer.
    The logit of an image is the mean over its patches. Weights start by He's rule, not by pix2pix's N(0, 0.02), as
    those of the discriminator do.

    Args:
        in_channels: Image channels.
        width: Channels of the first layer; the later ones have 2, 4, 8 and 8 times as many.
        norm: ``batch``, ``instance``, ``group`` or ``none``.
        dropout: Rate before the last layer.
        outputs: Logits an image.
    """

    least_size = 48
    """Pixels along an axis from which a patch fits; smaller images are padded with zeros, which is air."""

    def __init__(self, *, in_channels: int, width: int, norm: Norm, dropout: float, outputs: int) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width, 8 * width]
        self.layers = nn.ModuleList(
            _layer(before, after, stride, norm if index else "none")
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
        features: list[Tensor] = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return self.head(x).mean(dim=(2, 3)), features


def _layer(before: int, after: int, stride: int, norm: Norm) -> nn.Sequential:
    # A bias before a norm that subtracts the mean would be a dead weight.
    conv = Conv2d(before, after, kernel_size=4, stride=stride, padding=1, bias=norm in ("none", "group"))
    nn.init.kaiming_normal_(conv.weight, a=_SLOPE)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return nn.Sequential(conv, norm_layer(norm, after), nn.LeakyReLU(_SLOPE))
