"""T1 of every voxel at a known B1: a grid, then the parabola between its points."""

import numpy as np

from taskgan.relaxometry.projection import Array, atoms, recovery, vertex
from taskgan.simulate.mr.sequences import Mdme

T1_STEP = 0.05
"""Of ln T1, on the grid."""
_B1_BIN = 0.01  # voxels whose B1 is within a bin share the first, coarse look
_ROUNDS = 4  # each finds T1 about four times closer


def fit_t1(packed: Array, b1: Array, protocol: Mdme, limits: tuple[float, float]) -> tuple[Array, Array]:
    """The T1 that explains most of a voxel's energy.

    Args:
        packed: R (D(D+1)/2, N).
        b1: Relative to nominal (N,).
        protocol: Delays, TR and angles.
        limits: Smallest and largest T1, ms.

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
