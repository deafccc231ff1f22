"""How far two descriptors are apart, pair by pair."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
    return np.asarray(np.linalg.norm(_unit(first, second) - _unit(second, first), axis=1))


def chi_square_distance(first: ArrayLike, second: ArrayLike) -> Floats:
    """Σ (a − b)² / (a + b) of histograms; bins that are empty in both count nothing.

    As in Ahonen et al. 2006 (10.1109/TPAMI.2006.244), without weights of regions.

    Args:
        first: (N, F), not negative.
        second: (N, F), not negative.

    Returns:
        (N,), 0 to 2 times the number of histograms that a descriptor is made of.

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


def _unit(descriptors: ArrayLike, others: ArrayLike) -> Floats:
    own, _ = _pairs(descriptors, others)
    length = np.linalg.norm(own, axis=1, keepdims=True)
    return np.asarray(np.divide(own, length, out=np.zeros_like(own), where=length > 0))
