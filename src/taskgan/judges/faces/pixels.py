"""Faces by their pixels: what eigenfaces are made of (Turk and Pentland 1991, 10.1162/jocn.1991.3.1.71).

Each image is made small, loses its mean and is divided by its standard deviation. The mean with the mirrored image is
taken, as for the texture. As a setting, every pixel is compared with its own neighbourhood first, whose mean it loses
and by whose standard deviation it is divided (Xie and Lam 2006, 10.1016/j.patrec.2005.09.026); on LFW that gained
nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

Array = NDArray[np.float32]
Floats = NDArray[np.float64]

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


def unit_distance(first: ArrayLike, second: ArrayLike) -> Floats:
    """Euclidean distance after both were brought to length 1, 0 to 2; the distance of face verification.

    Returns:
        (N,) of descriptors (N, F) of the two images of each pair. One of length 0 lies at distance 1 from all others.

    Raises:
        ValueError: If the shapes differ or are not (N, F).
    """
    units = []
    for own in _pairs(first, second):
        length = np.linalg.norm(own, axis=1, keepdims=True)
        units.append(np.divide(own, length, out=np.zeros_like(own), where=length > 0))
    return np.asarray(np.linalg.norm(units[0] - units[1], axis=1))


def chi_square_distance(first: ArrayLike, second: ArrayLike) -> Floats:
    """Σ (a − b)² / (a + b) of histograms; bins that are empty in both count nothing.

    As in Ahonen et al. 2006 (10.1109/TPAMI.2006.244), without weights of regions.

    Returns:
        (N,) of descriptors (N, F), which are not negative: 0 to 2 times the number of histograms in one.

    Raises:
        ValueError: If the shapes differ or are not (N, F), or a bin is negative.
    """
    ours, theirs = _pairs(first, second)
    if min(ours.min(initial=0), theirs.min(initial=0)) < 0:
        raise ValueError("chi-square compares histograms, whose bins are not negative")
    total = ours + theirs
    shares = np.divide((ours - theirs) ** 2, total, out=np.zeros_like(total), where=total > 0)
    return np.asarray(shares.sum(axis=1))


def _pairs(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats]:
    ours, theirs = (np.asarray(d, dtype=np.float64) for d in (first, second))
    if ours.shape != theirs.shape or ours.ndim != 2:
        raise ValueError(f"got descriptors {ours.shape} and {theirs.shape}, expected (N, F) of both")
    return ours, theirs
