"""T1, T2, density and B1 of every voxel of one subject."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.core.errors import UserError
from taskgan.physics.sequences import Mdme, SpinEcho, target_signal
from taskgan.relaxometry.acquisition import Relaxometry
from taskgan.relaxometry.noise import has_signal, noise_sd
from taskgan.relaxometry.projection import Array, amplitudes, fit_t1, gram, recovery
from taskgan.relaxometry.transmit import transmit_field

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
    """T2 and density from the echoes' amplitudes.

    The logarithm of |c_e|² is linear in TE; it is fitted with the weights that its noise gives it. Noise makes
    the magnitude of a complex number too large, so its share of |c_e|² is taken off first.

    Args:
        amplitude: c (E, N).
        shape: m (D, N).
        sd: Of the noise.
        protocol: Echo times.
        settings: Range of T2.

    Returns:
        T2, ms, and density, in the images' units, (N,) each.
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

    Args:
        maps: Of the subject.
        target: TR, TE and TI.

    Returns:
        (X, Y, Z), not negative, in the units of the input; 0 in air.
    """
    image = np.zeros(maps.t1.shape, dtype=np.float32)
    inside = maps.t1 > 0
    image[inside] = np.abs(target_signal(maps.pd[inside], maps.t1[inside], maps.t2[inside], target))
    return image
