"""Several properties at once, each there or not, such as positive regions: a logit each, y is 0, 1 or unknown."""

import torch.nn.functional as F
from torch import Tensor

from taskgan.objective.task import OutputReading, TaskKind


class MultiLabel(TaskKind):
    """One binary property for each of ``target.columns``; unknown labels are NaN and count nowhere.

    ``squared``: mean of (p − y)² over the known labels of a case. ``proper``: mean of the cross-entropies. Means
    rather than sums, so that μ does not depend on how many labels there are.
    """

    measure = ("slice MAE", "Mean |probability − label| over the known labels and the middle slices")

    @property
    def outputs(self) -> int:
        """A logit for each label."""
        return len(self.target.columns)

    def loss(self, output: Tensor, label: Tensor) -> Tensor:
        """(B,) from logits (B, L) and y (B, L), NaN where it is unknown; 0 for a case without a known label.

        Raises:
            ValueError: If the shapes differ.
        """
        if output.shape != label.shape:
            raise ValueError(f"got {tuple(output.shape)} logits for {tuple(label.shape)} labels")
        # The gaps are filled before anything is computed: 0 · NaN is NaN, in the gradient too.
        target = label.nan_to_num().to(output.dtype)
        if self.form == "squared":
            each = (output.sigmoid() - target).square()
        else:
            each = F.binary_cross_entropy_with_logits(output, target, reduction="none")
        known = ~label.isnan()
        return (each * known).sum(dim=1) / known.sum(dim=1).clamp_min(1)

    def prediction(self, output: Tensor) -> Tensor:
        """Probabilities (B, L)."""
        return output.sigmoid()

    def error(self, prediction: Tensor, label: Tensor) -> Tensor:
        """Mean |p − y| over the known labels of a case (B,); NaN where none is known."""
        return super().error(prediction, label).nanmean(dim=1)

    def decision(self, prediction: Tensor) -> Tensor:
        """1 where the probability is above one half, else 0; (B, L), int64."""
        return (prediction > 0.5).long()

    def readings(self, prediction: Tensor, label: Tensor) -> list[OutputReading]:
        """The probability of each label."""
        columns = zip(self.target.columns, prediction[0], label[0], self.decision(prediction)[0], strict=True)
        return [OutputReading(name, float(p), float(y), float(d)) for name, p, y, d in columns]

    def label_problem(self, value: float) -> str:
        """0 or 1."""
        return "" if value in (0.0, 1.0) else "0, 1 or nothing"
