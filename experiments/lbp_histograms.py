"""The texture descriptor of Ahonen et al. 2006 (10.1109/TPAMI.2006.244) as published, beside our reader of it."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from taskgan.judges.face_features import PATTERNS, lbp_codes

_AT_ONCE = 256  # images


def lbp_histograms(
    images: NDArray[np.float32], *, regions: tuple[int, int] = (7, 7), radius: float = 2.0
) -> NDArray[np.float32]:
    """Descriptors for :func:`chi_square_distance`.

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
    border = 2 * int(np.ceil(radius))
    if images.ndim != 3:
        raise ValueError(f"expected images (N, H, W), got {images.shape}")
    if min(images.shape[1] - border - rows, images.shape[2] - border - columns, rows - 1, columns - 1) < 0:
        raise ValueError(f"images {images.shape} are too small for {rows}×{columns} regions at a radius of {radius:g}")
    histograms = np.empty((len(images), rows, columns, PATTERNS), dtype=np.float32)
    for start in range(0, len(images), _AT_ONCE):
        codes = lbp_codes(images[start : start + _AT_ONCE], radius=radius).astype(np.int64)
        image = np.arange(len(codes))[:, None, None] * PATTERNS
        for i, row in enumerate(np.array_split(np.arange(codes.shape[1]), rows)):
            for j, column in enumerate(np.array_split(np.arange(codes.shape[2]), columns)):
                part = codes[:, row[0] : row[-1] + 1, column[0] : column[-1] + 1]
                counts = np.bincount((part + image).ravel(), minlength=len(codes) * PATTERNS)
                histograms[start : start + len(codes), i, j] = counts.reshape(-1, PATTERNS) / (row.size * column.size)
    return histograms.reshape(len(images), -1)


def chi_square_distance(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
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
    ours, theirs = (np.asarray(d, dtype=np.float64) for d in (first, second))
    if ours.shape != theirs.shape or ours.ndim != 2:
        raise ValueError(f"got descriptors {ours.shape} and {theirs.shape}, expected (N, F) of both")
    if min(ours.min(initial=0), theirs.min(initial=0)) < 0:
        raise ValueError("chi-square compares histograms, whose bins are not negative")
    total = ours + theirs
    shares = np.divide((ours - theirs) ** 2, total, out=np.zeros_like(total), where=total > 0)
    return np.asarray(shares.sum(axis=1))
