"""Features of faces that need no identity: local binary patterns, pixels, and the space that training faces span.

*Texture*: a face as histograms of local binary patterns, region by region. Nothing is learned. Ahonen, Hadid and
Pietikäinen 2006 (10.1109/TPAMI.2006.244): uniform patterns of 8 points at a radius of 2, in 7×7 regions. A code only
asks which neighbours are brighter than the pixel, so that brightness and contrast of a photo make no difference.

*Pixels*: what eigenfaces are made of (Turk and Pentland 1991, 10.1162/jocn.1991.3.1.71). Each image is made small,
loses its mean and is divided by its standard deviation. The mean with the mirrored image is taken, as for the texture.
As a setting, every pixel is compared with its own neighbourhood first, whose mean it loses and by whose standard
deviation it is divided (Xie and Lam 2006, 10.1016/j.patrec.2005.09.026); on LFW that gained nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

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


_FLAT = 0.05  # share of an image's own variance that is added to a neighbourhood's, where nothing is to be seen
_CUT = 2.5  # standard deviations at which the neighbourhood ends


@dataclass(frozen=True)
class Pixels:
    """Features of a face.

    Attributes:
        edge: Pixels that its shorter edge is brought to; a smaller image stays as it is.
        neighbourhood: Standard deviation of the Gaussian that is a pixel's neighbourhood, of those pixels; 0 compares
            with the whole image.
    """

    edge: int = 48
    neighbourhood: float = 0.0

    source = ("10.1162/jocn.1991.3.1.71", "10.1016/j.patrec.2005.09.026", "10.5244/C.26.99")

    def __call__(self, image: Array) -> Array:
        """Features (F,) of a grey face (H, W), rows first; brightness and contrast make no difference.

        A mirrored image has the same ones, so that only the left half is kept. Of a flat image all are zero.
        """
        small = resized(image, small_shape(image.shape[0], image.shape[1], self.edge)).astype(np.float64)
        small -= small.mean()
        variance = small.var()
        if not variance > 1e-12 * max(1.0, float(np.abs(image).max()) ** 2):
            small = np.zeros_like(small)
        elif self.neighbourhood:
            small = small - gaussian_filter(small, self.neighbourhood, truncate=_CUT)
            spread = gaussian_filter(small**2, self.neighbourhood, truncate=_CUT)
            small = small / np.sqrt(spread + _FLAT * spread.mean())
            small = (small - small.mean()) / small.std()
        else:
            small = small / np.sqrt(variance)
        both = (small + small[:, ::-1]) / 2
        return np.asarray(both[:, : (both.shape[1] + 1) // 2], dtype=np.float32).ravel()


def small_shape(height: int, width: int, edge: int) -> tuple[int, int]:
    """Size of an image whose shorter edge is brought to ``edge``, if it is longer."""
    scale = min(1.0, edge / min(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def resized(image: Array, shape: tuple[int, int]) -> Array:
    """(H, W) at another size, bilinear; what is made smaller is averaged, not skipped."""
    if image.shape == shape:
        return image
    picture = Image.fromarray(np.ascontiguousarray(image, dtype=np.float32))
    return np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR), dtype=np.float32)


IMAGES_EACH = 3
"""Images for each component, at least: directions found from fewer are those images' own."""
_MORE = 20  # directions beyond those asked for
_PASSES = 3


@dataclass(frozen=True)
class Whitening:
    """A space of features.

    Attributes:
        mean: (F,) of the training images.
        axes: (K, F) orthonormal, by falling variance.
        deviations: (K,) standard deviation of the training images along each axis.
        power: Of the deviations that components are divided by, 0 to 1.
    """

    mean: Array
    axes: Array
    deviations: Array
    power: float

    def describe(self, features: Array) -> Array:
        """Components (…, K) of features (…, F)."""
        scores = (features - self.mean) @ self.axes.T
        return np.asarray(scores / self.deviations**self.power, dtype=np.float32)


def fit_whitening(features: Array, *, components: int, power: float, seed: int = 0) -> Whitening:
    """Learn the space from features of training images; no label is asked for.

    Args:
        features: (N, F); changed in place, because a copy of thousands of images is half a gigabyte.
        components: How many, at most; a third of the images is the limit too.
        power: See :class:`Whitening`.
        seed: Of the random directions that the axes are found from.

    Raises:
        ValueError: If there are fewer than two images, or they are all the same.
    """
    if features.ndim != 2 or len(features) < 2 or components < 1 or not 0 <= power <= 1:
        raise ValueError(
            f"expected features (N, F) of two images or more, a component and a power of 0 to 1, got "
            f"{features.shape}, {components}, {power}"
        )
    count = len(features)
    mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    features -= mean
    most = min(count - 1, features.shape[1])
    rank = min(components, max(1, count // IMAGES_EACH), most)
    values, axes = _leading(features, rank, min(rank + _MORE, most), np.random.default_rng(seed))
    real = values > 1e-4 * values.max(initial=0)  # what is left of a smaller space is rounding
    if not real.any():
        raise ValueError("all faces are the same, expected faces of different people")
    deviations = (values[real] / np.sqrt(count - 1)).astype(np.float32)
    return Whitening(mean, np.ascontiguousarray(axes[real]), deviations, power)


def _leading(centred: Array, rank: int, tried: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], Array]:
    """Largest singular values (kept,) and right singular vectors (kept, F) of centred rows (N, F).

    By a randomised decomposition (Halko et al. 2011, 10.1137/090771806): ten thousand faces of 128×128 take seconds,
    where the exact decomposition takes many minutes.
    """
    space = centred @ rng.standard_normal((centred.shape[1], tried), dtype=np.float32)
    for _ in range(_PASSES):
        space = np.linalg.qr(centred.T @ np.linalg.qr(space)[0])[0]
        space = centred @ space
    basis = np.linalg.qr(space)[0]
    _, values, axes = np.linalg.svd(basis.T @ centred, full_matrices=False)
    return values[:rank].astype(np.float64), axes[:rank].astype(np.float32)


Floats = NDArray[np.float64]


def unit_distance(first: ArrayLike, second: ArrayLike) -> Floats:
    """Euclidean distance after both were brought to length 1, 0 to 2; the distance of face verification.

    Args:
        first: (N, F) descriptors.
        second: (N, F), of the other image of each pair.

    Returns:
        (N,). A descriptor of length 0 lies at distance 1 from all others.

    Raises:
        ValueError: If the shapes differ or are not (N, F).
    """
    both = [np.asarray(d, dtype=np.float64) for d in (first, second)]
    if both[0].shape != both[1].shape or both[0].ndim != 2:
        raise ValueError(f"got descriptors {both[0].shape} and {both[1].shape}, expected (N, F) of both")
    lengths = [np.linalg.norm(d, axis=1, keepdims=True) for d in both]
    ours, theirs = (np.divide(d, n, out=np.zeros_like(d), where=n > 0) for d, n in zip(both, lengths, strict=True))
    return np.asarray(np.linalg.norm(ours - theirs, axis=1))
