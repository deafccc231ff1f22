"""Variable projection: what is linear in the signal is solved for, and T1 and B1 alone are searched.

All delays of an echo have the same receive phase, density and T2 decay. Its D complex values are therefore
c_e · m(T1, B1) + noise, with one complex c_e and the real recovery m of
:func:`~taskgan.physics.sequences.mdme_signal` at full density and TE 0. For given m the best c_e is
mᵀS_e / |m|², and what it leaves of the energy is tr R − mᵀR m / |m|² with the real D × D matrix
R = Σ_e Re(S_e S_eᴴ). A voxel is thus a quadratic form, whatever its phases (10.1088/0266-5611/19/2/201).
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from taskgan.physics.sequences import Mdme, mdme_signal

Array = NDArray[np.float64]


def recovery(t1: ArrayLike, b1: ArrayLike, protocol: Mdme) -> Array:
    """m (D, ...): signal at every delay per unit of density without T2 decay; T1 (ms) and relative B1 broadcast."""
    return np.stack([mdme_signal(1.0, t1, 1.0, te=0.0, td=td, b1=b1, protocol=protocol) for td in protocol.delays])


def gram(signal: NDArray[Any]) -> Array:
    """R of a complex or real signal (D, E, N), packed (D(D+1)/2, N) in the order of ``numpy.triu_indices``."""
    rows, columns = np.triu_indices(len(signal))
    products = [
        (signal[i].real * signal[j].real + signal[i].imag * signal[j].imag).sum(axis=0, dtype=np.float64)
        for i, j in zip(rows, columns, strict=True)
    ]
    return np.stack(products)


def atoms(shape: Array) -> Array:
    """What R is multiplied with to give mᵀR m / |m|², of m (D, ...).

    Returns:
        (D(D+1)/2, ...): products of the unit vectors' entries, twice off the diagonal.
    """
    unit = shape / np.sqrt((shape**2).sum(axis=0))
    rows, columns = np.triu_indices(len(shape))
    twice = np.where(rows == columns, 1.0, 2.0).reshape(-1, *[1] * (shape.ndim - 1))
    return np.asarray(unit[rows] * unit[columns] * twice)


def energy(packed_gram: Array) -> Array:
    """tr R of every voxel (N,): the energy of its images."""
    count = int(np.sqrt(2 * len(packed_gram)))
    rows, columns = np.triu_indices(count)
    return np.asarray(packed_gram[rows == columns].sum(axis=0))


def amplitudes(signal: NDArray[Any], shape: Array) -> NDArray[Any]:
    """c (E, N): the best complex amplitude of each echo of a signal (D, E, N) for m (D, N)."""
    return np.asarray((signal * shape[:, None]).sum(axis=0) / (shape**2).sum(axis=0))


def vertex(left: Array, middle: Array, right: Array) -> tuple[Array, Array]:
    """Where a parabola through three equidistant values has its largest value, and that value.

    Returns:
        Offset from the middle in steps, within ±1 (0 where there is no maximum), and the value there.
    """
    bend = 2.0 * middle - left - right
    safe = np.where(bend > 0, bend, 1.0)
    offset = np.where(bend > 0, np.clip(0.5 * (right - left) / safe, -1.0, 1.0), 0.0)
    return offset, middle + 0.5 * offset * (right - left) - 0.5 * offset**2 * bend


def evenly_spaced(count: int, most: int) -> NDArray[np.intp]:
    """Numbers of at most ``most`` of ``count`` voxels, rising and the same every time.

    They are drawn: every n-th voxel of a stack would be that of a few of its slices.
    """
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))


T1_STEP = 0.05
"""Of ln T1, on the grid."""
_B1_BIN = 0.01  # voxels whose B1 is within a bin share the first, coarse look
_ROUNDS = 4  # each finds T1 about four times closer


def fit_t1(packed: Array, b1: Array, protocol: Mdme, limits: tuple[float, float]) -> tuple[Array, Array]:
    """The T1 that explains most of a voxel's energy, R (D(D+1)/2, N), at relative B1 (N,); limits are in ms.

    Returns:
        T1, ms (N,), and the energy that it explains (N,).
    """
    low, high = np.log(limits)
    grid = np.linspace(low, high, int(np.ceil((high - low) / T1_STEP)) + 1)
    bins = np.round(b1 / _B1_BIN).astype(np.int64)
    log_t1 = np.empty(len(b1))
    order = np.argsort(bins, kind="stable")
    values, starts = np.unique(bins[order], return_index=True)
    for value, own in zip(values, np.split(order, starts[1:]), strict=True):
        explained = atoms(recovery(np.exp(grid), value * _B1_BIN, protocol)).T @ packed[:, own]
        log_t1[own] = grid[explained.argmax(axis=0)]

    def score(at: Array) -> Array:
        """Explained energy (N,) at ln T1 (N,)."""
        return np.asarray((atoms(recovery(np.exp(at), b1, protocol)) * packed).sum(axis=0))

    step = float(grid[1] - grid[0])
    middle = score(log_t1)
    for _ in range(_ROUNDS):
        offset, _ = vertex(score(log_t1 - step), middle, score(log_t1 + step))
        moved = np.clip(log_t1 + offset * step, low, high)
        value = score(moved)
        better = value >= middle
        log_t1, middle = np.where(better, moved, log_t1), np.where(better, value, middle)
        step /= 4.0
    return np.exp(log_t1), middle
