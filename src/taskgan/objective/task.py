"""Eq. 3: the task loss, for any kind of property, and the matching of T's inner features."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from taskgan.recipe.task import LossForm, Target


class OutputReading(NamedTuple):
    """One output of a reader for one image, as ``readings.csv`` lists it.

    Attributes:
        output: Its name: a label, a class, ``identity``.
        prediction: What the reader says: a probability, a value, a Dice coefficient.
        target: What would be right; NaN where it is unknown.
        decision: What a reader would write down; NaN where there is nothing to decide.
    """

    output: str
    prediction: float
    target: float
    decision: float


class TaskKind(ABC):
    """What a kind of property has to know about itself. A new kind is one file in ``objective/kinds``.

    ``output`` is what T gives, before any activation: (B, outputs) for properties of an image, (B, outputs,
    H, W) for properties of its pixels. Losses are of order 1, so that μ means about the same for every kind.
    Nothing here reduces over the cases of a batch.

    Attributes:
        measure: Name of the error and what it is, for tables.
        dense, by_class, partial, several, anchored, standardised: See :class:`~taskgan.recipe.task.KindFacts`.

    Args:
        form: ``squared`` is Eq. 3 as written; ``proper`` the usual loss of the kind.

    Raises:
        ValueError: If the form is unknown.
    """

    measure: ClassVar[tuple[str, str]]

    def __init__(self, target: Target, form: LossForm) -> None:
        if form not in ("squared", "proper"):
            raise ValueError(f"task loss is {form!r}, expected squared or proper")
        facts = target.facts
        self.dense, self.by_class, self.partial = facts.dense, facts.by_class, facts.partial
        self.multiple_columns, self.label_from_clean = facts.several, facts.anchored
        self.standardised = facts.standardised
        self.target = target
        self.form = form

    @property
    def outputs(self) -> int:
        """Numbers that T gives for a case (for a pixel): one, where the kind says no other."""
        return 1

    @abstractmethod
    def loss(self, output: Tensor, label: Tensor) -> Tensor:
        """One term of Eq. 3, per case (B,); ``label`` is y in the kind's own form."""

    @abstractmethod
    def prediction(self, output: Tensor) -> Tensor:
        """T(x) on the scale of y, one a case: probabilities, values, descriptors."""

    def error(self, prediction: Tensor, label: Tensor) -> Tensor:
        """How far a prediction is from y, per case (B,), in units of y (Table 2's task MAE): |T(x) − y|."""
        return (prediction - label.to(prediction.dtype)).abs()

    @abstractmethod
    def decision(self, prediction: Tensor) -> Tensor:
        """What a reader would write down: classes for predictions of classes, the value itself for values."""

    @abstractmethod
    def readings(self, prediction: Tensor, label: Tensor) -> list[OutputReading]:
        """The outputs of one image (or volume), one by one.

        Args:
            prediction: (1, …).
            label: y of it (1, …), NaN where it is unknown.
        """

    @abstractmethod
    def label_problem(self, value: float) -> str:
        """What a label (a voxel of a mask) should be, where ``value`` is something else; empty where it is fine."""

    def y(self, label: Tensor, clean: Tensor | None) -> Tensor:
        """Eq. 3's y of a batch. ``clean``: T's output for x; None where nobody asked T."""
        return label

    def true_decision(self, label: Tensor) -> Tensor | None:
        """What :meth:`decision` should be, (B,); None where a case has not one decision that is right or wrong."""
        return None

    def pretraining_head(self, identities: int) -> nn.Module | None:
        """What T is pretrained under and left without afterwards: ``forward(output, label) -> loss (B,)``.

        None where T learns by :meth:`loss`.
        """
        return None


def flat_output(output: Tensor) -> Tensor:
    """The one number (B,) of each case, from (B, 1) or (B,)."""
    return output.squeeze(1) if output.ndim == 2 and output.shape[1] == 1 else output


def task_loss(kind: TaskKind, restored: Tensor, clean: Tensor | None, label: Tensor) -> Tensor:
    """Eq. 3, L_task = (T(x̂) − y)² + (T(x) − y)², in the form that ``kind`` gives to the square, per case.

    The first term teaches G, and T where it is trained jointly. The second teaches T alone, for G has no part
    in x.

    Args:
        restored: T's output for x̂.
        clean: T's output for x, the same shape; None leaves the second term out, which is a constant where T is
            frozen.

    Returns:
        (B,).

    Raises:
        ValueError: If the outputs differ in shape.
    """
    loss = kind.loss(restored, label)
    if clean is None:
        return loss
    if restored.shape != clean.shape:
        raise ValueError(f"outputs for restored {tuple(restored.shape)} and clean {tuple(clean.shape)} differ")
    return loss + kind.loss(clean, label)


def feature_distance(restored: Sequence[Tensor], clean: Sequence[Tensor]) -> Tensor:
    """Beyond Eq. 3: how far T's inner features of x̂ are from those of x, per case.

    Relative, ‖f_k(x̂) − f_k(x)‖² / ‖f_k(x)‖² averaged over the layers: 0 is no difference, 1 is as large as the
    features themselves. A joint T can then not make it small by making its features small, and the weight
    means the same for every network. Clean features are detached: x̂ moves towards x.

    Args:
        restored: T's features of x̂, one (B, C_k, h_k, w_k) a layer.
        clean: T's features of x.

    Returns:
        (B,).

    Raises:
        ValueError: If the two sides have different numbers of layers, or none.
    """
    if len(restored) != len(clean) or not clean:
        raise ValueError(f"got {len(restored)} restored and {len(clean)} clean layers, expected the same, not 0")
    distances = []
    for ours, theirs in zip(restored, clean, strict=True):
        target = theirs.detach().flatten(1)
        size = target.square().mean(dim=1).clamp_min(torch.finfo(target.dtype).tiny ** 0.5)
        distances.append((ours.flatten(1) - target).square().mean(dim=1) / size)
    return torch.stack(distances).mean(dim=0)
