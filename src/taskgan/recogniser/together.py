"""Photos are read together, volumes by themselves."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.floating)
BATCH = 64
"""Photos that are read together."""


def read_volumes(
    read: Callable[[NDArray[np.float32]], NDArray[Number]], volumes: Sequence[NDArray[np.float32]]
) -> list[NDArray[Number]]:
    """Read several volumes; photos, volumes of one slice, of one size together: a call costs more than their reading.

    Args:
        read: Says something of each of the slices (S, H, W) by itself: (S, …).
        volumes: (S, H, W) each.

    Returns:
        What was said of each volume's slices, in order.
    """
    outputs: dict[int, NDArray[Number]] = {}
    for shape in dict.fromkeys(volume.shape for volume in volumes):
        alike = [k for k, volume in enumerate(volumes) if volume.shape == shape]
        together = BATCH if shape[0] == 1 else 1
        for start in range(0, len(alike), together):
            some = alike[start : start + together]
            values = read(np.concatenate([volumes[k] for k in some]))
            outputs |= dict(zip(some, np.split(values, len(some)), strict=True))
    return [outputs[k] for k in range(len(volumes))]
