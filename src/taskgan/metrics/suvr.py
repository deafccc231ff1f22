"""The observer that is not learned: composite cortical SUVR against its cut, and how well it is kept."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from taskgan.evaluate.statistics import (
    Interval,
    concordance_interval,
    limits_of_agreement,
    mean_interval,
    slope_interval,
)


def composite_suvr(
    image: NDArray[np.float32], cortex: NDArray[np.bool_], reference: NDArray[np.bool_]
) -> float:
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
        limit_low: The lower limit with its own interval
            (:func:`~taskgan.evaluate.statistics.limits_of_agreement`).
        limit_high: The upper one.
        concordance: Lin's concordance correlation, which bias, noise and shrinking all lower.
    """

    count: int
    bias: Interval
    low: float
    high: float
    slope: Interval
    limit_low: Interval
    limit_high: Interval
    concordance: Interval


def agreement(
    restored: ArrayLike, clean: ArrayLike, subjects: Sequence[Hashable], *, seed: int = 0
) -> Agreement:
    """Bias, limits of agreement, slope and concordance of restored with clean values.

    Args:
        restored: (N,) NaN is left out.
        clean: (N,).
        subjects: (N,).
        seed: Of the bootstrap.
    """
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
    )
