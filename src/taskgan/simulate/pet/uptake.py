"""Amyloid uptake by region: the SUVR table, and what one subject draws from it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from taskgan.core.errors import UserError
from taskgan.simulate.anatomy import COMPOSITE, CSF, GREY, REGIONS, SKULL, SOFT, WHITE, index, reference_at, regions_at
from taskgan.simulate.deform import Grid, Head, smooth_noise

Array = NDArray[np.float32]

# SUVR to cerebellar grey: (negative mean, SD), (positive mean, SD). Cortex: 10.1186/s13195-021-00807-6.
# Striatum and thalamus: PMC4660647, Barthel 2011. Mesial temporal lobe, insula and brainstem (as white
# matter): assumptions.
TABLE: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "frontal": ((1.15, 0.07), (1.57, 0.19)),
    "lateral_temporal": ((1.15, 0.05), (1.51, 0.17)),
    "parietal": ((1.13, 0.08), (1.51, 0.16)),
    "occipital": ((1.20, 0.06), (1.43, 0.16)),
    "anterior_cingulate": ((1.28, 0.09), (1.70, 0.22)),
    "posterior_cingulate": ((1.33, 0.09), (1.77, 0.21)),
    "precuneus": ((1.15, 0.08), (1.60, 0.19)),
    "striatum": ((1.25, 0.08), (1.50, 0.15)),
    "thalamus": ((1.40, 0.08), (1.40, 0.08)),
    "cerebellar_grey": ((1.0, 0.0), (1.0, 0.0)),
    "mesial_temporal": ((1.15, 0.06), (1.30, 0.12)),
    "insula": ((1.15, 0.06), (1.45, 0.16)),
    "brainstem": ((1.51, 0.10), (1.51, 0.10)),
}
_NUCLEI = ("striatum", "thalamus", "cerebellar_grey", "brainstem")
COMPOSITE_TABLE = ((1.21, 0.06), (1.58, 0.17))
_WHITE, _WHITE_SD = 1.51, 0.12
_CSF, _SCALP, _SKULL = 0.4, 0.4, 0.3
# Assumptions: grey and white matter vary smoothly within a region (relative SD), and white matter takes up more
# in its depth than under the cortex (relative to its mean, per unit of the share of white matter around it).
_GREY_TEXTURE, _WHITE_TEXTURE, _WHITE_DEPTH = 0.05, 0.11, 0.8
_TEXTURE_MM = 6.0
# Borders between cortical regions are blurred by this sigma; anatomy has none there.
_BORDER_MM = 5.0


def regional_cut(name: str) -> float:
    """SUVR from which a region counts as positive: halfway between the table's negative and positive mean."""
    return sum(mean for mean, _ in TABLE[name]) / 2


def shared_variance(positive: bool) -> float:
    """Share of a region's variance that all regions of a subject have in common.

    Chosen so that the mean of the six composite regions has the table's own composite SD: with
    r_i = m_i + s_i·(√ρ·z + √(1−ρ)·ε_i), Var(mean r) = ρ·(Σs/n)² + (1−ρ)·Σs²/n².
    """
    sds = np.array([TABLE[name][int(positive)][1] for name in COMPOSITE])
    together, apart = float(sds.mean() ** 2), float((sds**2).sum() / len(sds) ** 2)
    variance = COMPOSITE_TABLE[int(positive)][1] ** 2
    return float(np.clip((variance - apart) / (together - apart), 0.0, 1.0))


def draw_composite(
    positive: bool, borderline: bool, cut: float, borderline_range: tuple[float, float], rng: np.random.Generator
) -> float:
    """The composite SUVR that a subject will have: from the table, cut at the class limit, or near the cut."""
    margin = 1e-3
    if borderline:
        low, high = (cut + margin, borderline_range[1]) if positive else (borderline_range[0], cut - margin)
        return float(rng.uniform(low, high))
    mean, sd = COMPOSITE_TABLE[int(positive)]
    while True:
        value = float(rng.normal(mean, sd))
        if abs(value - mean) < 3 * sd and (value > cut + margin if positive else value < cut - margin):
            return value


def draw_regions(composite: float, positive: bool, borderline: bool, rng: np.random.Generator) -> tuple[Array, Array]:
    """Uptake of every region, with a wanted composite, and the direction in which amyloid raises it.

    Within a class a composite above the class's mean raises all amyloid regions in proportion to their SD.
    A borderline subject lies between the classes, so its means are interpolated between the table's. What
    is left of each region's variance is its own, without changing the composite.

    Returns:
        Regional SUVR and the difference positive − negative of the table, each (13,).
    """
    means = np.array([[TABLE[name][c][0] for c in (0, 1)] for name in REGIONS])
    sds = np.array([TABLE[name][int(positive)][1] for name in REGIONS])
    six = [index(name) for name in COMPOSITE]
    rise = means[:, 1] - means[:, 0]
    if borderline:
        low, high = means[six].mean(axis=0)
        centre = means[:, 0] + rise * (composite - low) / (high - low)
    else:
        centre = means[:, int(positive)].copy()
        common = (composite - centre[six].mean()) / sds[six].mean()
        centre += np.where(rise > 0, sds, 0.0) * common
    own = np.clip(rng.normal(0.0, 1.0, len(REGIONS)), -2.5, 2.5)
    own -= np.where(rise > 0, (sds[six] * own[six]).sum() / sds[six].sum(), 0.0)
    values = np.maximum(centre + sds * np.sqrt(1.0 - shared_variance(positive)) * own, 0.6)
    return values.astype(np.float32), rise.astype(np.float32)


@dataclass(frozen=True)
class Truth:
    """What is true of a subject.

    Attributes:
        suvr: Uptake (X, Y, Z), cerebellar grey = 1, before any blur.
        head: Voxels that are mostly head.
        brain: Voxels that are mostly brain.
        cortex: Composite cortex: the same number of voxels of each of the six regions, those with the most
            grey matter, so that its plain mean weighs the regions as the table's composite does.
        composite: Mean of ``suvr`` in ``cortex`` over its mean in ``reference``.
        regional: The same for each of the six regions of ``cortex``, by name.
    """

    suvr: Array
    head: NDArray[np.bool_]
    brain: NDArray[np.bool_]
    cortex: NDArray[np.bool_]
    reference: NDArray[np.bool_]
    composite: float
    regional: dict[str, float]


def paint_uptake(
    head: Head,
    grid: Grid,
    composite: float,
    positive: bool,
    borderline: bool,
    rng: np.random.Generator,
    *,
    without: NDArray[np.bool_] | None = None,
) -> Truth:
    """Give a head its uptake, so that the composite of the image is exactly the wanted one.

    The composite is a ratio of means of the image and linear in amyloid, so one step along the table's
    positive − negative direction reaches it, partial volume included.

    Args:
        head: Tissue fractions and template coordinates.
        composite: Wanted composite SUVR.
        without: Voxels (X, Y, Z) that are neither cortex nor reference, because something else is put there.
    """
    values, rise = draw_regions(composite, positive, borderline, rng)
    white = float(np.clip(rng.normal(_WHITE, _WHITE_SD), 1.2, 1.8))
    regions = regions_at(head.points)
    grey = head.fractions[GREY]
    free = np.ones(grid.shape, dtype=bool) if without is None else ~without
    cortex = composite_mask(grey * free, regions)
    reference = (grey > 0.8) & reference_at(head.points) & free
    if not (cortex.any() and reference.any() and head.fractions[WHITE].any()):
        raise UserError(
            f"the anatomy lacks white matter, cerebellar grey or a cortical region on a grid of "
            f"{grid.voxel_mm[0]:g} mm around the brain's middle, expected a whole head"
        )
    texture = 1.0 + _GREY_TEXTURE * smooth_noise(grid, _TEXTURE_MM, rng)
    texture[regions == index("cerebellar_grey")] = 1.0
    still = (
        white * _white_pattern(head.fractions[WHITE], grid, rng)
        + _CSF * head.fractions[CSF]
        + _SKULL * head.fractions[SKULL]
        + _SCALP * head.fractions[SOFT]
    )
    base = still + grey * _spread(values, regions, grey, grid) * texture
    amyloid = grey * _spread(rise, regions, grey, grid) * texture
    level = float(base[reference].mean(dtype=np.float64))
    step = (composite * level - float(base[cortex].mean(dtype=np.float64))) / float(
        amyloid[cortex].mean(dtype=np.float64)
    )
    suvr = np.maximum(base + np.float32(step) * amyloid, 0.0).astype(np.float32)
    floor = float(suvr[reference].mean(dtype=np.float64))
    mean_suvr = float(suvr[cortex].mean(dtype=np.float64)) / floor
    regional = {
        name: float(suvr[cortex & (regions == index(name))].mean(dtype=np.float64)) / floor for name in COMPOSITE
    }
    tissue = head.fractions.sum(axis=0)
    brain = head.fractions[[GREY, WHITE]].sum(axis=0) > 0.5
    return Truth(suvr, tissue > 0.5, brain, cortex, reference, mean_suvr, regional)


def composite_mask(grey: Array, regions: NDArray[np.int8]) -> NDArray[np.bool_]:
    """The composite cortex: as many voxels of each of the six regions as the smallest has with grey > 0.7."""
    members = [np.flatnonzero((regions == index(name)) & (grey > 0.7)) for name in COMPOSITE]
    count = min(len(voxels) for voxels in members)
    mask = np.zeros(grey.size, dtype=bool)
    for voxels in members:
        order = np.argsort(-grey.reshape(-1)[voxels], kind="stable")
        mask[voxels[order[:count]]] = True
    return mask.reshape(grey.shape)


def _spread(values: Array, regions: NDArray[np.int8], grey: Array, grid: Grid) -> Array:
    """Each voxel's regional value, with soft borders between the regions of the cortex."""
    field = values[regions]
    sharp = np.isin(regions, [index(name) for name in _NUCLEI])
    weight = np.where(sharp, 0.0, grey + 1e-3).astype(np.float32)
    sigma = [_BORDER_MM / d for d in grid.voxel_mm]
    soft = ndimage.gaussian_filter(field * weight, sigma) / ndimage.gaussian_filter(weight, sigma).clip(1e-6)
    return np.asarray(np.where(sharp, field, soft), dtype=np.float32)


def _white_pattern(white: Array, grid: Grid, rng: np.random.Generator) -> Array:
    """White matter's fraction times its relative uptake, whose mean over white matter is 1."""
    depth = ndimage.gaussian_filter(white, [6.0 / d for d in grid.voxel_mm])
    relative = 1.0 + _WHITE_TEXTURE * smooth_noise(grid, _TEXTURE_MM, rng) + _WHITE_DEPTH * depth
    total = float(white.sum(dtype=np.float64))
    return np.asarray(white * relative * (total / float((white * relative).sum(dtype=np.float64))), dtype=np.float32)
