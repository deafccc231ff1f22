"""From activity to counts: attenuation, background, Poisson prompts, thinning."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from taskgan.simulate.pet.projector import Projector, gaussian_matrix
from taskgan.simulate.pet.settings import FWHM, Scanner

Array = NDArray[np.float32]
Counts = NDArray[np.uint16]

# 511 keV, per cm (PMC3572388).
SOFT_PER_CM, BONE_PER_CM = 0.096, 0.146
_SCATTER_RADIAL_MM, _SCATTER_TOF_MM = 90.0, 120.0


@dataclass(frozen=True)
class Background:
    """Scatter and randoms of one subset at the standard dose, kept as factors.

    Attributes:
        scatter: (rays, S).
        profile: Scatter's distribution over the TOF bins, (T,), sums to 1.
        randoms: Per bin and slice (S,), the same in every bin.
    """

    scatter: Array
    profile: Array
    randoms: Array

    def expand(self) -> Array:
        """(T, rays, S) counts."""
        return self.profile[:, None, None] * self.scatter[None] + self.randoms


@dataclass(frozen=True)
class SystemModel:
    """What the scanner knows of one block of slices; simulation and OSEM use the same one.

    Attributes:
        projector: Geometry, TOF, resolution.
        attenuation: exp(−∫μ) per subset, (rays, S).
        background: Scatter and randoms per subset, as the expected counts at the standard dose.
        scale: Trues per line integral of activity.
    """

    projector: Projector
    attenuation: Sequence[Array]
    background: Sequence[Background]
    scale: float

    def expected(self, blurred: Array, subset: int) -> Array:
        """Mean prompts (T, rays, S) of an image that has been through ``projector.blur``."""
        mean = self.projector.forward(blurred, subset)
        mean *= self.attenuation[subset] * np.float32(self.scale)
        mean += self.background[subset].expand()
        return mean


def attenuation_factors(projector: Projector, per_cm: Array) -> list[Array]:
    """Survival of photon pairs per subset, exp(−∫μ dl), from μ (N, N, S) in 1/cm."""
    subsets = range(projector.scanner.subsets)
    return [np.exp(-projector.line_integral(per_cm, s)) for s in subsets]


def system_model(projector: Projector, activity: Array, per_cm: Array) -> SystemModel:
    """The model of one block of slices, background included.

    Scatter is the attenuated trues without TOF, blurred along the radial axis (90 mm FWHM) and scaled to
    the scanner's share per slice; over TOF it is a wide Gaussian (120 mm). Randoms are uniform. OSEM is given
    these means exactly: the estimate has no error of its own.

    Args:
        activity: (N, N, S) kBq/ml.
        per_cm: μ (N, N, S) in 1/cm.
    """
    scanner = projector.scanner
    slices = activity.shape[2]
    attenuation = attenuation_factors(projector, per_cm)
    blurred = projector.blur(activity)
    tof_sum = projector.tof.sum(axis=0)
    trues = []
    for subset, survive in enumerate(attenuation):
        gathered = projector.gather(blurred, subset)
        trues.append((tof_sum @ gathered).reshape(projector.rays, slices) * survive * np.float32(scanner.trues_per_kbq))
    total = np.sum([part.sum(axis=0, dtype=np.float64) for part in trues], axis=0)
    smooth = gaussian_matrix(scanner.radial_bins, scanner.radial_mm, _SCATTER_RADIAL_MM)
    profile = _tof_profile(projector)
    shapes = []
    for part in trues:
        by_angle = part.reshape(-1, scanner.radial_bins, slices)
        shapes.append(np.matmul(smooth, by_angle).reshape(projector.rays, slices))
    shape_total = np.sum([part.sum(axis=0, dtype=np.float64) for part in shapes], axis=0)
    factor = (scanner.scatter * total / np.maximum(shape_total, 1e-12)).astype(np.float32)
    bins = scanner.angles * scanner.radial_bins * len(projector.tof)
    # A slice without activity still has a trace of randoms, so that no expected count is zero.
    randoms = (scanner.randoms * total / bins + 1e-6).astype(np.float32)
    background = [Background(part * factor, profile, randoms) for part in shapes]
    return SystemModel(projector, attenuation, background, scanner.trues_per_kbq)


def _tof_profile(projector: Projector) -> Array:
    bins = len(projector.tof)
    centre = (np.arange(bins) - 0.5 * (bins - 1)) * projector.scanner.tof_bin_mm
    weight = np.exp(-0.5 * (centre / (_SCATTER_TOF_MM / FWHM)) ** 2)
    return np.asarray(weight / weight.sum(), dtype=np.float32)


def prompts(model: SystemModel, activity: Array, rng: np.random.Generator) -> list[Counts]:
    """Poisson counts at the standard dose, per subset (T, rays, S)."""
    blurred = model.projector.blur(activity)
    return [
        rng.poisson(model.expected(blurred, subset)).astype(np.uint16)
        for subset in range(model.projector.scanner.subsets)
    ]


def thin_counts(counts: Sequence[Counts], keep: float, rng: np.random.Generator) -> list[Counts]:
    """Keep every count with probability ``keep`` (0..1): the low dose is a part of the same list mode."""
    thinned = []
    for part in counts:
        out = np.zeros_like(part)
        hit = np.flatnonzero(part)
        out.reshape(-1)[hit] = rng.binomial(part.reshape(-1)[hit], keep)
        thinned.append(out)
    return thinned


def sensitivities(model: SystemModel) -> list[Array]:
    """Sensitivity images per subset at the standard dose, (N, N, S): the model's adjoint of ones."""
    projector = model.projector
    return [
        projector.blur(projector.back(survive, subset)) * np.float32(model.scale)
        for subset, survive in enumerate(model.attenuation)
    ]


def subset_order(subsets: int) -> list[int]:
    """Subsets in steps near the golden section, so that neighbours in time are far apart in angle."""
    step = max(1, round(subsets * 0.382))
    while math.gcd(step, subsets) != 1:
        step += 1
    return [(k * step) % subsets for k in range(subsets)]


def osem(
    model: SystemModel,
    counts: Sequence[NDArray[Any]],
    *,
    fraction: float,
    sensitivity: Sequence[Array],
    iterations: int,
) -> Array:
    """Reconstruct one block of slices.

    The model of a share p of the dose is p times the model, background included, so the image comes out in
    the units of the activity at every dose. One subset makes it MLEM, whose likelihood never falls.

    Args:
        counts: Per subset (T, rays, S); any number type.
        fraction: Share of the standard dose, p in 0..1.
        sensitivity: From :func:`sensitivities`.

    Returns:
        (N, N, S) activity, non-negative, zero outside the scanner's disc.
    """
    projector = model.projector
    dose = np.float32(fraction)
    image = np.repeat(projector.support[..., None], counts[0].shape[2], axis=2)
    # Where nothing is seen (the rim of the disc) there is nothing to divide by.
    floors = [np.float32(1e-4) * s.max() for s in sensitivity]
    for _ in range(iterations):
        for subset in subset_order(len(counts)):
            measured = counts[subset]
            mean = model.expected(projector.blur(image), subset)
            # measured/(p·mean), attenuated and back-projected, over the sensitivity p·s: one p is left.
            ratio = measured / (mean * dose)
            ratio *= model.attenuation[subset] * np.float32(model.scale)
            step = projector.blur(projector.adjoint(ratio, subset))
            weights = sensitivity[subset]
            image *= np.where(weights > floors[subset], step / np.maximum(weights, floors[subset]), 0.0)
    return image


def post_filter(volume: Array, scanner: Scanner) -> Array:
    """The three-dimensional Gaussian after reconstruction, (N, N, Z)."""
    if scanner.post_filter_mm <= 0:
        return volume
    sigma = scanner.post_filter_mm / FWHM
    steps = (scanner.pixel_mm, scanner.pixel_mm, scanner.slice_mm)
    return np.asarray(ndimage.gaussian_filter(volume, [sigma / d for d in steps], mode="nearest"), dtype=np.float32)
