"""Contrast between regions of one image: a ratio of mean signals, free of the image's scale."""

import numpy as np
from numpy.typing import NDArray


def region_ratio(
    image: NDArray[np.float32],
    region: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    *,
    least: int = 1,
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
