"""The noise of the input, from the input: what no single tissue can explain."""

import numpy as np
from numpy.typing import NDArray

from taskgan.relaxometry.projection import Array, energy, evenly_spaced

_MOST = 40000  # voxels that are looked at; the SD is then known to better than 1 %
_STRONG = 10.0  # signal over the rest, from which the largest eigenvalue is signal and not the largest noise
_FEW = 0.03  # share of voxels that noise alone may have there


def noise_sd(packed_gram: Array, parts: int) -> float:
    """SD of the noise in one real part of one image.

    A voxel's D × P real values (P: real and imaginary parts of all echoes) are of rank one without noise. What
    is left beside the largest eigenvalue of R is noise of (D − 1)(P − 1) degrees of freedom. The median over
    voxels with signal is little moved by those with several tissues, in which it is more. Where hardly any voxel
    has signal, all energy is noise.

    Args:
        packed_gram: R (D(D+1)/2, N).
        parts: P.

    Returns:
        In the images' units; 0 where there is no voxel.
    """
    filled = np.flatnonzero(energy(packed_gram) > 0)
    some = packed_gram[:, filled[evenly_spaced(filled.size, _MOST)]]
    if not some.shape[1]:
        return 0.0
    count = int(np.sqrt(2 * len(some)))
    matrices = np.empty((some.shape[1], count, count))
    rows, columns = np.triu_indices(count)
    matrices[:, rows, columns] = matrices[:, columns, rows] = some.T
    values = np.linalg.eigvalsh(matrices)
    rest = np.maximum(values[:, :-1].sum(axis=1), 0.0)
    strong = values[:, -1] > _STRONG * rest
    if strong.mean() >= _FEW:
        return float(np.sqrt(np.median(rest[strong]) / _median_chi2((count - 1) * max(parts - 1, 1))))
    return float(np.sqrt(np.median(energy(some)) / _median_chi2(count * parts)))


def has_signal(packed_gram: Array, sd: float, images: int, times: float) -> NDArray[np.bool_]:
    """Voxels (N,) with more energy than noise alone gives.

    Args:
        packed_gram: R.
        sd: Of the noise.
        images: Real values of a voxel, D × P.
        times: How many times the noise's own energy.
    """
    total = energy(packed_gram)
    return np.asarray((total > times * images * sd**2) & (total > 0))


def _median_chi2(degrees: int) -> float:
    """Wilson and Hilferty's approximation (10.1073/pnas.17.12.684), within 0.5 % from 3 degrees of freedom."""
    return degrees * (1.0 - 2.0 / (9.0 * degrees)) ** 3
