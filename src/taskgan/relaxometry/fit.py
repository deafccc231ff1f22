"""T1, T2, density and B1 of every voxel of one subject."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from taskgan.core.errors import UserError
from taskgan.physics.sequences import Mdme, SpinEcho, target_signal
from taskgan.relaxometry.acquisition import Relaxometry
from taskgan.relaxometry.noise import has_signal, noise_sd
from taskgan.relaxometry.projection import (
    T1_STEP,
    Array,
    amplitudes,
    atoms,
    energy,
    evenly_spaced,
    fit_t1,
    gram,
    recovery,
    vertex,
)

_CHUNK = 65536  # voxels at once: what a core's cache and little memory hold


@dataclass(frozen=True)
class RelaxometryMaps:
    """What was fitted, (X, Y, Z) each; 0 in air.

    Attributes:
        t1: ms.
        t2: ms.
        pd: Density in the images' units: the signal of fully relaxed water that does not decay.
        b1: Relative to nominal.
        noise: SD of the noise in one part of one input image.
    """

    t1: NDArray[np.float32]
    t2: NDArray[np.float32]
    pd: NDArray[np.float32]
    b1: NDArray[np.float32]
    noise: float

    def by_suffix(self) -> dict[str, NDArray[np.float32]]:
        """The maps by their BIDS suffix; B1 in per cent of nominal is called TB1map."""
        return {"T1map": self.t1, "T2map": self.t2, "PDmap": self.pd, "TB1map": self.b1}


def fit_maps(
    images: NDArray[Any],
    protocol: Mdme,
    *,
    voxel_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
    settings: Relaxometry | None = None,
    name: str = "the input",
) -> RelaxometryMaps:
    """Fit the maps of one subject.

    Variable projection leaves T1 and B1 to be searched. B1 is a smooth field; given it, T1 is found on a grid
    and then between its points. T2 and density follow from the echoes' amplitudes, in closed form.

    Args:
        images: (D, E, X, Y, Z): delays and echoes of the protocol in its order; complex, or real with their sign.
        protocol: Times and angles.
        voxel_mm: Edges of a voxel.
        settings: Ranges and smoothness.
        name: What to call the input in messages.

    Raises:
        UserError: If no voxel has signal.
    """
    settings = settings or Relaxometry()
    delays, echoes, *shape = images.shape
    if (delays, echoes) != (len(protocol.delays), len(protocol.echoes)) or len(shape) != 3:
        raise ValueError(f"images are {images.shape}, expected (delays, echoes, X, Y, Z) of the protocol")
    parts = echoes * (2 if np.iscomplexobj(images) else 1)
    flat = images.reshape(delays, echoes, -1)
    packed = np.concatenate([gram(flat[..., i : i + _CHUNK]) for i in range(0, flat.shape[-1], _CHUNK)], axis=1)
    sd = noise_sd(packed, parts)
    at = np.flatnonzero(has_signal(packed, sd, delays * parts, settings.signal))
    if not at.size:
        raise UserError(f"{name} holds no signal above its noise")
    packed = packed[:, at]
    points = np.stack(np.unravel_index(at, shape)) * np.asarray(voxel_mm, dtype=np.float64)[:, None]
    b1 = transmit_field(packed, points, sd, protocol, settings)
    t1, t2, pd = (np.empty(at.size) for _ in range(3))
    for start in range(0, at.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        t1[part], _ = fit_t1(packed[:, part], b1[part], protocol, settings.t1)
        shape_m = recovery(t1[part], b1[part], protocol)
        t2[part], pd[part] = fit_decay(amplitudes(flat[..., at[part]], shape_m), shape_m, sd, protocol, settings)

    def volume(values: Array) -> NDArray[np.float32]:
        """Values of the fitted voxels as an image (X, Y, Z), 0 elsewhere."""
        full = np.zeros(int(np.prod(shape)), dtype=np.float32)
        full[at] = values
        return full.reshape(shape)

    return RelaxometryMaps(volume(t1), volume(t2), volume(pd), volume(b1), sd)


def fit_decay(
    amplitude: NDArray[Any], shape: Array, sd: float, protocol: Mdme, settings: Relaxometry
) -> tuple[Array, Array]:
    """T2 (ms) and density (the images' units), (N,) each, from the echoes' amplitudes c (E, N) at m (D, N).

    The logarithm of |c_e|² is linear in TE; it is fitted with the weights that its noise gives it. Noise makes
    the magnitude of a complex number too large, so its share of |c_e|² is taken off first.
    """
    echoes = np.asarray(protocol.echoes)[:, None]
    variance = sd**2 / (shape**2).sum(axis=0)
    raw = np.abs(amplitude.astype(np.complex128 if np.iscomplexobj(amplitude) else np.float64)) ** 2
    power = np.maximum(raw - (2 if np.iscomplexobj(amplitude) else 1) * variance, 0.25 * variance)
    power = np.maximum(power, 1e-6 * raw.max(axis=0) + np.finfo(float).tiny)
    weight = power / power.sum(axis=0)
    log_size = 0.5 * np.log(power)
    te = (weight * echoes).sum(axis=0)
    mean = (weight * log_size).sum(axis=0)
    slope = (weight * (echoes - te) * (log_size - mean)).sum(axis=0) / (weight * (echoes - te) ** 2).sum(axis=0)
    rate = np.clip(-slope, 1.0 / settings.t2[1], 1.0 / settings.t2[0])
    expected = np.exp(-echoes * rate)
    pd = (np.sqrt(power) * expected).sum(axis=0) / (expected**2).sum(axis=0)
    return 1.0 / rate, pd


def synthesise(maps: RelaxometryMaps, target: SpinEcho) -> NDArray[np.float32]:
    """The magnitude image that a sequence would give (:func:`~taskgan.physics.sequences.target_signal`).

    One T1, T2 and density stand for a voxel, whatever is in it. Where CSF and tissue share one, the signals of
    the two would cancel on T2-FLAIR (CSF is nearly nulled, but it has most of the density and T2), and those of
    the mixed parameters do not: the bright rim of synthetic T2-FLAIR.

    Returns:
        (X, Y, Z), not negative, in the units of the input; 0 in air.
    """
    image = np.zeros(maps.t1.shape, dtype=np.float32)
    inside = maps.t1 > 0
    image[inside] = np.abs(target_signal(maps.pd[inside], maps.t1[inside], maps.t2[inside], target))
    return image


_MOST = 60000  # voxels that are looked at: the field is smooth
_B1_STEP = 0.02  # of the first look
_NUDGE = 0.01  # of the differences that give slope and curvature
_MODEL = 3e-3  # part of a voxel's signal that the model may miss without a penalty: grids, tissue that varies
_SATURATED = 30.0  # squared misfit, in noise, at which a voxel counts half
_ROUNDS = 4
_PRIOR = 0.2  # SD of the field's constant; of a term of degree d it is this over 1 + d²


def transmit_field(packed_gram: Array, points: Array, sd: float, protocol: Mdme, settings: Relaxometry) -> Array:
    """The transmit field B1, relative to nominal: one smooth field that explains the recovery of all voxels best.

    A single voxel tells its B1 poorly, and one of several tissues tells a wrong one. The field is therefore a
    polynomial over the head whose coefficients are fitted to all voxels at once. Its start is a B1 for each block of
    voxels, then Newton's steps on the misfit of the voxels, each with its own best T1, in which those that no single
    tissue explains count little. The prior on the coefficients says that the field is near 1 and smooth.

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
