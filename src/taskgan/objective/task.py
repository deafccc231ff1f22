"""Eq. 3: the task loss, for any kind of property, and the matching of T's inner features."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn

Form = Literal["squared", "proper"]


class Target(Protocol):
    """What names a property, as a recipe does (``taskgan.recipe.Target`` says what each of these means)."""

    @property
    def kind(self) -> str:
        """One of the files of ``taskgan.objective.kinds``."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of ``pairs.csv`` that hold it."""

    @property
    def classes(self) -> int:
        """How many classes; of masks, the background is one."""

    @property
    def size(self) -> int:
        """Length of a descriptor."""

    @property
    def margin(self) -> float:
        """By which the right identity must win while T is pretrained: a cosine, or an angle in radians."""

    @property
    def margin_form(self) -> Literal["cosine", "angular"]:
        """Whether the margin is taken off the cosine or added to the angle."""

    @property
    def margin_scale(self) -> float:
        """What cosines are multiplied by before the softmax."""

    @property
    def centre(self) -> float | None:
        """Value that T calls 0; None is the mean over training subjects."""

    @property
    def scale(self) -> float | None:
        """Difference that T calls 1; None is the SD over training subjects."""

    @property
    def cut(self) -> float | None:
        """Value from which a case is positive, or largest distance of one identity; None decides nothing yet."""


class Entry(NamedTuple):
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
        dense: y has a value for each pixel, so T must answer for each.
        by_class: y is one of a few classes, which sampling can balance.
        partial: Some labels of a case may be unknown (NaN).
        several: y has as many values as the target has columns; all others have one column.
        anchored: y is made of T(x), not read from a table (see :meth:`y`); the column holds names.
        measure: Name of the error and what it is, for tables.
        standardised: The target's centre and scale count, and come from the training subjects where it has none.

    Args:
        target: The property.
        form: ``squared`` is Eq. 3 as written; ``proper`` the usual loss of the kind.

    Raises:
        ValueError: If the form is unknown, or the target names too many or too few columns.
    """

    dense: ClassVar[bool] = False
    by_class: ClassVar[bool] = False
    partial: ClassVar[bool] = False
    several: ClassVar[bool] = False
    anchored: ClassVar[bool] = False
    standardised: ClassVar[bool] = False
    measure: ClassVar[tuple[str, str]]

    def __init__(self, target: Target, form: Form) -> None:
        if form not in ("squared", "proper"):
            raise ValueError(f"task loss is {form!r}, expected squared or proper")
        if len(target.columns) != 1 and not self.several:
            raise ValueError(
                f"kind {target.kind} has one column of labels, got {', '.join(target.columns)}; "
                "several are of kind multi_label"
            )
        self.target = target
        self.form = form

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Numbers that T gives for a case (for a pixel)."""

    @abstractmethod
    def loss(self, output: Tensor, label: Tensor) -> Tensor:
        """One term of Eq. 3, per case (B,); ``label`` is y in the kind's own form."""

    @abstractmethod
    def prediction(self, output: Tensor) -> Tensor:
        """T(x) on the scale of y, one a case: probabilities, values, descriptors."""

    @abstractmethod
    def error(self, prediction: Tensor, label: Tensor) -> Tensor:
        """How far a prediction is from y, per case (B,), in units of y (Table 2's task MAE)."""

    @abstractmethod
    def decision(self, prediction: Tensor) -> Tensor:
        """What a reader would write down: classes for predictions of classes, the value itself for values."""

    @abstractmethod
    def entries(self, prediction: Tensor, label: Tensor) -> list[Entry]:
        """The outputs of one image (or volume), one by one.

        Args:
            prediction: (1, …).
            label: y of it (1, …), NaN where it is unknown.
        """

    @abstractmethod
    def expected(self, value: float) -> str:
        """What a label (a voxel of a mask) should be, where ``value`` is something else; empty where it is fine."""

    def y(self, label: Tensor, clean: Tensor | None) -> Tensor:
        """Eq. 3's y of a batch.

        Args:
            label: As the cohort gives it.
            clean: T's output for x; None where nobody asked T.
        """
        return label

    def truth(self, label: Tensor) -> Tensor | None:
        """What :meth:`decision` should be, (B,); None where a case has not one decision that is right or wrong."""
        return None

    def head(self, identities: int) -> nn.Module | None:
        """What T is pretrained under and left without afterwards: ``forward(output, label) -> loss (B,)``.

        None where T learns by :meth:`loss`.
        """
        return None


def task_loss(kind: TaskKind, restored: Tensor, clean: Tensor | None, label: Tensor) -> Tensor:
    """Eq. 3, L_task = (T(x̂) − y)² + (T(x) − y)², in the form that ``kind`` gives to the square, per case.

    The first term teaches G, and T where it is trained jointly. The second teaches T alone, for G has no part
    in x.

    Args:
        kind: The property.
        restored: T's output for x̂.
        clean: T's output for x, the same shape; None leaves the second term out, which is a constant where T is
            frozen.
        label: y, one entry a case.

    Returns:
        (B,).

    Raises:
        ValueError: If the outputs differ in shape.
    """
    loss = kind.loss(restored, label)
    if clean is None:
        return loss
    if restored.shape != clean.shape:
        raise ValueError(
            f"outputs for restored {tuple(restored.shape)} and clean {tuple(clean.shape)} differ"
        )
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
        raise ValueError(
            f"got {len(restored)} restored and {len(clean)} clean layers, expected the same, not 0"
        )
    distances = []
    for ours, theirs in zip(restored, clean, strict=True):
        target = theirs.detach().flatten(1)
        size = target.square().mean(dim=1).clamp_min(torch.finfo(target.dtype).tiny ** 0.5)
        distances.append((ours.flatten(1) - target).square().mean(dim=1) / size)
    return torch.stack(distances).mean(dim=0)
