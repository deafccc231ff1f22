"""The tasks of a recipe: properties, each with the network that must still recognise it."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from taskgan.recipe.task import LossForm, RecogniserSettings, Target, check_network, descriptor_size


class Task(Target):
    """The property and the network that must still recognise it.

    A recipe's ``task`` is one such section, or a list of them: properties that G must keep all at once, Eq. 3 being
    their weighted sum. The first is the one that judges read by default and whose classes ``data.balanced`` counts;
    its section holds the others (``others``), and is written down as the list.

    Attributes:
        name: What it is called where there are several: in ``metrics.csv`` and by ``evaluate --task``. Empty takes
            its (first) column.
        weight: Factor on μ for this property.
        training: ``joint``: T goes on learning with G (the paper); ``frozen``: T stays as pretrained.
        loss: ``squared`` is Eq. 3, ``proper`` the usual loss of the kind.
        level: ``slice``: T answers, and Eq. 3 counts, for every slice. ``volume``: T answers once for the slices of a
            block, by the mean of its logits (``generator.dimensions`` 3; not of pixels, nor of an embedding).
        features: Weight of matching T's inner features between clean and restored (0 in the paper).
        false_positive: What a pixel that is wrongly called a lesion costs, relative to one that is missed
            (``segmentation`` with ``loss: proper``; see :class:`~taskgan.objective.kinds.segmentation.Segmentation`).
            It is of Eq. 3 alone: T is pretrained with 1, so that it reads what is there.
        pretrain: How T is pretrained on clean images of the training subjects.
        judge: The judge of this property, where it is not the first, whose judge is the recipe's; None takes that.
        others: The further tasks of a list.
    """

    name: str = Field(default="", max_length=60)
    weight: float = Field(default=1.0, ge=0)
    training: Literal["joint", "frozen"] = "joint"
    loss: LossForm = "squared"
    level: Literal["slice", "volume"] = "slice"
    features: float = Field(default=0.0, ge=0)
    false_positive: float = Field(default=1.0, gt=0, le=1000)
    pretrain: RecogniserSettings = RecogniserSettings()
    judge: RecogniserSettings | None = None
    others: tuple["Task", ...] = ()

    @property
    def title(self) -> str:
        """Its name, or its first column."""
        return self.name or self.columns[0]

    @property
    def target(self) -> Target:
        """The property alone."""
        return Target(**{name: getattr(self, name) for name in Target.model_fields})

    @property
    def reader(self) -> RecogniserSettings:
        """How a T that only reads is trained: as it is pretrained; where the run's starts untaught, by default."""
        if self.pretrain.steps:
            return self.pretrain
        return self.pretrain.model_copy(update={"steps": RecogniserSettings.model_fields["steps"].default})

    @model_validator(mode="before")
    @classmethod
    def _first_of_a_list(cls, values: Any) -> Any:
        if not isinstance(values, list | tuple):
            return values
        if not values:
            raise ValueError("expected at least one task in the list")
        first, *others = values
        if not others or not isinstance(first, Mapping | Task):
            return first
        return {**dict(first), "others": tuple(others)}

    @model_serializer(mode="wrap")
    def _as_a_list(self, handler: SerializerFunctionWrapHandler) -> Any:
        values = handler(self)
        if isinstance(values, list):  # pydantic calls the serializer of a class that names itself twice
            return values
        others = values.pop("others", ())
        return [values, *others] if others else values

    @model_validator(mode="after")
    def _tasks_are_told_apart(self) -> "Task":
        titles = [task.title for task in (self, *self.others)]
        if len(set(titles)) < len(titles):
            raise ValueError(f"the tasks are called {', '.join(titles)}: expected a name of its own for each (name)")
        if strange := [title for title in titles[1:] if title.startswith("features")]:
            raise ValueError(f"a task is called {strange[0]}, a word of metrics.csv itself; expected another name")
        if any(task.others for task in self.others):
            raise ValueError("a list of tasks holds a list, expected sections")
        return self

    @model_validator(mode="after")
    def _settings_fit(self) -> "Task":
        if self.pretrain.steps == 0 and (self.training == "frozen" or self.kind == "embedding"):
            what = "task.training is frozen" if self.training == "frozen" else "kind is embedding"
            raise ValueError(
                f"task.pretrain.steps is 0 and {what}: T would never learn the property; expected steps to pretrain it"
            )
        if self.false_positive != 1 and (self.kind, self.loss) != ("segmentation", "proper"):
            raise ValueError(
                f"task.false_positive is {self.false_positive:g} of kind {self.kind} with loss {self.loss}; expected "
                "kind segmentation with loss proper"
            )
        if self.level == "volume" and (self.facts.dense or self.facts.anchored):
            raise ValueError(
                f"task.level is volume of kind {self.kind}, which has no one answer a volume; expected slice"
            )
        if self.pretrain.network == "onnx":
            raise ValueError(
                "task.pretrain.network is onnx, which passes no gradient on to G; expected network program (a file of "
                "torch.export), or the ONNX file as judge"
            )
        check_network(self.pretrain, self, "task.pretrain")
        if self.kind == "embedding" and self.training == "joint" and self.loss == "squared":
            raise ValueError(
                "task.training is joint with task.loss squared: T would give all images one descriptor; say "
                "frozen, or proper"
            )
        if self.pretrain.facts.released and self.training != "frozen":
            raise ValueError(
                f"task.training is joint with task.pretrain.network {self.pretrain.network}, whose weights are kept "
                "as they were released; expected frozen"
            )
        length = descriptor_size(self.pretrain, self)
        if self.kind == "embedding" and length != self.size:
            raise ValueError(
                f"task.size is {self.size}, expected {length}, the length of the descriptor of "
                f"task.pretrain.network {self.pretrain.network}"
            )
        return self
