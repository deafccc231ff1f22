"""Is a new image like those that calibrated? Statistics of degraded images, and a test between two sets of them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage, stats

from taskgan.evaluate.statistics import adjusted_p_values

Array = NDArray[np.float32]
STATISTICS = ("noise", "scale", "smoothness", "extent")
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class ImageShift:
    """A statistic whose distribution differs, or not, between calibration and test subjects.

    Attributes:
        name: Of the statistic.
        calibration: Its median among calibration subjects.
        test: Among test subjects.
        p: Of the two-sample Kolmogorov–Smirnov test.
        adjusted: The same after Holm's correction for the number of statistics.
    """

    name: str
    calibration: float
    test: float
    p: float
    adjusted: float

    @property
    def is_significant(self) -> bool:
        """Whether the two sets are told apart at the level of 5 %."""
        return self.adjusted < SIGNIFICANCE


def image_statistics(image: Array, voxel_size: tuple[float, float, float], scale: float) -> dict[str, float]:
    """What a degraded image is like, by numbers that need neither a label nor a judge.

    Args:
        image: (X, Y, Z), the file's units.
        voxel_size: mm.
        scale: What intensities are divided by.

    Returns:
        ``noise``: robust SD of the in-plane second difference inside the head, over ``scale``; ``scale``;
        ``smoothness``: correlation of in-plane neighbours' second differences (post-filter, interpolation);
        ``extent``: litres that are brighter than a tenth of the 99th percentile.
    """
    inside = image > 0.1 * float(np.percentile(image, 99))
    second = ndimage.convolve1d(image, [1.0, -2.0, 1.0], axis=0) / np.float32(np.sqrt(6.0))
    flat = ndimage.binary_erosion(inside, np.ones((3, 1, 1), dtype=bool))  # the head's own edge is no noise
    values = second[flat]
    if values.size < 2:
        return dict.fromkeys(STATISTICS, float("nan"))
    noise = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    both = flat[:, 1:] & flat[:, :-1]
    ahead, behind = second[:, 1:][both], second[:, :-1][both]
    alike = (
        float(np.corrcoef(ahead, behind)[0, 1]) if ahead.size > 1 and ahead.std() and behind.std() else 0.0
    )
    litres = float(inside.sum()) * float(np.prod(voxel_size)) * 1e-6
    return {"noise": noise / scale, "scale": scale, "smoothness": alike, "extent": litres}


def image_shifts(calibration: pd.DataFrame, test: pd.DataFrame) -> list[ImageShift]:
    """Test every statistic for a difference between calibration and test subjects.

    Two-sample Kolmogorov–Smirnov, p corrected by Holm (1979). A large p is no proof of likeness: with few subjects
    only gross differences are seen.

    Args:
        calibration: One row a subject, columns :data:`STATISTICS`.
        test: Likewise.
    """
    names = [n for n in STATISTICS if calibration[n].notna().any() and test[n].notna().any()]
    raw = []
    for name in names:
        first, second = calibration[name].dropna(), test[name].dropna()
        raw.append(float(stats.ks_2samp(first, second, method="auto").pvalue))
    shifts = []
    for name, p, adjusted in zip(names, raw, adjusted_p_values(raw, "holm"), strict=True):
        medians = float(calibration[name].median()), float(test[name].median())
        shifts.append(ImageShift(name, *medians, p, adjusted))
    return shifts
