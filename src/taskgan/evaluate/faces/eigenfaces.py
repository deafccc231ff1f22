"""Eigenfaces (Turk and Pentland 1991, 10.1162/jocn.1991.3.1.71): principal components of clean training faces."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from taskgan.evaluate.faces.whitening import leading

Array = NDArray[np.float32]

_MORE = 20  # directions beyond those asked for
_AT_ONCE = 1024  # images


@dataclass(frozen=True)
class Eigenfaces:
    """A space of faces.

    Attributes:
        mean: (H, W) mean of the standardised training images.
        axes: (K, H, W) orthonormal, by falling variance.
        deviations: (K,) standard deviation of the training images along each axis.
        whitened: Whether descriptors are divided by these, so that every axis counts the same: the cosine is then
            the Mahalanobis cosine (Moon and Phillips 2001, 10.1068/p2896), which tells faces apart much better.
    """

    mean: Array
    axes: Array
    deviations: Array
    whitened: bool

    def describe(self, images: Array) -> Array:
        """Descriptors (N, K) of grey faces (N, H, W), each standardised by itself: brightness and contrast are lost.

        Raises:
            ValueError: If the images are of another size than those that the space was made of.
        """
        if images.ndim != 3 or images.shape[1:] != self.mean.shape:
            raise ValueError(
                f"expected faces (N, {self.mean.shape[0]}, {self.mean.shape[1]}), got {images.shape}"
            )
        axes = self.axes.reshape(len(self.axes), -1).T
        found = np.empty((len(images), len(self.axes)), dtype=np.float32)
        for k in range(0, len(images), _AT_ONCE):
            found[k : k + _AT_ONCE] = (_standardised(images[k : k + _AT_ONCE]) - self.mean.ravel()) @ axes
        return found / self.deviations if self.whitened else found


def fit_eigenfaces(images: Array, *, components: int = 100, whiten: bool = True, seed: int = 0) -> Eigenfaces:
    """Principal components of faces, by a randomised decomposition (Halko et al. 2011, 10.1137/090771806).

    Ten thousand faces of 128×128 take seconds, where the exact decomposition takes many minutes.

    Args:
        images: (N, H, W) grey faces of the training subjects, clean and aligned.
        components: How many axes, at most; there are no more than images less one, or pixels.
        whiten: See :class:`Eigenfaces`.
        seed: Of the random directions that the axes are found from.

    Raises:
        ValueError: If there are fewer than two images, or they are all the same.
    """
    if images.ndim != 3 or len(images) < 2 or components < 1:
        raise ValueError(
            f"expected at least two faces (N, H, W) and a component, got {images.shape}, {components}"
        )
    faces = _standardised(images)
    mean = faces.mean(axis=0, dtype=np.float64).astype(np.float32)
    faces -= mean
    most = min(len(faces) - 1, faces.shape[1])
    kept = min(components, most)
    values, axes = leading(faces, kept, min(kept + _MORE, most), np.random.default_rng(seed))
    real = values > 1e-4 * values.max(initial=0)  # what is left of a smaller space is rounding
    if not real.any():
        raise ValueError("all faces are the same, expected faces of different people")
    shape = (int(real.sum()), *images.shape[1:])
    deviations = (values[real] / np.sqrt(len(faces) - 1)).astype(np.float32)
    return Eigenfaces(mean.reshape(images.shape[1:]), axes[real].reshape(shape), deviations, whiten)


def _standardised(images: Array) -> Array:
    """(N, H · W), each of mean 0 and standard deviation 1; a flat image is all zeros."""
    found = np.array(images, dtype=np.float32).reshape(len(images), -1)
    for k in range(0, len(found), _AT_ONCE):  # in place: thousands of photos are a gigabyte
        part = found[k : k + _AT_ONCE].astype(np.float64)
        least = 1e-6 * np.abs(part).max(axis=1, keepdims=True, initial=0)
        part -= part.mean(axis=1, keepdims=True)
        spread = part.std(axis=1, keepdims=True)
        found[k : k + _AT_ONCE] = np.divide(part, spread, out=np.zeros_like(part), where=spread > least)
    return found
