"""Who restored, as ``restored.yaml`` says it: a model, or a method without weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from taskgan.model.folder import ModelCard
from taskgan.recipe import Data, RecogniserSettings, Task


class AppliedSettings(Protocol):
    """How a method was applied: what decides a restored number, besides who restored."""

    @property
    def samples(self) -> int:
        """Draws of z; 0 is none."""

    def as_values(self) -> dict[str, Any]:
        """Plain values, as YAML and JSON give them back."""


@dataclass(frozen=True)
class Origin:
    """Who restored.

    Attributes:
        method: Its name in every table.
        name: What people call it.
        checksum: Of what it computes with: weights, or settings.
        data: Inputs and intensity transform that an evaluation takes.
        task: Settings by which an evaluation finds T.
        judge: Likewise the judge.
        seed: Training seed, or None where nothing is drawn.
        fold: Cross-validation fold, or None where nothing is trained.
        step: Optimiser step of the weights.
        seen: Whom it learnt from: ``people`` and ``images`` as
            :class:`~taskgan.model.folder.TrainingDomain` has them, or ``subjects: 0``.
    """

    method: str
    name: str
    checksum: str
    data: Data
    task: Task
    judge: RecogniserSettings
    seed: int | None = None
    fold: int | None = None
    step: int = 0
    seen: Mapping[str, Any] = field(default_factory=lambda: {"subjects": 0})

    @classmethod
    def from_card(cls, card: ModelCard) -> "Origin":
        """A model by its card."""
        domain = card.seen
        return cls(
            method=card.objective,
            name=card.name,
            checksum=card.checksum,
            data=card.data.model_copy(update={"patch": None}),  # an evaluation has no generator to show blocks
            task=card.task,
            judge=card.judge,
            seed=card.seed,
            fold=card.fold,
            step=card.step,
            seen={
                "cohort": domain.cohort,
                "fingerprint": domain.fingerprint,
                "people": list(domain.people),
                "images": list(domain.images),
            },
        )

    def as_values(self) -> dict[str, Any]:
        """What an audit and an evaluation want to know."""
        return {
            "recipe": {
                "data": self.data.model_dump(mode="json"),
                "task": self.task.model_dump(mode="json"),
                "judge": self.judge.model_dump(mode="json"),
            },
            "seen": dict(self.seen),
        }
