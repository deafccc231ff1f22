"""Linear operators along one axis, as sparse matrices: blur, down-sampling, interpolation.

In two dimensions all of them are separable: an image (X, Y) becomes ``M_x · image · M_yᵀ``, the adjoint is the
transpose, and a chain of them is a product of small matrices. Every row sums to one: a constant image keeps its
value, also at the edges, where what lies outside is mirrored (blur) or the edge's own value (interpolation).
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Matrix = sparse.csr_array

_REACH = 4.0  # standard deviations of a Gaussian, of which less than 1e-4 lies beyond
_A = -0.5  # of Keys' kernel: the only value that interpolates a quadratic exactly


def blur_matrix(length: int, sigma: float) -> Matrix:
    """Gaussian blur (L, L), sampled at whole pixels and normalised, mirrored at the edges (``… b a | a b …``).

    Args:
        length: Pixels L.
        sigma: Standard deviation in pixels; 0 is the identity.
    """
    if sigma == 0:
        return sparse.eye_array(length, format="csr")
    reach = int(np.ceil(_REACH * sigma))
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    places = np.arange(length)[:, None] + offsets[None, :]
    folded = np.mod(places, 2 * length)
    folded = np.where(folded < length, folded, 2 * length - 1 - folded)
    return _matrix(folded, np.broadcast_to(weights / weights.sum(), folded.shape), length)


def area_matrix(length: int, size: int) -> Matrix:
    """Mean over the part of the axis that each of ``size`` pixels covers (size, L); parts of pixels count as such.

    Args:
        length: Pixels L before.
        size: Pixels after, at most L.
    """
    ratio = length / size
    edges = np.arange(size + 1) * ratio
    first = np.floor(edges[:-1] + 1e-9).astype(int)
    count = int(np.ceil(ratio)) + 1
    places = first[:, None] + np.arange(count)[None, :]
    covered = np.minimum(places + 1, edges[1:, None]) - np.maximum(places, edges[:-1, None])
    weights = np.clip(covered, 0.0, None)
    return _matrix(np.minimum(places, length - 1), weights / weights.sum(axis=1, keepdims=True), length)


def decimate_matrix(length: int, size: int) -> Matrix:
    """The value at the middle of each of ``size`` pixels (size, L), linear between its two neighbours.

    Taking every n-th pixel instead would shift the image by (n − 1)/2 pixels.

    Args:
        length: Pixels L before.
        size: Pixels after, at most L.
    """
    middle = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, length - 1)
    lower = np.minimum(np.floor(middle + 1e-9).astype(int), max(length - 2, 0))
    share = np.clip(middle - lower, 0.0, 1.0)
    places = np.stack([lower, np.minimum(lower + 1, length - 1)], axis=1)
    return _matrix(places, np.stack([1 - share, share], axis=1), length)


def bicubic_matrix(size: int, length: int) -> Matrix:
    """Cubic convolution up to ``length`` pixels (L, size), pixel centres aligned, the edge's value outside.

    Keys 1981 (10.1109/TASSP.1981.1163711) with a = −0.5, as Pillow and MATLAB have it.

    Args:
        size: Pixels before.
        length: Pixels L after, at least ``size``.
    """
    at = (np.arange(length) + 0.5) * size / length - 0.5
    lower = np.floor(at).astype(int)
    places = lower[:, None] + np.arange(-1, 3)[None, :]
    weights = _keys(np.abs(at[:, None] - places))
    return _matrix(np.clip(places, 0, size - 1), weights, size)


def _keys(t: NDArray[np.float64]) -> NDArray[np.float64]:
    near = (_A + 2) * t**3 - (_A + 3) * t**2 + 1
    far = _A * t**3 - 5 * _A * t**2 + 8 * _A * t - 4 * _A
    return np.asarray(np.where(t <= 1, near, np.where(t < 2, far, 0.0)))


def _matrix(places: NDArray[np.intp], weights: NDArray[np.float64], columns: int) -> Matrix:
    """Rows of weights at places; those of one place add up."""
    rows = np.broadcast_to(np.arange(len(places))[:, None], places.shape)
    nonzero = weights != 0
    entries = (weights[nonzero], (rows[nonzero], places[nonzero]))
    return sparse.coo_array(entries, shape=(len(places), columns)).tocsr()
