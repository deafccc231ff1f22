"""Values of regions: the composite SUVR and its agreement, contrasts, the rim at CSF (docs/statistics.md)."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from taskgan.stats import (
    Interval,
    concordance_interval,
    correlation_interval,
    limits_of_agreement,
    mean_interval,
    slope_interval,
)


def composite_suvr(image: NDArray[np.float32], cortex: NDArray[np.bool_], reference: NDArray[np.bool_]) -> float:
    """Standardised uptake value ratio: mean uptake in the cortex over mean uptake in the reference region.

    Scale free, so that SUV and Bq/ml give the same; the cut for 18F-florbetaben against cerebellar grey
    matter is 1.38 (10.1186/s13195-021-00807-6).

    Args:
        image: (X, Y, Z), any units.
        cortex: Composite cortical region (X, Y, Z).
        reference: Reference region (X, Y, Z), e.g. cerebellar grey matter.

    Returns:
        The ratio; NaN where a region is empty or the reference holds no uptake.
    """
    if not cortex.any() or not reference.any():
        return float("nan")
    floor = float(image[reference].mean(dtype=np.float64))
    return float(image[cortex].mean(dtype=np.float64)) / floor if floor > 0 else float("nan")


@dataclass(frozen=True)
class Agreement:
    """Agreement of a value read from restored images (a SUVR) with the same read from the clean ones.

    Attributes:
        count: Cases (all seeds).
        bias: Mean of restored − clean over subjects, with its bootstrap interval.
        low: Lower limit of agreement, bias − 1.96 SD (Bland and Altman 1986, 10.1016/S0140-6736(86)90837-8).
        high: Upper limit of agreement.
        slope: Of restored on clean; below 1 is the shrinking of the paper's Figure 4.
        limit_low: The lower limit with its own interval (:func:`~taskgan.stats.limits_of_agreement`).
        limit_high: The upper one.
        concordance: Lin's concordance correlation, which bias, noise and shrinking all lower.
        correlation: Pearson's, which no line between the two changes.
        deviation: Standard deviation of the difference of a single case.
    """

    count: int
    bias: Interval
    low: float
    high: float
    slope: Interval
    limit_low: Interval
    limit_high: Interval
    concordance: Interval
    correlation: Interval
    deviation: float


def agreement(restored: ArrayLike, clean: ArrayLike, subjects: Sequence[Hashable], *, seed: int = 0) -> Agreement:
    """Bias, limits of agreement, slope and concordance of restored with clean values (N,); NaN is left out."""
    after, before = np.asarray(restored, dtype=np.float64), np.asarray(clean, dtype=np.float64)
    gap = after - before
    limits = limits_of_agreement(gap, subjects)
    return Agreement(
        count=int((~np.isnan(gap)).sum()),
        bias=mean_interval(gap, subjects, seed=seed),
        low=limits.low.estimate,
        high=limits.high.estimate,
        slope=slope_interval(before, after, subjects, seed=seed),
        limit_low=limits.low,
        limit_high=limits.high,
        concordance=concordance_interval(before, after, subjects, seed=seed),
        correlation=correlation_interval(before, after, subjects, seed=seed),
        deviation=limits.deviation,
    )


def region_ratio(
    image: NDArray[np.float32], region: NDArray[np.bool_], reference: NDArray[np.bool_], *, least: int = 1
) -> float:
    """Mean signal in a region over mean signal in a reference region.

    Grey over white matter, CSF over white matter and lesion over white matter say whether a contrast is the one
    that was asked for: a T1-weighted image has grey below white, a T2-weighted one above it. The scale cancels.

    Args:
        image: (X, Y, Z), any units.
        region: What is measured (X, Y, Z).
        reference: What it is measured against (X, Y, Z), e.g. white matter.
        least: Voxels that both regions must have.

    Returns:
        The ratio; NaN where a region is too small or the reference holds no signal.
    """
    if min(int(region.sum()), int(reference.sum())) < max(least, 1):
        return float("nan")
    floor = float(image[reference].mean(dtype=np.float64))
    return float(image[region].mean(dtype=np.float64)) / floor if floor > 0 else float("nan")


Mask = NDArray[np.bool_]
MIN_EDGE_VOXELS = 10
"""Voxels of a border whose mean is worth a number."""
# Neighbours in the same slice, diagonal ones too: slices are too thick for a neighbour above to share a border.
_NEIGHBOURHOOD = np.ones((3, 3, 1), dtype=bool)


def brain_csf_border(brain: Mask, csf: Mask, *, without: Mask | None = None) -> Mask:
    """Voxels between brain and CSF (X, Y, Z): not pure CSF, beside a voxel that is, and brain or beside brain.

    Their signal is the sum of what both tissues give. A relaxation fit sees in them one tissue with parameters in
    between, which an inversion pulse that nulls CSF no longer nulls: synthetic T2-FLAIR is too bright along sulci and
    ventricles (Tanenbaum et al. 2017, 10.3174/ajnr.A5227; Hagiwara et al. 2019, 10.3174/ajnr.A5927).

    Brain is where most of the voxel is, CSF nearly pure; ``without`` do not count, e.g. lesions, bright by right.
    """
    edge = ndimage.binary_dilation(csf, _NEIGHBOURHOOD) & ndimage.binary_dilation(brain, _NEIGHBOURHOOD) & ~csf
    return np.asarray(edge if without is None else edge & ~without)


def rim_ratio(image: NDArray[np.float32], edge: Mask, white: Mask) -> float:
    """Mean signal of the border over that of white matter; NaN for fewer than :data:`MIN_EDGE_VOXELS` voxels.

    Meaningful by itself where CSF is dark (T2-FLAIR, T1-weighted); against the true image's in any contrast. Of an
    image (X, Y, Z) in any units, the edge from :func:`brain_csf_border` and pure white matter.
    """
    return region_ratio(image, edge, white & ~edge, least=MIN_EDGE_VOXELS)
