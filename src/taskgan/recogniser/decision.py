"""From the probabilities of slices to the decision on a volume."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def middle_slices(slices: Array, middle: int = 40) -> Array:
    """The middle ``middle`` entries along the first axis (slices or their probabilities), or all if fewer."""
    start = max(0, (len(slices) - middle) // 2)
    return slices[start : start + middle]


def volume_probability(probabilities: Array, middle: int = 40) -> float:
    """Mean probability of a volume's middle slices (the paper's 40).

    Raises:
        ValueError: If there are no slices.
    """
    if not len(probabilities):
        raise ValueError("a volume without slices cannot be decided")
    return float(middle_slices(probabilities, middle).mean(dtype=np.float64))


def volume_decision(probabilities: Array, middle: int = 40) -> bool:
    """Whether the property is there: mean over the middle slices above one half."""
    return volume_probability(probabilities, middle) > 0.5
