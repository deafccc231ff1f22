"""One factor for all inputs of a subject, one for each target: what becomes 1 in the cohort.

A factor is a percentile of the magnitude over the head; the inputs' is that of the longest delay and first echo.
The ratios between delays and echoes, which carry T1 and T2, stay. Value in the file × factor = value as exported.
"""

import numpy as np
from numpy.typing import NDArray

from taskgan.core.errors import UserError

_AIR = 0.1


def intensity_factor(
    magnitude: NDArray[np.float32], head: NDArray[np.bool_] | None, percentile: float
) -> float:
    """What an image is divided by.

    Args:
        magnitude: (X, Y, Z), at least 0.
        head: Where the head is; None takes what is above a tenth of the 99th percentile.
        percentile: Of the values there.

    Raises:
        UserError: If there is nothing above 0 to scale by. The message is the end of a sentence.
    """
    inside = magnitude[head] if head is not None else magnitude[foreground(magnitude)]
    value = float(np.percentile(inside.astype(np.float64), percentile)) if inside.size else 0.0
    if not value > 0:
        raise UserError("has no signal in the head to scale by")
    # As float32, so that dividing and multiplying by what the sidecar says use the same number.
    return float(np.float32(value))


def foreground(magnitude: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Voxels that are not air: above a tenth of the 99th percentile."""
    return np.asarray(magnitude > _AIR * float(np.percentile(magnitude, 99)))
