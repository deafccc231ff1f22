"""A property that is there or not, such as a pathology: one logit, y is 0 or 1."""

import torch.nn.functional as F
from torch import Tensor

from taskgan.objective.task import OutputReading, TaskKind, flat_output


class Binary(TaskKind):
    """A binary property.

    ``squared``: (sigmoid(logit) − y)², Eq. 3 as written, bounded by 1, with a gradient that fades where T is
    sure and wrong. ``proper``: cross-entropy, whose gradient does not fade.
    """

    measure = ("slice MAE", "Mean |probability − label| over the middle slices")

    def loss(self, output: Tensor, label: Tensor) -> Tensor:
        """(B,) from logits (B, 1) or (B,) and y (B,) in 0 to 1.

        Raises:
            ValueError: If the numbers of logits and labels differ.
        """
        logit = flat_output(output)
        if logit.shape != label.shape:
            raise ValueError(f"got {tuple(logit.shape)} logits for {tuple(label.shape)} labels")
        target = label.to(logit.dtype)
        if self.form == "squared":
            return (logit.sigmoid() - target).square()
        return F.binary_cross_entropy_with_logits(logit, target, reduction="none")

    def prediction(self, output: Tensor) -> Tensor:
        """Probability (B,) that the property is there."""
        return flat_output(output).sigmoid()

    def decision(self, prediction: Tensor) -> Tensor:
        """1 where the probability is above one half, else 0; (B,), int64."""
        return (prediction > 0.5).long()

    def true_decision(self, label: Tensor) -> Tensor:
        """y itself."""
        return label

    def readings(self, prediction: Tensor, label: Tensor) -> list[OutputReading]:
        """The probability."""
        decision = float(self.decision(prediction))
        return [OutputReading(self.target.columns[0], float(prediction), float(label), decision)]

    def label_problem(self, value: float) -> str:
        """0 or 1."""
        return "" if value in (0.0, 1.0) else "0 or 1"
