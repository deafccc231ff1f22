"""A property of every pixel, such as a lesion or cortex mask: a logit for each class and pixel, y is a mask."""

import torch
import torch.nn.functional as F
from torch import Tensor

from taskgan.objective.task import OutputReading, TaskKind
from taskgan.recipe import Task


class Segmentation(TaskKind):
    """Which of ``target.classes`` classes every pixel belongs to; class 0 is the background.

    ``squared``: Eq. 3 for each pixel, ½ Σ (p − y)² over the softmax p, mean over pixels. ``proper``:
    cross-entropy, mean over pixels, plus 1 − soft Dice, mean over the classes but the background that y has
    (Milletari et al. 2016, 10.1109/3DV.2016.79): cross-entropy alone hardly sees a lesion of a few pixels, Dice
    alone has no gradient in a slice without one.

    With ``task.false_positive`` = f a pixel that is wrongly called a lesion costs f times one that is missed: the
    cross-entropy of background pixels weighs f, and in the place of Dice stands Tversky's index Σ p·y / (Σ p·y +
    f/2 Σ p·(1 − y) + 1/2 Σ (1 − p)·y) (Salehi et al. 2017, 10.1007/978-3-319-67389-9_44), which at f = 1 is Dice.
    """

    measure = ("1 − Dice", "1 − Dice over the middle slices as one volume, mean over the classes")

    @property
    def outputs(self) -> int:
        """A logit for each class, at every pixel."""
        return self.target.classes

    def loss(self, output: Tensor, label: Tensor) -> Tensor:
        """(B,) from logits (B, classes, H, W) and masks of class numbers (B, H, W).

        Raises:
            ValueError: If the shapes do not go together.
        """
        if output.shape != (len(label), self.outputs, *label.shape[1:]):
            raise ValueError(
                f"got {tuple(output.shape)} logits for masks {tuple(label.shape)} of {self.outputs} classes"
            )
        share, truth = output.softmax(dim=1), self._one_hot(label).to(output.dtype)
        if self.form == "squared":
            return 0.5 * (share - truth).square().sum(dim=1).flatten(1).mean(dim=1)
        cost = self.target.false_positive if isinstance(self.target, Task) else 1.0
        weight = torch.where(label == 0, cost, 1.0)
        entropy = (weight * F.cross_entropy(output, label.long(), reduction="none")).flatten(1).mean(dim=1)
        present = truth[:, 1:].flatten(2).any(dim=2)
        missed = (1 - _tversky(share[:, 1:], truth[:, 1:], cost)) * present
        return entropy + missed.sum(dim=1) / present.sum(dim=1).clamp_min(1)

    def prediction(self, output: Tensor) -> Tensor:
        """Probabilities (B, classes, H, W)."""
        return output.softmax(dim=1)

    def error(self, prediction: Tensor, label: Tensor) -> Tensor:
        """1 − Dice of the decided masks, mean over the classes but the background that y or the decision has, (B,).

        0 where neither has any.
        """
        dice, known = self._agreement(prediction, label)
        return ((1 - dice) * known).sum(dim=1) / known.sum(dim=1).clamp_min(1)

    def decision(self, prediction: Tensor) -> Tensor:
        """The most probable class of every pixel (B, H, W), int64."""
        return prediction.argmax(dim=1)

    def readings(self, prediction: Tensor, label: Tensor) -> list[OutputReading]:
        """Dice of each class but the background; NaN where neither y nor the decision has it."""
        dice, known = self._agreement(prediction, label)
        names = range(1, self.target.classes)
        column = self.target.columns[0]
        return [
            OutputReading(
                column if len(names) == 1 else f"{column}_{k}",
                float(dice[0, k - 1]) if known[0, k - 1] else float("nan"),
                1.0,
                float("nan"),
            )
            for k in names
        ]

    def label_problem(self, value: float) -> str:
        """A class number."""
        known = value in range(self.target.classes)
        return "" if known else f"classes from 0 to {self.target.classes - 1} (task.classes)"

    def _agreement(self, prediction: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Dice (B, classes − 1), and where it is defined."""
        ours, theirs = self._one_hot(self.decision(prediction))[:, 1:], self._one_hot(label)[:, 1:]
        known = ours.flatten(2).any(dim=2) | theirs.flatten(2).any(dim=2)
        return _tversky(ours.to(prediction.dtype), theirs.to(prediction.dtype)), known

    def _one_hot(self, label: Tensor) -> Tensor:
        classes = torch.arange(self.outputs, device=label.device)
        return label[:, None] == classes[:, None, None]


def _tversky(ours: Tensor, theirs: Tensor, cost: float = 1.0) -> Tensor:
    """2 Σ a·b / (2 Σ a·b + cost Σ a·(1 − b) + Σ (1 − a)·b) over the pixels, at cost 1 Dice, 2 Σ a·b / Σ (a + b).

    (B, C, H, W) twice to (B, C); 0 where both are empty.
    """
    both = (ours * theirs).flatten(2).sum(dim=2)
    sizes = (ours + theirs).flatten(2).sum(dim=2)
    if cost != 1:  # at 1 to the bit what it was before there was a cost
        sizes = sizes + (cost - 1) * (ours.flatten(2).sum(dim=2) - both)
    return 2 * both / sizes.clamp_min(torch.finfo(sizes.dtype).tiny ** 0.5)
