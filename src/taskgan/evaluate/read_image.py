"""What the readers of an evaluation make of the images of cases, for every kind of property."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.images import Volume
from taskgan.cohort.pairs import Pair
from taskgan.cohort.slices import to_slices
from taskgan.evaluate.reading import Reader, reading_of
from taskgan.evaluate.settings import Evaluation
from taskgan.recogniser.decision import middle_slices
from taskgan.recogniser.together import read_volumes

if TYPE_CHECKING:  # they bring torch
    from taskgan.cohort.targets import Targets
    from taskgan.objective.task import TaskKind

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Asked:
    """What a reader is asked of the images of a case.

    Attributes:
        kind: Kind of property.
        label: y of the case, as :func:`~taskgan.evaluate.reading.reading_of` wants it; of an anchored property
            without what the reader makes of the clean image.
    """

    kind: "TaskKind"
    label: float | Array | None

    @property
    def silent(self) -> bool:
        """Whether an answer would be held against nothing."""
        return self.kind.dense and self.label is None

    def anchored(self, clean: Array | None) -> "Asked":
        """With y as what the reader makes of the clean image, where the property is that."""
        import torch

        if not self.kind.anchored or self.label is None or clean is None:
            return self
        said = torch.from_numpy(clean)
        label = torch.as_tensor(self.label, dtype=torch.float32)
        return replace(self, label=self.kind.y(label.expand(len(said), *label.shape), said).numpy())


def questions(
    pair: Pair, source: Volume, targets: "Targets", readers: Mapping[str, Reader]
) -> dict[str, Asked]:
    """What each reader is asked.

    Args:
        pair: The case.
        source: Its degraded image.
        targets: The property; a reader that knows its own kind is asked that.
        readers: ``task`` and ``judge``, or fewer.

    Raises:
        UserError: If a label is no number, or a mask cannot be read or is on another grid.
    """
    found: dict[str, Asked] = {}
    for name, reader in readers.items():
        kind: TaskKind = getattr(reader, "kind", targets.kind)
        if kind.dense:
            label = targets.mask(pair, source) if pair.path(targets.target.columns[0]) else None
        else:
            label = targets.value(pair)
        found[name] = Asked(kind, label)
    return found


def answers(
    readers: Mapping[str, Reader],
    asked: Sequence[Mapping[str, Asked]],
    images: Sequence[Mapping[str, Array]],
    settings: Evaluation,
) -> list[dict[str, dict[str, Array]]]:
    """What the readers say of all images of some cases, each read once.

    Args:
        readers: ``task`` and ``judge``, or fewer.
        asked: Of each case, by reader.
        images: Of each case, by name: (X, Y, Z) in network units.
        settings: Slices.

    Returns:
        Of each case, by reader and image; without readers whose answer would be held against nothing.
    """
    found: list[dict[str, dict[str, Array]]] = [{} for _ in images]
    for name, reader in readers.items():
        places = [(k, image) for k, one in enumerate(images) if not asked[k][name].silent for image in one]
        volumes = [middle_slices(to_slices(images[k][image]), settings.slices) for k, image in places]
        for (k, image), said in zip(places, read_volumes(reader.read, volumes), strict=True):
            found[k].setdefault(name, {})[image] = said
    return found


def reading_columns(
    said: Mapping[str, Mapping[str, Array]], image: str, asked: Mapping[str, Asked], settings: Evaluation
) -> dict[str, Any]:
    """The columns of ``cases.csv`` that readers fill, and under ``outputs`` the rows of ``readings.csv``.

    Args:
        said: Of the images of the case, by reader and image.
        image: Which of them the row is about.
        asked: Of the case, by reader; anchored.
        settings: Slices.
    """
    found: dict[str, Any] = {"outputs": []}
    for name, question in asked.items():
        reading = reading_of(said.get(name, {}).get(image), question.label, question.kind, settings.slices)
        found[f"{name}_mae"] = reading.mae
        found[f"{name}_probability"] = reading.probability
        found[f"{name}_decision"] = reading.decision
        if reading.truth is not None:
            found["label"] = reading.truth
        if question.kind.outputs > 1:
            found["outputs"] += [{"reader": name, **entry._asdict()} for entry in reading.entries]
    return found
