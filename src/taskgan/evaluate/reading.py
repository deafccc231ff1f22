"""How a network's probabilities for slices become one reading of a volume (Table 3)."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Reader(Protocol):
    """What recognises the property: the task network, a judge, or anything that reads slices."""

    def read(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities (S,) of the property in slices (S, H, W) of network units."""
        ...


@dataclass(frozen=True)
class Reading:
    """One volume as a reader sees it.

    Attributes:
        probability: Mean of the slices' probabilities, 0 to 1.
        decision: 1 where that mean is at least 1/2 (the paper's volume-wise decision).
        mae: Mean |probability − label| over the slices (the paper's slice-wise MAE); NaN without a label.
    """

    probability: float
    decision: int
    mae: float


def middle(count: int, wanted: int) -> slice:
    """The middle ``wanted`` of ``count`` slices, or all where there are fewer."""
    start = max(0, (count - wanted) // 2)
    return slice(start, min(count, start + wanted))


def read_case(reader: Reader, slices: NDArray[np.float32], label: float | None, wanted: int = 40) -> Reading:
    """Read one volume.

    Args:
        reader: Gives a probability for each slice.
        slices: (S, H, W) float32 in network units. The scale is the degraded image's for every method, because
            a restored image that is too bright must not be excused by a scale of its own.
        label: 0 or 1, or None.
        wanted: How many middle slices; the paper takes 40.
    """
    seen = np.asarray(reader.read(slices[middle(len(slices), wanted)]), dtype=np.float64)
    probability = float(seen.mean())
    mae = float(np.abs(seen - label).mean()) if label is not None else float("nan")
    return Reading(probability, int(probability >= 0.5), mae)
