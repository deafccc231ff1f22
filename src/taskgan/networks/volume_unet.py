"""The generator of volumes: a small residual U-Net of 3×3×3 convolutions."""

from torch import Tensor, nn
from torch.nn import functional as F

from taskgan.networks.layers import Conv3d, Output, bounded
from taskgan.recipe.task import Norm

_LEAK = 0.1


class VolumeUNet(nn.Module):
    """3D residual U-Net: output = a channel of the input + a correction that starts at zero.

    Every level has a residual block of two 3×3×3 convolutions, the innermost two of them. The first down-sampling
    halves the slices' plane alone, because slices are thicker than pixels; the others halve all three axes. What
    comes up is interpolated trilinearly, which has no grid, and added to what went down.

    There is no norm by default: a volume's level is what PET measures, and the statistics of a patch are not those
    of a volume. So the output at a voxel depends on the input within :attr:`reach` alone, and blocks of a volume
    give what the whole gives. The volume may have any size: it is padded with zeros, as the convolutions pad, to a
    multiple of :attr:`stride`.

    Args:
        in_channels: Channels of the input; channel 0 is the degraded volume.
        norm: ``none``, or ``batch``, which does not depend on the patch in evaluation.
        output: As of :class:`~taskgan.networks.generator.UNet`.

    Raises:
        ValueError: If a setting is out of range.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        width: int = 12,
        max_width: int = 48,
        depth: int = 2,
        norm: Norm = "none",
        residual: bool = True,
        start: int = 0,
        output: Output = "nonnegative",
    ) -> None:
        super().__init__()
        if min(in_channels, width, max_width, depth) < 1:
            raise ValueError("channels, widths and depth are at least 1")
        if norm not in ("none", "batch"):
            raise ValueError(f"norm is {norm!r}, expected none or batch")
        if not 0 <= start < in_channels:
            raise ValueError(f"start is {start}, expected one of {in_channels} input channels")
        self.in_channels, self.residual, self.start, self.output = in_channels, residual, start, output
        widths = [min(width * 2**level, max_width) for level in range(depth + 1)]
        self.strides = [(1 if level == 0 else 2, 2, 2) for level in range(depth)]
        self.first = Conv3d(in_channels, widths[0], 3, padding=1)
        self.encode = nn.ModuleList(_Block(channels, norm) for channels in widths[:-1])
        self.down = nn.ModuleList(
            Conv3d(before, after, stride, stride)
            for before, after, stride in zip(widths[:-1], widths[1:], self.strides, strict=True)
        )
        self.middle = nn.Sequential(_Block(widths[-1], norm), _Block(widths[-1], norm))
        self.up = nn.ModuleList(Conv3d(before, after, 1) for before, after in zip(widths[1:], widths[:-1], strict=True))
        self.decode = nn.ModuleList(_Block(channels, norm) for channels in widths[:-1])
        self.last = Conv3d(widths[0], 1, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    @property
    def stride(self) -> tuple[int, int, int]:
        """Voxels (slices, rows, columns) that become one at the innermost level."""
        depth = len(self.strides)
        return 2 ** (depth - 1), 2**depth, 2**depth

    @property
    def reach(self) -> tuple[int, int, int]:
        """How far (slices, rows, columns) an output looks at most, rounded up to strides."""
        reaches = []
        for axis, whole in enumerate(self.stride):
            reach, step = 2, 1  # the first and the last convolution
            for stride in self.strides:
                reach += 4 * step  # a block on the way down and one on the way up
                if stride[axis] > 1:
                    reach += 2 * stride[axis] * step - step  # the interpolation's neighbour, and all of its voxels
                step *= stride[axis]
            reach += 4 * step
            reaches.append(-(-reach // whole) * whole)
        return reaches[0], reaches[1], reaches[2]

    def forward(self, x: Tensor) -> Tensor:
        """Restore volumes.

        Args:
            x: (B, ``in_channels``, D, H, W), network units; D slices, any size from 1.

        Returns:
            (B, 1, D, H, W), network units, within the bounds of ``output``.
        """
        size = x.shape[2:]
        missing = [-length % stride for length, stride in zip(size, self.stride, strict=True)]
        features = self.first(F.pad(x, (0, missing[2], 0, missing[1], 0, missing[0])))
        skips: list[Tensor] = []
        for encode, down in zip(self.encode, self.down, strict=True):
            skips.append(encode(features))
            features = down(skips[-1])
        features = self.middle(features)
        for level in reversed(range(len(self.up))):
            skip = skips.pop()
            # A 1×1×1 convolution commutes with interpolation and costs an eighth before it.
            coarse = self.up[level](features)
            fine = F.interpolate(coarse, size=skip.shape[2:], mode="trilinear", align_corners=False)
            features = self.decode[level](skip + fine)
        raw = self.last(features)[..., : size[0], : size[1], : size[2]].float()
        if self.residual:
            raw = raw + x[:, self.start : self.start + 1]
        return bounded(raw, self.output)


class _Block(nn.Module):
    """Two convolutions, added to what they are given; the second starts at zero."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.one = Conv3d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm3d(channels) if norm == "batch" else nn.Identity()
        self.two = Conv3d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.two.weight)
        nn.init.zeros_(self.two.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, D, H, W) to the same shape."""
        outer: Tensor = x + self.two(F.leaky_relu(self.norm(self.one(x)), _LEAK))
        return outer
