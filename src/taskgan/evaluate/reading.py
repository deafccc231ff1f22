"""How what a network says of slices becomes one reading of a volume (Table 3)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from taskgan.recogniser.decision import middle_slices

if TYPE_CHECKING:  # they bring torch
    from taskgan.objective.task import Entry, TaskKind


class Reader(Protocol):
    """What recognises the property: the task network, a judge, or anything that reads slices."""

    def read(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of slices (S, H, W) in network units: probabilities of a binary property or values (S,); (S, n) of several
        labels, of classes or descriptors; (S, n, H, W) of classes in pixels.

        The scale of network units is the degraded image's for every method, because a restored image that is too
        bright must not be excused by a scale of its own.
        """
        ...


@dataclass(frozen=True)
class Reading:
    """One volume as a reader sees it.

    Attributes:
        probability: Mean over the slices of a probability or a value; NaN where the property is not one number.
        decision: What the reader would write down: 1 where the mean probability is above 1/2 (the paper's
            volume-wise decision), the most probable class, 1 where the mean value reaches its cut; NaN where the
            property is not decided by one number.
        mae: Mean error over the slices (the paper's slice-wise MAE), of masks the volume's; NaN without a label.
        truth: What the decision should be, NaN where that is unknown; None where there is not one decision.
        entries: Every output by itself.
    """

    probability: float
    decision: float
    mae: float
    truth: float | None
    entries: "tuple[Entry, ...]"


def reading_of(
    seen: NDArray[np.float32] | None,
    label: float | NDArray[np.float32] | None,
    kind: "TaskKind",
    wanted: int = 40,
) -> Reading:
    """One reading of what a reader said.

    Args:
        seen: Of the middle slices; None where it was not asked, because there are no masks to hold it against.
        label: y of the volume, a number or (L,); masks (S, H, W); of an embedding that of the middle slices
            (n, 1 + size). None where it is unknown.
        kind: Of the property.
        wanted: How many middle slices; the paper takes 40.
    """
    import torch

    from taskgan.recogniser.figures import case_error, volume_label, volume_prediction

    nothing = float("nan")
    if seen is None:
        return Reading(nothing, nothing, nothing, None, ())
    y = torch.as_tensor(nothing if label is None else label, dtype=torch.float32)
    if kind.dense:
        y = torch.from_numpy(middle_slices(y.numpy(), wanted))
    elif not kind.anchored:
        y = y.expand(len(seen), *y.shape)
    volume, own = volume_prediction(kind, seen, wanted), volume_label(kind, y, wanted)
    truth, entries = kind.truth(own), tuple(kind.entries(volume, own))
    return Reading(
        probability=entries[0].prediction if kind.outputs == 1 else nothing,
        decision=nothing if truth is None else float(kind.decision(volume)),
        mae=case_error(kind, seen, y, wanted),
        truth=None if truth is None else float(truth),
        entries=entries,
    )
