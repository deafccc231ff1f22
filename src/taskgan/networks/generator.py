"""The generator G(x̃, z): a U-Net of 4×4 convolutions with stride 2 (the paper's appendix)."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from taskgan.networks.layers import Conv2d, Output, bounded, norm_layer
from taskgan.networks.projection import Projection
from taskgan.networks.volume_unet import VolumeUNet
from taskgan.recipe import Data, Generator
from taskgan.recipe.data import check_dimensions
from taskgan.recipe.generator import Upsample
from taskgan.recipe.task import Norm

_LEAK = 0.2  # slope of the encoder's LeakyReLU
_LAST_GAIN = 0.1  # the last layer starts small: near zero, or near the degraded image where it is added


class UNet(nn.Module):
    """U-Net, at the paper's setting encoder C64-C128-C256-C512x5, decoder CD512x3-C512x2-C256-C128-C64.

    Every one of the ``depth`` decoder layers doubles the resolution (1 to 256 at the paper's setting); its
    output is concatenated with the encoder's at the same resolution, and one 3×3 convolution with stride 1
    maps the last to the image. Read like this the paper's list has 61.4 million parameters. (pix2pix's code
    has 54.4: there the eighth up-convolution makes the image, and the three before it have half the width.)

    Any image size works: a map of odd size gets a row or column of zeros before it is halved (the
    convolutions pad with zeros too), and what comes back up is cropped to the size of its skip connection.
    Multiples of ``2**depth`` need neither.

    z is the dropout of the first ``dropout_layers`` decoder layers: drawn from torch's global state in
    training, absent in evaluation, drawn from given generators, one per image, in either
    (see :meth:`forward`).

    The layers before the last work in the precision of their weights, the last one in its own: inference in
    bfloat16 keeps the last sum, the degraded image and the output in float32.

    Weights start normal with He's variance for the true fan-in (4 of 16 taps meet in an output pixel of a
    stride-2 transposed convolution), so that the signal keeps its size through 16 layers also without norm;
    at the paper's widths this is close to pix2pix's N(0, 0.02²).

    The other settings are those of :class:`~taskgan.recipe.generator.Generator`.

    Args:
        in_channels: Channels of the input; the first are the degraded image's.
        out_channels: Channels of the output: the degraded image's, 1 or, of photos in colour, 3.
        start: Which channel ``residual`` adds: the degraded image, or a smoothed copy of it.
        conditions: The last so many channels of the input are one-hot planes that say which of several images is
            wanted.
        conditioning: ``planes`` convolves them like images. ``film`` takes the one-hot from them (their mean over
            the image) and modulates every normalised layer by it, h (1 + γ) + β with γ and β linear in the
            one-hot (Perez et al. 2018, 10.1609/aaai.v32i1.11671); both start at zero.
        output: ``nonnegative`` is max(0, ·), ``unit`` is cut to 0..1, ``real`` is unbounded. Where a bound
            holds the output, a tenth of the gradient passes: the output is exact and no pixel dies.

    Raises:
        ValueError: If a setting is out of range.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int = 1,
        width: int = 64,
        max_width: int = 512,
        depth: int = 8,
        norm: Norm = "batch",
        upsample: Upsample = "transposed",
        dropout: float = 0.5,
        dropout_layers: int = 3,
        residual: bool = False,
        start: int = 0,
        conditions: int = 0,
        conditioning: Literal["planes", "film"] = "planes",
        output: Output = "nonnegative",
        projection: float = 0.0,
        degradation: Sequence[Any] = (),
    ) -> None:
        super().__init__()
        if min(in_channels, out_channels, width, max_width, depth) < 1:
            raise ValueError("channels, widths and depth are at least 1")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout is {dropout}, expected 0 to below 1")
        if output not in ("nonnegative", "real", "unit"):
            raise ValueError(f"output is {output!r}, expected nonnegative, real or unit")
        if not 0 <= conditions < in_channels:
            raise ValueError(f"conditions is {conditions}, expected 0 to below the {in_channels} input channels")
        self.in_channels, self.dropout, self.dropout_layers = in_channels, dropout, dropout_layers
        self.residual, self.start, self.output = residual, start, output
        self.modulated = conditions if conditioning == "film" else 0
        widths = [min(width * 2**level, max_width) for level in range(depth)]
        image_channels = in_channels - self.modulated
        self.down = nn.ModuleList(
            _down(before, after, "none" if level in (0, depth - 1) else norm)
            for level, (before, after) in enumerate(zip([image_channels, *widths], widths, strict=False))
        )
        # The decoder mirrors the encoder; all its layers but the innermost see a skip connection too.
        self.up = nn.ModuleList(
            _up(widths[level] + (0 if level == depth - 1 else widths[level + 1]), widths[level], norm, upsample)
            for level in reversed(range(depth))
        )
        self.last = Conv2d(widths[0], out_channels, 3, padding=1)
        self._initialise()
        self.projection = Projection(projection, degradation) if projection else None
        if self.modulated:  # every layer but the first and the innermost of the encoder is normalised
            self.down_film = nn.ModuleList(_film(conditions, w) for w in widths[1:-1])
            self.up_film = nn.ModuleList(_film(conditions, w) for w in reversed(widths))

    def forward(self, x: Tensor, z: Sequence[torch.Generator] | None = None) -> Tensor:
        """Restore images.

        Args:
            x: (B, ``in_channels``, H, W), network units; any H and W from 1.
            z: One generator per image, on the CPU: dropout is on and image b's masks are drawn from z[b]
                alone, so that a sample does not depend on its batch. None: dropout follows
                ``self.training``.

        Returns:
            (B, ``out_channels``, H, W), network units, within the bounds of ``output``.
        """
        if z is not None and len(z) != len(x):
            raise ValueError(f"{len(z)} generators for {len(x)} images, expected one each")
        images, condition = x, None
        if self.modulated:  # the one-hot (B, K) that the last planes spread over the image
            images, condition = x[:, : -self.modulated], x[:, -self.modulated :].mean(dim=(2, 3))
        features, sizes = images.to(next(self.down.parameters()).dtype), []
        skips: list[Tensor] = []
        for level, layer in enumerate(self.down):
            sizes.append(features.shape[-2:])
            features = layer(_even(features))
            if condition is not None and 0 < level < len(self.down) - 1:
                features = _modulate(features, self.down_film[level - 1](condition))
            features = F.leaky_relu(features, _LEAK)
            skips.append(features)
        skips.pop()
        for index, layer in enumerate(self.up):
            features = layer(features)
            if condition is not None:
                features = _modulate(features, self.up_film[index](condition))
            if index < self.dropout_layers and self.dropout > 0:
                features = self._noise(features, z)
            height, width = sizes.pop()
            features = F.relu(features)[..., :height, :width]
            if skips:
                features = torch.cat([features, skips.pop()], dim=1)
        raw = self.last(features.to(self.last.weight.dtype))
        if self.residual:
            raw = raw + x[:, self.start : self.start + raw.shape[1]]
        return self.project(bounded(raw, self.output), x)

    def project(self, restored: Tensor, x: Tensor) -> Tensor:
        """The last layer alone: what is restored, made to agree with the input where there is a projection.

        Args:
            restored: (B, ``out_channels``, H, W), network units, within the bounds; whole images.
            x: The input that it was restored from, its first channels the degraded image.

        Returns:
            The same shape, within the bounds. Pixels that they hold are why a little is still contradicted.
        """
        if self.projection is None:
            return restored
        return bounded(self.projection(restored, x[:, : restored.shape[1]]), self.output)

    def _noise(self, features: Tensor, z: Sequence[torch.Generator] | None) -> Tensor:
        if z is None:
            return F.dropout(features, self.dropout, self.training)
        shape = features.shape[1:]
        mask = torch.stack([torch.rand(shape, generator=one) >= self.dropout for one in z])
        return features * mask.to(features) / (1 - self.dropout)

    def _initialise(self) -> None:
        if self.last.weight.is_meta:  # filled from a file; to draw for it would import torch's compiler: a second
            return
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                decoder = isinstance(module, nn.ConvTranspose2d | _ResizeConv)  # ReLU follows
                taps = 4 if isinstance(module, nn.ConvTranspose2d) else module.kernel_size[0] * module.kernel_size[1]
                fan_in = module.in_channels * taps
                gain = _LAST_GAIN if module is self.last else (2.0 / (1 + (0 if decoder else _LEAK) ** 2)) ** 0.5
                nn.init.normal_(module.weight, std=gain / fan_in**0.5)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


def _down(before: int, after: int, norm: Norm) -> nn.Sequential:
    convolution = Conv2d(before, after, 4, stride=2, padding=1, bias=norm == "none")
    return nn.Sequential(convolution, norm_layer(norm, after))


class _ResizeConv(Conv2d):
    """Interpolation to twice the size, then a 3×3 convolution, all of whose outputs see as many taps."""

    def __init__(self, before: int, after: int, mode: Upsample, *, bias: bool) -> None:
        super().__init__(before, after, 3, padding=1, bias=bias)
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', 2H, 2W)."""
        if self.mode == "nearest":  # the same sums as a transposed convolution, which is less than half the work
            kernel = F.avg_pool2d(self.weight.transpose(0, 1).flip(2, 3), 2, stride=1, padding=1)
            return F.conv_transpose2d(x, 4 * kernel, self.bias, stride=2, padding=1)
        return super().forward(F.interpolate(x, scale_factor=2, mode=self.mode))


def _up(before: int, after: int, norm: Norm, upsample: Upsample) -> nn.Sequential:
    bias = norm == "none"
    convolution = (
        nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=bias)
        if upsample == "transposed"
        else _ResizeConv(before, after, upsample, bias=bias)
    )
    return nn.Sequential(convolution, norm_layer(norm, after))


def _film(conditions: int, channels: int) -> nn.Linear:
    layer = nn.Linear(conditions, 2 * channels, bias=False)  # the norm before it has the part all share
    nn.init.zeros_(layer.weight)
    return layer


def _modulate(features: Tensor, modulation: Tensor) -> Tensor:
    """h (1 + γ) + β of feature maps (B, C, h, w), with γ and β side by side in (B, 2C)."""
    gamma, beta = modulation.to(features.dtype)[..., None, None].chunk(2, dim=1)
    return features * (1 + gamma) + beta


def _even(image: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    if torch.compiler.is_exporting():  # which must not settle for the parity of the sizes that it is shown
        return F.pad(image, (0, width % 2, 0, height % 2))
    return F.pad(image, (0, width % 2, 0, height % 2)) if height % 2 or width % 2 else image


def generator_network(settings: Generator, data: Data) -> UNet | VolumeUNet:
    """G with weights from torch's global state.

    Raises:
        ValueError: If a setting is out of range or the two do not fit.
    """
    check_dimensions(settings, data)
    common: dict[str, Any] = {
        "in_channels": data.channels,
        "residual": settings.residual is not False,
        "start": data.start(settings.residual),
        "output": data.intensity.output,
    }
    if settings.dimensions == 3:
        return VolumeUNet(**common, **settings.model_dump(include={"width", "max_width", "depth", "norm"}))
    values = settings.model_dump(exclude={"dimensions", "residual"})
    return UNet(**common, **values, out_channels=data.colours, conditions=data.planes)


def memory_format(images: torch.Tensor | nn.Module, channels_last: bool) -> torch.memory_format:
    """The layout of images (B, C, H, W) or (B, C, D, H, W), or of a network of either."""
    if not channels_last:
        return torch.contiguous_format
    volume = any(one.ndim == 5 for one in ([images] if isinstance(images, torch.Tensor) else images.parameters()))
    return torch.channels_last_3d if volume else torch.channels_last
