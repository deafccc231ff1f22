"""Simulated ratings of several readers and cases (Roe and Metz 1997, 10.1016/S1076-6332(97)80032-3)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats


@dataclass(frozen=True)
class RoeMetz:
    """Variances of a rating; those that hold cases or noise sum to one in Roe and Metz's own settings.

    Attributes:
        reader: Of readers, for negative and positive cases apart.
        method_reader: Of readers with a method, likewise.
        case: Of cases.
        method_case: Of cases with a method.
        reader_case: Of cases with a reader.
        noise: Of one reading: of case, reader and method together.
    """

    reader: float
    method_reader: float
    case: float
    method_case: float
    reader_case: float
    noise: float

    @property
    def total(self) -> float:
        """Variance of the rating of a random case by a random reader."""
        return self.reader + self.method_reader + self.case + self.method_case + self.reader_case + self.noise

    def auc(self, separation: float) -> float:
        """Mean AUC over readers, Φ(separation / √(2 total))."""
        return float(stats.norm.cdf(separation / np.sqrt(2 * self.total)))

    def separation(self, auc: float) -> float:
        """Distance of positive from negative cases that gives this mean AUC over readers."""
        return float(stats.norm.ppf(auc) * np.sqrt(2 * self.total))


def roe_metz(
    variances: RoeMetz,
    separations: tuple[float, ...],
    readers: int,
    negatives: int,
    positives: int,
    *,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Ratings of a study in which all readers read all cases with all methods.

    Args:
        variances: Of the random effects.
        separations: (T,) of each method: how far positive cases lie above negative ones.
        readers: R.
        negatives: Number of negative cases, first in the result.
        positives: Number of positive cases.
        rng: Source of the draws.

    Returns:
        (T, R, N) ratings and (N,) truth, 0 or 1.
    """
    truth = np.repeat([0, 1], [negatives, positives])
    methods, cases = len(separations), negatives + positives

    def effect(variance: float, *shape: int) -> NDArray[np.float64]:
        """Normal draws of this variance."""
        return rng.normal(0.0, np.sqrt(variance), size=shape)

    by_reader = effect(variances.reader, 1, readers, 2) + effect(variances.method_reader, methods, readers, 2)
    ratings = (
        np.array(separations)[:, None, None] * truth
        + by_reader[:, :, truth]
        + effect(variances.case, 1, 1, cases)
        + effect(variances.method_case, methods, 1, cases)
        + effect(variances.reader_case, 1, readers, cases)
        + effect(variances.noise, methods, readers, cases)
    )
    return ratings, truth
