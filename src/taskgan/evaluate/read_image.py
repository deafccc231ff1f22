"""What the readers of an evaluation make of one image, for every kind of property."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.images import Volume
from taskgan.cohort.pairs import Pair
from taskgan.cohort.slices import to_slices
from taskgan.evaluate.reading import Reader, read_case
from taskgan.evaluate.settings import Evaluation
from taskgan.recogniser.decision import middle_slices

if TYPE_CHECKING:  # they bring torch
    from taskgan.cohort.targets import Targets
    from taskgan.objective.task import TaskKind

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Asked:
    """What a reader is asked of the images of a case.

    Attributes:
        kind: Kind of property.
        label: y of the case, as :func:`~taskgan.evaluate.reading.read_case` wants it.
    """

    kind: "TaskKind"
    label: Array | None


def questions(
    pair: Pair,
    source: Volume,
    clean: Array,
    targets: "Targets",
    readers: Mapping[str, Reader],
    settings: Evaluation,
) -> dict[str, Asked]:
    """What each reader is asked.

    Args:
        pair: The case.
        source: Its degraded image.
        clean: Its clean image (X, Y, Z) in network units: an embedding's y is what the reader makes of it.
        targets: The property; a reader that knows its own kind is asked that.
        readers: ``task`` and ``judge``, or fewer.
        settings: Slices.

    Raises:
        UserError: If a label is no number, or a mask cannot be read or is on another grid.
    """
    import torch

    found: dict[str, Asked] = {}
    for name, reader in readers.items():
        kind: TaskKind = getattr(reader, "kind", targets.kind)
        if kind.dense:
            label = targets.mask(pair, source) if pair.path(targets.target.columns[0]) else None
        else:
            label = targets.value(pair)
        if kind.anchored and label is not None:
            said = torch.from_numpy(reader.read(middle_slices(to_slices(clean), settings.slices)))
            label = kind.y(torch.from_numpy(label).expand(len(said)), said).numpy()
        found[name] = Asked(kind, label)
    return found


def read_image(
    image: Array, asked: Mapping[str, Asked], readers: Mapping[str, Reader], settings: Evaluation
) -> dict[str, Any]:
    """The columns of ``cases.csv`` that readers fill, and under ``outputs`` the rows of ``readings.csv``.

    Args:
        image: (X, Y, Z) in network units.
        asked: See :func:`questions`.
        readers: The same.
        settings: Slices.
    """
    found: dict[str, Any] = {"outputs": []}
    for name, reader in readers.items():
        kind, label = asked[name].kind, asked[name].label
        reading = read_case(reader, to_slices(image), label, settings.slices, kind)
        found[f"{name}_mae"] = reading.mae
        found[f"{name}_probability"] = reading.probability
        found[f"{name}_decision"] = reading.decision
        if reading.truth is not None:
            found["label"] = reading.truth
        if kind.outputs > 1:
            found["outputs"] += [{"reader": name, **entry._asdict()} for entry in reading.entries]
    return found
