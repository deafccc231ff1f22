"""Local binary patterns: a face as histograms of its texture, region by region. Nothing is learned.

Ahonen, Hadid and Pietikäinen 2006 (10.1109/TPAMI.2006.244): uniform patterns of 8 points at a radius of 2, in 7×7
regions. A code only asks which neighbours are brighter than the pixel, so that brightness and contrast of a photo
make no difference.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

POINTS = 8
PATTERNS = POINTS * (POINTS - 1) + 3
"""Bins of a histogram: the 58 uniform patterns, and one for all others."""


def lbp_codes(images: NDArray[np.float32], *, radius: float = 2.0) -> NDArray[np.uint8]:
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
    if radius <= 0:
        raise ValueError(f"got a radius of {radius}, expected it to be positive")
    border = int(np.ceil(radius))
    if images.ndim != 3 or min(images.shape[1:]) <= 2 * border:
        raise ValueError(f"expected images (N, H, W), not too small for a radius of {radius:g}, got {images.shape}")
    values = np.asarray(images, dtype=np.float32)
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
        for step_down, weight_down in ((0, 1 - share_down), (1, share_down)):
            for step_right, weight_right in ((0, 1 - share_right), (1, share_right)):
                weight = np.float32(weight_down * weight_right)
                if weight:
                    y, x = border + top + step_down, border + left + step_right
                    difference += weight * (values[:, y : y + height, x : x + width] - centre)
        pattern |= ((difference >= 0).astype(np.uint8) << point).astype(np.uint8)
    return _UNIFORM[pattern]


def _uniform() -> NDArray[np.uint8]:
    """Bin of each of the 256 patterns."""
    bins, labels = 0, np.full(2**POINTS, PATTERNS - 1, dtype=np.uint8)
    for pattern in range(2**POINTS):
        turned = (pattern >> 1) | ((pattern & 1) << (POINTS - 1))
        if (pattern ^ turned).bit_count() <= 2:
            labels[pattern] = bins
            bins += 1
    return labels


_UNIFORM = _uniform()


def _mirrored() -> NDArray[np.intp]:
    """Bin that each bin becomes when the image is mirrored left to right: point k lies at the angle k · 45°."""
    permutation = np.arange(PATTERNS)
    for pattern in range(2**POINTS):
        turned = sum(1 << ((POINTS // 2 - k) % POINTS) for k in range(POINTS) if pattern >> k & 1)
        permutation[_UNIFORM[pattern]] = _UNIFORM[turned]
    return permutation


MIRRORED = _mirrored()
"""(59,) the bin of a mirrored image that counts what each bin of the image counts."""


Array = NDArray[np.float32]

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

    source = ("10.1109/TPAMI.2006.244", "10.1007/978-3-540-74549-5_85", "10.1109/CVPR.2012.6248018", "10.5244/C.26.99")

    def __call__(self, image: Array) -> Array:
        """Features (F,) of a grey face (H, W), rows first, at least 32×32.

        Brightness and contrast make no difference. A mirrored image has the same features, so that
        only the left half of the grid is kept.
        """
        scale = min(image.shape) / EDGE
        radii = dict.fromkeys(max(_LEAST, radius * scale) for radius in self.radii)
        return np.concatenate([self._at(image, radius) for radius in radii])

    def _at(self, image: Array, radius: float) -> Array:
        codes = lbp_codes(image[None], radius=radius)[0]
        rows, columns = (_regions(length, self.regions) for length in codes.shape)
        place = (rows[:, None] * self.regions + columns) * PATTERNS
        counts = np.bincount((codes + place).ravel(), minlength=self.regions**2 * PATTERNS)
        grid = counts.reshape(self.regions, self.regions, PATTERNS)
        roots = np.sqrt(grid / np.maximum(grid.sum(axis=2, keepdims=True), 1))
        both = (roots + roots[:, ::-1, MIRRORED]) / 2
        return np.asarray(both[:, : (self.regions + 1) // 2], dtype=np.float32).ravel()


def _regions(length: int, count: int) -> NDArray[np.intp]:
    """(length,) which of the regions each pixel is in; the same from both ends but for an odd middle."""
    left = [round(k * length / count) for k in range(1, (count + 1) // 2)]
    middle = [length // 2] if count % 2 == 0 else []
    ends = np.array([*left, *middle, *(length - end for end in reversed(left))], dtype=np.intp)
    return np.searchsorted(ends, np.arange(length), side="right")
