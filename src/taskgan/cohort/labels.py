"""y of every training slice, of one property."""

from collections.abc import Sequence
from contextlib import nullcontext, suppress

import numpy as np
import torch

from taskgan.cohort.pairs import Pair
from taskgan.cohort.targets import Targets
from taskgan.core.errors import UserError


class SliceLabels:
    """y of all slices, of one property.

    Attributes:
        targets: Where it comes from.
        labels: Of each pair, where it is no mask.
        masks: Of every slice (S, H, W), where it is one and is wanted.
    """

    def __init__(self, targets: Targets, rows: Sequence[Pair], size: tuple[int, ...], *, wanted: bool) -> None:
        self.targets = targets
        self.labels = [_label(pair, targets, wanted) for pair in rows]
        self.masks = torch.zeros(size, dtype=torch.uint8) if wanted and targets.kind.dense else None

    def y(self, number: int, at: slice) -> np.ndarray:
        """Of some slices of a pair: its label, or their masks."""
        return self.labels[number] if self.masks is None else self.masks.numpy()[at].astype(np.float32)


def _label(pair: Pair, targets: Targets, required: bool) -> np.ndarray:
    """y of a pair that is no mask; NaN where it is not wanted and cannot be had."""
    if not targets.kind.dense:
        with nullcontext() if required else suppress(UserError):
            return targets.value(pair)
    return np.asarray(np.nan, dtype=np.float32)
