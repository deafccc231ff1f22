"""Local binary patterns: a face as histograms of its texture, region by region. Nothing is learned.

Ahonen, Hadid and Pietikäinen 2006 (10.1109/TPAMI.2006.244): uniform patterns of 8 points at a radius of 2, in 7×7
regions. A code only asks which neighbours are brighter than the pixel, so that brightness and contrast of a photo
make no difference.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

POINTS = 8
PATTERNS = POINTS * (POINTS - 1) + 3
"""Bins of a histogram: the 58 uniform patterns, and one for all others."""

_AT_ONCE = 256  # images


def lbp_histograms(images: Array, *, regions: tuple[int, int] = (7, 7), radius: float = 2.0) -> Array:
    """Descriptors for :func:`~taskgan.judges.faces.pixels.chi_square_distance`.

    Args:
        images: (N, H, W) grey faces, aligned; any unit.
        regions: How many regions from top to bottom and from left to right.
        radius: Of the circle of neighbours, in pixels; 2 for faces of about 130 pixels.

    Returns:
        (N, rows · columns · 59), region by region; each region's bins sum to 1.

    Raises:
        ValueError: If the images have another number of axes or are too small for the regions.
    """
    rows, columns = regions
    _check(images, radius, rows, columns)
    parts = []
    for start in range(0, len(images), _AT_ONCE):
        codes = lbp_codes(images[start : start + _AT_ONCE], radius=radius)
        row, column = (
            np.repeat(np.arange(count), [len(part) for part in np.array_split(np.arange(length), count)])
            for length, count in zip(codes.shape[1:], regions, strict=True)
        )
        counts = _region_counts(codes, row, column, regions)
        parts.append((counts / counts.sum(axis=3, keepdims=True)).astype(np.float32))
    return np.concatenate(parts).reshape(len(images), -1)


def _region_counts(
    codes: NDArray[np.uint8], row: NDArray[np.intp], column: NDArray[np.intp], regions: tuple[int, int]
) -> NDArray[np.intp]:
    """(N, rows, columns, 59) how often each pattern of codes (N, H, W) is in the regions that pixels are in."""
    place = np.arange(len(codes))[:, None, None] * regions[0] * regions[1] + row[:, None] * regions[1] + column
    bins = len(codes) * regions[0] * regions[1] * PATTERNS
    return np.bincount((codes + place * PATTERNS).ravel(), minlength=bins).reshape(len(codes), *regions, PATTERNS)


def lbp_codes(images: Array, *, radius: float = 2.0) -> NDArray[np.uint8]:
    """The pattern at every pixel that has all its neighbours.

    Args:
        images: (N, H, W).
        radius: Of the circle; neighbours between pixels are interpolated (bilinear).

    Returns:
        (N, H − 2r, W − 2r), r being the radius rounded up: 0 to 57 for uniform patterns (at most two changes between
        brighter and darker on the way around), 58 for all others.

    Raises:
        ValueError: If the images have another number of axes or are too small.
    """
    _check(images, radius, 1, 1)
    values = np.asarray(images, dtype=np.float32)
    border = int(np.ceil(radius))
    height, width = values.shape[1] - 2 * border, values.shape[2] - 2 * border
    centre = values[:, border : border + height, border : border + width]
    pattern = np.zeros(centre.shape, dtype=np.uint8)
    for point in range(POINTS):
        angle = 2 * np.pi * point / POINTS
        # Rounded, or a neighbour straight above would lie 1e-16 to the side and its sign would be chance.
        down, right = round(-radius * np.sin(angle), 6), round(radius * np.cos(angle), 6)
        top, left = int(np.floor(down)), int(np.floor(right))
        share_down, share_right = down - top, right - left
        # Differences are interpolated, not values: on a flat patch they are zero, not the rounding of a sum.
        difference = np.zeros(centre.shape, dtype=np.float32)
        for (down_by, height_share), (right_by, width_share) in product(
            ((0, 1 - share_down), (1, share_down)), ((0, 1 - share_right), (1, share_right))
        ):
            if weight := np.float32(height_share * width_share):
                y, x = border + top + down_by, border + left + right_by
                difference += weight * (values[:, y : y + height, x : x + width] - centre)
        pattern |= ((difference >= 0).astype(np.uint8) << point).astype(np.uint8)
    return _UNIFORM[pattern]


_BITS = np.arange(2**POINTS)[:, None] >> np.arange(POINTS) & 1  # (256, 8) of each pattern
_IS_UNIFORM = (np.roll(_BITS, 1, axis=1) != _BITS).sum(axis=1) <= 2
_UNIFORM = np.where(_IS_UNIFORM, np.cumsum(_IS_UNIFORM) - 1, PATTERNS - 1).astype(np.uint8)  # bin of each pattern

MIRRORED = np.arange(PATTERNS)
# Mirrored left to right, point k, which lies at the angle k · 45°, is at that of 4 − k.
MIRRORED[_UNIFORM] = _UNIFORM[(_BITS << (POINTS // 2 - np.arange(POINTS)) % POINTS).sum(axis=1)]
"""(59,) the bin of a mirrored image that counts what each bin of the image counts."""


def _check(images: Array, radius: float, rows: int, columns: int) -> None:
    border = 2 * int(np.ceil(radius))
    if radius <= 0 or min(rows, columns) < 1:
        raise ValueError(f"got a radius of {radius} and {rows}×{columns} regions, expected them to be positive")
    if images.ndim != 3:
        raise ValueError(f"expected images (N, H, W), got {images.shape}")
    if images.shape[1] - border < rows or images.shape[2] - border < columns:
        raise ValueError(
            f"images of {images.shape[1]}×{images.shape[2]} are too small for {rows}×{columns} regions at a radius "
            f"of {radius:g}"
        )


EDGE = 128
"""Pixels along the shorter edge of an image for which radii are given."""
_LEAST = 1.0  # pixels: nearer neighbours are the same ones, interpolated


@dataclass(frozen=True)
class Texture:
    """Features of a face.

    Attributes:
        radii: Of the circles of neighbours, pixels of an image whose shorter edge has 128; they grow and shrink with
            the image down to one pixel, and what is then the same counts once.
        regions: Rows and columns of the grid.
    """

    radii: tuple[float, ...] = (1.0, 2.0, 4.0)
    regions: int = 10

    source = (
        "10.1109/TPAMI.2006.244",
        "10.1007/978-3-540-74549-5_85",
        "10.1109/CVPR.2012.6248018",
        "10.5244/C.26.99",
    )

    def __call__(self, image: Array) -> Array:
        """Features (F,) of a grey face (H, W), rows first, at least 32×32.

        Brightness and contrast make no difference. A mirrored image has the same features, so that
        only the left half of the grid is kept.
        """
        scale = min(image.shape) / EDGE
        radii = dict.fromkeys(max(_LEAST, radius * scale) for radius in self.radii)
        return np.concatenate([self._at(image, radius) for radius in radii])

    def _at(self, image: Array, radius: float) -> Array:
        codes = lbp_codes(image[None], radius=radius)
        rows, columns = (_regions(length, self.regions) for length in codes.shape[1:])
        grid = _region_counts(codes, rows, columns, (self.regions, self.regions))[0]
        roots = np.sqrt(grid / np.maximum(grid.sum(axis=2, keepdims=True), 1))
        both = (roots + roots[:, ::-1, MIRRORED]) / 2
        return np.asarray(both[:, : (self.regions + 1) // 2], dtype=np.float32).ravel()


def _regions(length: int, count: int) -> NDArray[np.intp]:
    """(length,) which of the regions each pixel is in; the same from both ends but for an odd middle."""
    left = [round(k * length / count) for k in range(1, (count + 1) // 2)]
    middle = [length // 2] if count % 2 == 0 else []
    ends = np.array([*left, *middle, *(length - end for end in reversed(left))], dtype=np.intp)
    return np.searchsorted(ends, np.arange(length), side="right")
