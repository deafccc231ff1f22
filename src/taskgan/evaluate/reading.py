"""How a network's probabilities for slices become one reading of a volume (Table 3)."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from taskgan.recogniser.decision import middle_slices, volume_decision, volume_probability


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
        decision: 1 where that mean is above 1/2 (the paper's volume-wise decision).
        mae: Mean |probability − label| over the slices (the paper's slice-wise MAE); NaN without a label.
    """

    probability: float
    decision: int
    mae: float


def read_case(reader: Reader, slices: NDArray[np.float32], label: float | None, wanted: int = 40) -> Reading:
    """Read one volume.

    Args:
        reader: Gives a probability for each slice.
        slices: (S, H, W) float32 in network units. The scale is the degraded image's for every method, because
            a restored image that is too bright must not be excused by a scale of its own.
        label: 0 or 1, or None.
        wanted: How many middle slices; the paper takes 40.
    """
    seen = reader.read(middle_slices(slices, wanted))
    mae = float(np.abs(seen.astype(np.float64) - label).mean()) if label is not None else float("nan")
    return Reading(volume_probability(seen, wanted), int(volume_decision(seen, wanted)), mae)
