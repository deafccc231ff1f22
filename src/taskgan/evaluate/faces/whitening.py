"""Principal components that count (nearly) alike: which differences between faces are common is no news.

Whitened components and the cosine have long been the unsupervised reading of faces (Moon and Phillips 2001,
10.1068/p2896; Hussain et al. 2012, 10.5244/C.26.99). Components are divided by a power of their standard deviation: 1
is whitening, less is attenuated whitening (Mukundan et al. 2019, 10.1007/s11263-018-1137-8), which trusts the small
ones less. No identity is used.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

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


def _leading(
    centred: Array, rank: int, tried: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], Array]:
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
