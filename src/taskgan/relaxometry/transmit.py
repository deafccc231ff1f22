"""The transmit field B1: one smooth field that explains the recovery of all voxels best.

A single voxel tells its B1 poorly, and one of several tissues tells a wrong one. The field is therefore a polynomial
over the head whose coefficients are fitted to all voxels at once. Its start is a B1 for each block of voxels, then
Newton's steps on the misfit of the voxels, each with its own best T1, in which those that no single tissue explains
count little. The prior on the coefficients says that the field is near 1 and smooth.
"""

import numpy as np
from numpy.polynomial import legendre

from taskgan.physics.sequences import Mdme
from taskgan.relaxometry.acquisition import Relaxometry
from taskgan.relaxometry.projection import T1_STEP, Array, atoms, energy, evenly_spaced, fit_t1, recovery, vertex

_MOST = 60000  # voxels that are looked at: the field is smooth
_B1_STEP = 0.02  # of the first look
_NUDGE = 0.01  # of the differences that give slope and curvature
_MODEL = 3e-3  # part of a voxel's signal that the model may miss without a penalty: grids, tissue that varies
_SATURATED = 30.0  # squared misfit, in noise, at which a voxel counts half
_ROUNDS = 4
_PRIOR = 0.2  # SD of the field's constant; of a term of degree d it is this over 1 + d²


def transmit_field(packed_gram: Array, points: Array, sd: float, protocol: Mdme, settings: Relaxometry) -> Array:
    """B1 relative to nominal.

    Args:
        packed_gram: R of the voxels with signal (D(D+1)/2, N).
        points: Their places (3, N), mm.
        sd: Of the noise.
        protocol: Delays, TR and angles.
        settings: Range, blocks and degree.

    Returns:
        (N,), within ``settings.b1_range``.
    """
    count = packed_gram.shape[1]
    if settings.b1 == "nominal" or not count:
        return np.ones(count)
    field = _Polynomial(points, settings.b1_degree)
    some = evenly_spaced(count, _MOST)
    packed, places = packed_gram[:, some], points[:, some]
    scale = sd**2 + _MODEL**2 * energy(packed) / int(np.sqrt(2 * len(packed))) + np.finfo(float).tiny
    centres, b1, bend = _blocks(packed, places, scale, protocol, settings)
    field.step(centres, np.zeros_like(b1), (b1 - 1.0) * bend, bend)
    for _ in range(_ROUNDS):
        now = np.clip(field(places), *settings.b1_range)
        field.step(places, now - 1.0, *_slope_and_bend(packed, now, scale, protocol, settings))
    parts = np.array_split(points, max(1, count // _MOST), axis=1)
    return np.asarray(np.clip(np.concatenate([field(part) for part in parts]), *settings.b1_range))


class _Polynomial:
    """1 + products of Legendre polynomials up to a total degree, over the box of the head."""

    def __init__(self, points: Array, degree: int) -> None:
        low, high = points.min(axis=1), points.max(axis=1)
        self._middle, self._half = 0.5 * (low + high), np.maximum(0.5 * (high - low), 1e-6)
        # No more powers along an axis than it has places to tell them apart.
        most = [min(degree, len(np.unique(axis)) - 1) for axis in points]
        whole = [range(n + 1) for n in most]
        self._powers = [(i, j, k) for i in whole[0] for j in whole[1] for k in whole[2] if i + j + k <= degree]
        self._precision = np.array([((1.0 + sum(p) ** 2) / _PRIOR) ** 2 for p in self._powers])
        self.coefficients: Array = np.zeros(len(self._powers))

    def basis(self, points: Array) -> Array:
        """(N, coefficients) at places (3, N)."""
        scaled = (points - self._middle[:, None]) / self._half[:, None]
        px, py, pz = (legendre.legvander(axis, max(sum(p) for p in self._powers)) for axis in scaled)
        return np.stack([px[:, i] * py[:, j] * pz[:, k] for i, j, k in self._powers], axis=1)

    def __call__(self, points: Array) -> Array:
        return np.asarray(1.0 + self.basis(points) @ self.coefficients)

    def step(self, points: Array, now: Array, rise: Array, bend: Array) -> None:
        """Newton's step on a log-likelihood with slope ``rise`` and curvature −``bend`` at the field 1 + ``now``."""
        basis = self.basis(points)
        weighted = basis * bend[:, None]
        normal = weighted.T @ basis + np.diag(self._precision)
        self.coefficients = np.asarray(np.linalg.solve(normal, basis.T @ rise + weighted.T @ now))


def _slope_and_bend(
    packed: Array, b1: Array, scale: Array, protocol: Mdme, settings: Relaxometry
) -> tuple[Array, Array]:
    """Of each voxel's log-likelihood against B1 with T1 free, weighted by how well it is explained (N,)."""
    near = [fit_t1(packed, b1 + k * _NUDGE, protocol, settings.t1)[1] / scale for k in (-1, 0, 1)]
    misfit = np.maximum(energy(packed) / scale - near[1], 0.0)
    weight = 0.5 / (1.0 + misfit / _SATURATED) ** 2
    bend = np.maximum(2.0 * near[1] - near[0] - near[2], 0.0) / _NUDGE**2
    return weight * (near[2] - near[0]) / (2.0 * _NUDGE), weight * bend


def _blocks(
    packed: Array, points: Array, scale: Array, protocol: Mdme, settings: Relaxometry
) -> tuple[Array, Array, Array]:
    """Centres (3, K), B1 (K,) and curvature (K,) of the blocks whose best B1 lies within the range."""
    low, high = settings.b1_range
    trial = np.arange(low, high + 0.5 * _B1_STEP, _B1_STEP)
    cells = np.floor((points - points.min(axis=1, keepdims=True)) / settings.b1_block).astype(np.int64)
    _, block = np.unique(cells, axis=1, return_inverse=True)
    block = block.reshape(-1)
    number = int(block.max()) + 1
    misfit = _misfits(packed, trial, scale, protocol, settings)
    least = misfit.min(axis=0)
    weight = 1.0 / (1.0 + (least / _SATURATED) ** 2)
    above = misfit - least
    above = above / (1.0 + above / _SATURATED)
    summed = np.stack([np.bincount(block, row * weight, minlength=number) for row in above])
    centres = np.stack([np.bincount(block, axis, minlength=number) for axis in points]) / np.bincount(block)
    best = np.clip(summed.argmin(axis=0), 1, len(trial) - 2)
    left, middle, right = (-np.take_along_axis(summed, (best + k)[None], axis=0)[0] for k in (-1, 0, 1))
    offset, _ = vertex(left, middle, right)
    bend = 0.5 * np.maximum(2.0 * middle - left - right, 0.0) / _B1_STEP**2
    return centres, trial[best] + offset * _B1_STEP, bend


def _misfits(packed: Array, trial: Array, scale: Array, protocol: Mdme, settings: Relaxometry) -> Array:
    """Squared misfit in noise at every B1 with the best T1 (B, N)."""
    t1 = np.exp(np.arange(np.log(settings.t1[0]), np.log(settings.t1[1]) + T1_STEP, T1_STEP))
    total = energy(packed)
    misfit = np.empty((len(trial), packed.shape[1]))
    for row, b1 in enumerate(trial):
        explained = atoms(recovery(t1, b1, protocol)).T @ packed
        best = np.clip(explained.argmax(axis=0), 1, len(t1) - 2)
        left, middle, right = (np.take_along_axis(explained, (best + k)[None], axis=0)[0] for k in (-1, 0, 1))
        misfit[row] = np.maximum(total - vertex(left, middle, right)[1], 0.0) / scale
    return misfit
