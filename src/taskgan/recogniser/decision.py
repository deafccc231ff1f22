"""Which slices of a volume decide."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def middle_slices(slices: Array, middle: int = 40) -> Array:
    """The middle ``middle`` entries along the first axis (slices or their probabilities), or all if fewer."""
    start = max(0, (len(slices) - middle) // 2)
    return slices[start : start + middle]
