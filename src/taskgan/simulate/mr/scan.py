"""From a body to images: signals mixed by fraction, fields, coil noise, magnitude."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.physics.sequences import Mdme, SpinEcho, mdme_signal, target_signal
from taskgan.physics.tissues import TABLE, TISSUES, Tissue
from taskgan.simulate.deform import Grid, smooth_noise, spline_weights
from taskgan.simulate.mr.settings import MrSimulation

Array = NDArray[np.float32]


def smooth_field(grid: Grid, rng: np.random.Generator, knots: tuple[int, int, int] = (5, 5, 4)) -> Array:
    """A random field of unit SD and mean 0 over the grid, from cubic B-splines (X, Y, Z)."""
    coefficients = rng.normal(0.0, 1.0, knots)
    x, y, z = (spline_weights(np.arange(n), n, count) for n, count in zip(grid.shape, knots, strict=True))
    field = np.einsum("ijk,xi,yj,zk->xyz", coefficients, x, y, z, optimize=True)
    field -= field.mean()
    return np.asarray(field / max(float(field.std()), 1e-9), dtype=np.float32)


def transmit_field(grid: Grid, head: NDArray[np.bool_], amplitude: float, rng: np.random.Generator) -> Array:
    """B1 relative to nominal: high in the middle of the head and low at its edge, as at 3 T, and uneven.

    Args:
        grid: The scanner's voxels.
        head: Where the head is (X, Y, Z).
        amplitude: Largest deviation from 1 within the head; a subject has 60 to 100 % of it.

    Returns:
        (X, Y, Z), 1 ± amplitude.
    """
    centre = [float(np.mean(axis)) if len(axis) else 0.0 for axis in np.nonzero(head)]
    away = np.meshgrid(
        *((np.arange(n) - c) * d for n, c, d in zip(grid.shape, centre, grid.voxel_mm, strict=True)),
        indexing="ij",
        sparse=True,
    )
    radius = np.sqrt(sum(part**2 for part in away))
    pattern = np.cos(np.minimum(radius / 100.0, 1.4) * np.pi / 1.4) + 0.4 * smooth_field(grid, rng)
    largest = float(np.abs(pattern[head]).max()) if head.any() else 1.0
    share = float(rng.uniform(0.6, 1.0)) * amplitude
    return np.asarray(1.0 + share * np.clip(pattern / largest, -1.0, 1.0), dtype=np.float32)


_TEXTURE_MM = 4.0
LEVELS = 4096
"""Steps of the digitiser from nothing to the signal of water at a gain of one; far finer than the noise."""


@dataclass(frozen=True)
class Fields:
    """What varies smoothly over the head, and what a subject's images have in common.

    Attributes:
        b1: Transmit field relative to nominal (X, Y, Z).
        phase: At echo time 0, rad.
        phase_growth: Further phase at the longest echo, rad.
        textures: Of T1, T2 and density (3, X, Y, Z): relative deviations within a tissue.
    """

    b1: Array
    phase: Array
    phase_growth: Array
    textures: Array
    gain: float


def draw_fields(settings: MrSimulation, grid: Grid, head: NDArray[np.bool_], rng: np.random.Generator) -> Fields:
    """The fields of one subject."""
    b1 = transmit_field(grid, head, settings.b1, rng)
    phase = settings.phase_rad * smooth_field(grid, rng)
    growth = settings.phase_rad * smooth_field(grid, rng)
    textures = settings.texture * np.stack([smooth_noise(grid, _TEXTURE_MM, rng) for _ in range(3)])
    gain = float(np.exp(settings.gain * np.clip(rng.normal(), -2.5, 2.5)))
    return Fields(b1, phase, growth, textures.astype(np.float32), gain)


@dataclass(frozen=True)
class TissueVoxels:
    """One tissue where there is some of it: N voxels.

    Attributes:
        at: Their flat numbers (N,).
        fraction: (N,).
        t1: ms (N,).
        t2: ms (N,).
        pd: Density (N,).
    """

    at: NDArray[np.intp]
    fraction: Array
    t1: Array
    t2: Array
    pd: Array


def tissue_voxels(fractions: Array, tissues: Mapping[str, Tissue], textures: Array) -> list[TissueVoxels]:
    """The tissues of a body, each where it is.

    Args:
        fractions: (T, X, Y, Z) in the order of ``tissues.TISSUES``.
        tissues: Their T1, T2 and density.
        textures: Relative deviations of T1, T2 and density (3, X, Y, Z).
    """
    varied = 1.0 + textures.reshape(3, -1)
    voxels = []
    for name, fraction in zip(TISSUES, fractions.reshape(len(TISSUES), -1), strict=True):
        at = np.flatnonzero(fraction)
        own = tissues[name]
        t1, t2, pd = (np.float32(value) * varied[k, at] for k, value in enumerate((own.t1, own.t2, own.pd)))
        voxels.append(TissueVoxels(at, fraction[at], t1, t2, pd))
    return voxels


def mixed_signal(
    tissues: Sequence[TissueVoxels], shape: tuple[int, ...], signal: Callable[[TissueVoxels], NDArray[Any]]
) -> Array:
    """Signal of every voxel: the sum of its tissues' signals by their fractions.

    Args:
        tissues: From :func:`tissue_voxels`.
        shape: (X, Y, Z).
        signal: Of one part, (N,).

    Returns:
        (X, Y, Z), signed.
    """
    total = np.zeros(int(np.prod(shape)), dtype=np.float32)
    for part in tissues:
        total[part.at] += part.fraction * signal(part).astype(np.float32)
    return total.reshape(shape)


def reference_mdme(protocol: Mdme) -> float:
    """Nominal white matter at the longest delay and the shortest echo, which the SNR of the input refers to."""
    white = TABLE["white"]
    return float(
        mdme_signal(
            white.pd, white.t1, white.t2, te=protocol.echoes[0], td=protocol.delays[-1], b1=1.0, protocol=protocol
        )
    )


def reference_target(target: SpinEcho) -> float:
    """Nominal white matter's magnitude, which a target's SNR refers to."""
    white = TABLE["white"]
    return abs(float(target_signal(white.pd, white.t1, white.t2, target)))


def acquire_mdme(
    fractions: Array, tissues: Mapping[str, Tissue], fields: Fields, settings: MrSimulation, rng: np.random.Generator
) -> dict[tuple[int, int], NDArray[np.complex64]]:
    """The complex images of the input.

    Noise is independent and normal in the real and the imaginary part, with the same SD in all images.

    Returns:
        Image (X, Y, Z) by delay and echo, each counted from 1.
    """
    protocol = settings.mdme
    sd = settings.noise * reference_mdme(protocol) / settings.snr
    flat = fields.b1.reshape(-1)
    own = tissue_voxels(fractions, tissues, fields.textures)
    images = {}
    for d, td in enumerate(protocol.delays, start=1):
        for e, te in enumerate(protocol.echoes, start=1):

            def signal(part: TissueVoxels, td: float = td, te: float = te) -> NDArray[Any]:
                """Of the voxels of one tissue at this delay and echo."""
                return mdme_signal(part.pd, part.t1, part.t2, te=te, td=td, b1=flat[part.at], protocol=protocol)

            real = mixed_signal(own, fields.b1.shape, signal)
            phase = fields.phase + fields.phase_growth * np.float32(te / protocol.echoes[-1])
            image = real * np.exp(1j * phase) + _noise(real.shape, sd, rng)
            images[d, e] = _digitised(fields.gain * image.real) + 1j * _digitised(fields.gain * image.imag)
    return {key: image.astype(np.complex64) for key, image in images.items()}


def acquire_target(
    fractions: Array,
    tissues: Mapping[str, Tissue],
    fields: Fields,
    target: SpinEcho,
    settings: MrSimulation,
    rng: np.random.Generator,
) -> Array:
    """One conventional image: magnitude of the mixed signal with complex noise (X, Y, Z). ``fields``: of the subject; a
    spin echo's transmit field counts as nominal.
    """

    own = tissue_voxels(fractions, tissues, fields.textures)
    real = mixed_signal(own, fields.b1.shape, lambda part: target_signal(part.pd, part.t1, part.t2, target))
    sd = settings.noise * reference_target(target) / settings.target_snr
    return _digitised(fields.gain * np.abs(real + _noise(real.shape, sd, rng)))


def _noise(shape: tuple[int, ...], sd: float, rng: np.random.Generator) -> NDArray[Any]:
    samples = rng.standard_normal((2, *shape), dtype=np.float32) * np.float32(sd)
    return np.asarray(samples[0] + 1j * samples[1])


def _digitised(image: NDArray[Any]) -> Array:
    return np.asarray(np.round(np.asarray(image, dtype=np.float32) * LEVELS) / LEVELS, dtype=np.float32)
