"""A property that is a number, such as a composite SUVR: one output, y in its own unit."""

import torch
import torch.nn.functional as F
from torch import Tensor

from taskgan.objective.task import OutputReading, TaskKind, flat_output


class Regression(TaskKind):
    """A value. T's one output t says how many scales the value lies above the centre: v = centre + scale · t.

    ``squared``: ((v − y) / scale)², Eq. 3 in units of the scale, which by default is the SD of y over the training
    subjects: answering with the mean costs 1, whatever the unit of y. ``proper``: Huber's loss of the same
    residual with δ = 1 (10.1214/aoms/1177703732), which an outlier pulls at no harder than a residual of one
    scale does.
    """

    measure = ("slice MAE", "Mean |value − label| over the middle slices, in the label's own unit")

    def loss(self, output: Tensor, label: Tensor) -> Tensor:
        """(B,) from outputs (B, 1) or (B,) and y (B,) in its own unit.

        Raises:
            ValueError: If the numbers of outputs and labels differ.
        """
        predicted = flat_output(output)
        if predicted.shape != label.shape:
            raise ValueError(f"got {tuple(predicted.shape)} outputs for {tuple(label.shape)} labels")
        centre, scale = self._standard
        target = ((label - centre) / scale).to(predicted.dtype)
        if self.form == "squared":
            return (predicted - target).square()
        return F.huber_loss(predicted, target, reduction="none")

    def prediction(self, output: Tensor) -> Tensor:
        """The value (B,) in the unit of y."""
        centre, scale = self._standard
        return centre + scale * flat_output(output)

    def decision(self, prediction: Tensor) -> Tensor:
        """1 where the value reaches the cut, else 0; the value itself where there is no cut. (B,)."""
        return prediction if self.target.cut is None else (prediction >= self.target.cut).long()

    def true_decision(self, label: Tensor) -> Tensor | None:
        """Whether y reaches the cut; None without one. NaN stays NaN."""
        if self.target.cut is None:
            return None
        return torch.where(label.isnan(), label, (label >= self.target.cut).to(label.dtype))

    def readings(self, prediction: Tensor, label: Tensor) -> list[OutputReading]:
        """The value; its decision where there is a cut."""
        decided = float("nan") if self.target.cut is None else float(self.decision(prediction))
        return [OutputReading(self.target.columns[0], float(prediction), float(label), decided)]

    def label_problem(self, value: float) -> str:
        """Any number will do."""
        return ""

    @property
    def _standard(self) -> tuple[float, float]:
        """Centre and scale."""
        centre, scale = self.target.centre, self.target.scale
        return 0.0 if centre is None else centre, 1.0 if scale is None else scale
