"""Who or what an image shows, such as a face's identity: T gives a descriptor, y is the descriptor of x."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taskgan.objective.task import OutputReading, TaskKind

_SHARPNESS = 16.0  # of the softmax over the cosines of a batch


class Embedding(TaskKind):
    """The L2-normalised descriptor of T, of length ``target.size``; y = T(x)'s.

    T's own classes are the training identities, which are not those of the images that it has to judge later
    (VGG-Face's are not LFW's people), so Eq. 3 compares descriptors. y is (B, 1 + size): the number of the
    identity, then the descriptor.

    ``squared``: ‖u − y‖² of unit descriptors, 0 to 4. ``proper``: the cross-entropy of telling, by cosines, the
    right identity from the others in the batch, which no constant descriptor can minimise. It depends on the
    company; images of the same identity are nobody's company.
    """

    measure = ("distance", "Mean distance of unit descriptors from the clean image's over the middle slices")

    @property
    def outputs(self) -> int:
        """Length of the descriptor."""
        return self.target.size

    def y(self, label: Tensor, clean: Tensor | None) -> Tensor:
        """(B, 1 + size) from identity numbers (B,) and T's output for x; nobody learns through it."""
        if clean is None:
            raise ValueError("the descriptor of x is needed, got no output of T for x")
        return torch.cat([label[:, None].to(clean.dtype), self.prediction(clean).detach()], dim=1)

    def loss(self, output: Tensor, label: Tensor) -> Tensor:
        """(B,) from outputs (B, size) and y (B, 1 + size).

        Raises:
            ValueError: If the shapes do not go together.
        """
        if output.shape != (len(label), self.outputs) or label.shape[1] != 1 + self.outputs:
            raise ValueError(f"got {tuple(output.shape)} descriptors for {tuple(label.shape)} of y")
        predicted, who, truth = self.prediction(output), label[:, 0], label[:, 1:]
        if self.form == "squared":
            return (predicted - truth).square().sum(dim=1)
        cosines = _SHARPNESS * predicted @ truth.T
        own = torch.eye(len(who), dtype=torch.bool, device=who.device)
        cosines = cosines.masked_fill((who[:, None] == who) & ~own, float("-inf"))
        return F.cross_entropy(cosines, torch.arange(len(who), device=who.device), reduction="none")

    def prediction(self, output: Tensor) -> Tensor:
        """Unit descriptors (B, size)."""
        unit: Tensor = F.normalize(output, dim=1)
        return unit

    def error(self, prediction: Tensor, label: Tensor) -> Tensor:
        """Euclidean distance of unit descriptors, 0 to 2, per case (B,)."""
        distance: Tensor = torch.linalg.vector_norm(prediction - label[:, 1:].to(prediction.dtype), dim=1)
        return distance

    def decision(self, prediction: Tensor) -> Tensor:
        """The descriptor itself: an identity is decided by comparing two (see :meth:`readings`)."""
        return prediction

    def readings(self, prediction: Tensor, label: Tensor) -> list[OutputReading]:
        """Cosine with y; "the same identity" (1) where their distance is within the cut."""
        both = torch.cat([prediction, label[:, 1:].to(prediction.dtype)])
        ours, theirs = F.normalize(both, dim=1)
        distance = float(torch.linalg.vector_norm(ours - theirs))
        cut = self.target.cut
        same = float("nan") if cut is None else float(distance <= cut)
        return [OutputReading("identity", float(ours @ theirs), 1.0, same)]

    def label_problem(self, value: float) -> str:
        """Identities are names: any will do."""
        return ""

    def pretraining_head(self, identities: int) -> "MarginHead":
        """The classifier of the training identities."""
        target = self.target
        return MarginHead(self.outputs, identities, target.margin, target.margin_form, target.margin_scale)


class MarginHead(nn.Module):
    """Softmax over scaled cosines, with a margin that the right class must win by.

    ``cosine``: s (cos θ − m) stands for the right class (CosFace, 10.1109/CVPR.2018.00552). ``angular``:
    s cos(θ + m) (ArcFace, 10.1109/CVPR.2019.00482). Beyond θ = π − m that cosine would rise again and reward a
    descriptor for being as wrong as can be; there the curve goes on as s (cos θ − m sin m), which falls, as in the
    authors' program.

    Args:
        margin: m, a cosine or an angle in radians.
    """

    def __init__(
        self,
        size: int,
        identities: int,
        margin: float,
        form: Literal["cosine", "angular"] = "cosine",
        scale: float = _SHARPNESS,
    ) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(identities, size))
        self.margin, self.form, self.scale = margin, form, scale

    def forward(self, output: Tensor, label: Tensor) -> Tensor:
        """(B,) from descriptors (B, size) and identity numbers (B,)."""
        number = label.long()
        cosines = F.normalize(output, dim=1) @ F.normalize(self.centres, dim=1).T
        right = cosines.gather(1, number[:, None])
        held = right - self.margin if self.form == "cosine" else _turned(right, self.margin)
        logits = self.scale * cosines.scatter(1, number[:, None], held)
        return F.cross_entropy(logits, number, reduction="none")


def _turned(cosine: Tensor, margin: float) -> Tensor:
    """cos(θ + m) of cos θ, continued downwards where θ + m passes π."""
    # At θ = 0 the slope of the sine is infinite; a descriptor that is there has nothing to learn.
    sine = (1 - cosine.square()).clamp_min(torch.finfo(cosine.dtype).eps).sqrt()
    turned = cosine * math.cos(margin) - sine * math.sin(margin)
    return torch.where(cosine > -math.cos(margin), turned, cosine - margin * math.sin(margin))
