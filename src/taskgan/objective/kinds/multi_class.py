"""A property that is one of several classes, such as an MR contrast: a logit each, y is the class's number."""

import torch
import torch.nn.functional as F
from torch import Tensor

from taskgan.objective.task import OutputReading, TaskKind


class MultiClass(TaskKind):
    """One of ``target.classes`` classes.

    ``squared``: Eq. 3 with y one-hot, ½ Σ (p − y)² over the softmax p (Brier 1950,
    10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2). Half, so that two classes cost what a binary property
    costs and the bound is 1. ``proper``: cross-entropy.
    """

    measure = ("slice error", "Mean of 1 − the probability of the right class over the middle slices")

    @property
    def outputs(self) -> int:
        """A logit for each class."""
        return self.target.classes

    def loss(self, output: Tensor, label: Tensor) -> Tensor:
        """(B,) from logits (B, classes) and class numbers (B,).

        Raises:
            ValueError: If the shapes do not go together.
        """
        if output.shape != (len(label), self.outputs):
            raise ValueError(f"got {tuple(output.shape)} logits for {len(label)} labels of {self.outputs} classes")
        if self.form == "squared":
            return 0.5 * (output.softmax(dim=1) - self._one_hot(label, output)).square().sum(dim=1)
        return F.cross_entropy(output, label.long(), reduction="none")

    def prediction(self, output: Tensor) -> Tensor:
        """Probabilities (B, classes)."""
        return output.softmax(dim=1)

    def error(self, prediction: Tensor, label: Tensor) -> Tensor:
        """1 − p of the right class = ½ Σ |p − y|, per case (B,); for two classes that is |p − y|."""
        return 0.5 * (prediction - self._one_hot(label, prediction)).abs().sum(dim=1)

    def decision(self, prediction: Tensor) -> Tensor:
        """The most probable class (B,), int64."""
        return prediction.argmax(dim=1)

    def true_decision(self, label: Tensor) -> Tensor:
        """y itself."""
        return label

    def readings(self, prediction: Tensor, label: Tensor) -> list[OutputReading]:
        """The probability of each class, and whether it is the most probable one."""
        decided, right = int(self.decision(prediction)), float(label)
        unknown = right != right
        return [
            OutputReading(str(k), float(p), float("nan") if unknown else float(right == k), float(decided == k))
            for k, p in enumerate(prediction[0])
        ]

    def label_problem(self, value: float) -> str:
        """A class number."""
        known = value in range(self.target.classes)
        return "" if known else f"a class from 0 to {self.target.classes - 1} (task.classes)"

    def _one_hot(self, label: Tensor, like: Tensor) -> Tensor:
        classes = torch.arange(self.outputs, device=like.device)
        return (label[:, None] == classes).to(like.dtype)
