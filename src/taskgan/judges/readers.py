"""The readers of a cohort: the task network T and a judge that no generator ever saw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.pairs import Pairs
from taskgan.core.console import say
from taskgan.core.files import checksum
from taskgan.recipe import Recipe, Target

if TYPE_CHECKING:  # they bring torch
    from taskgan.judges.recogniser import Recogniser
    from taskgan.objective.task import TaskKind


class Reader(Protocol):
    """What recognises the property: the task network, a judge, or anything that reads slices."""

    def read(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of slices (S, H, W) in network units: probabilities of a binary property or values (S,); (S, n) of several
        labels, of classes or descriptors; (S, n, H, W) of classes in pixels.

        The scale of network units is the degraded image's for every method, because a restored image that is too
        bright must not be excused by a scale of its own.
        """
        ...


@dataclass(frozen=True)
class StoredReader:
    """A recogniser and the folder that it is kept in."""

    recogniser: "Recogniser"
    folder: Path

    @property
    def kind(self) -> "TaskKind":
        """The kind of property that it reads."""
        return self.recogniser.kind

    def read(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        """What slices (S, H, W) show, see :class:`Reader`."""
        return self.recogniser.read(slices)

    def features(self, slices: NDArray[np.float32]) -> NDArray[np.float64]:
        """Features (S, F) of slices (S, H, W)."""
        from taskgan.judges.volumes import slice_features

        return slice_features(self.recogniser.network, slices)

    def description(self) -> dict[str, Any]:
        """Network, training and figures, for the record."""
        return stored_description(reader_description(self.recogniser), self.folder, ["training_subjects"])


def stored_description(card: Mapping[str, Any], folder: Path, counted: Sequence[str]) -> dict[str, Any]:
    """Network, seed, checksum, numbers of the subjects to be counted, and figures of what is kept in a folder."""
    from taskgan.judges.recogniser import WEIGHTS

    return {
        **{key: card["settings"][key] for key in ("network", "seed")},
        "folder": folder.name,
        "checksum": checksum(folder / WEIGHTS),
        **{key: len(card[key]) for key in counted},
        "validation": card["validation"],
    }


def no_readers_reason(pairs: Pairs, target: Target | None = None) -> str:
    """Why the cohort can teach no reader of the property (None: a binary one in ``label``); empty where it can."""
    from taskgan.cohort.targets import Targets, untrainable_reason

    reason = untrainable_reason(pairs.split("train"), Targets.for_table(target or Target(), pairs))
    if not reason and not len(pairs.split("val")):
        reason = "there are no validation rows"
    return f"{reason}, so no network could be taught to read the images" if reason else ""


def default_readers(pairs: Pairs, recipe: Recipe, store: Path | None) -> dict[str, Reader]:
    """T as pretrained and the judge, both trained on clean images of the training subjects only.

    T here is the pretrained one also where it went on learning with the generator: one that had learnt on
    restored images could excuse their mistakes.

    Returns:
        ``task`` and ``judge``, which are kept in ``store`` or, where None, in the cohort.
    """
    from taskgan.judges.store import recogniser_folder, recogniser_for

    readers: dict[str, Reader] = {}
    for name, settings in (("task", recipe.task.reader), ("judge", recipe.judge)):
        target = recipe.task.target
        folder = recogniser_folder(pairs, settings, recipe.data, name=name, store=store, target=target)
        if name == "task" and not recipe.task.pretrain.steps and not folder.is_dir():
            say(
                f"task.pretrain.steps is 0: the run's own T learnt on restored images too, so a T is taught on clean "
                f"images for this evaluation, {settings.steps} steps at most, once for this cohort"
            )
        recogniser = recogniser_for(pairs, settings, recipe.data, name=name, store=store, target=target)
        readers[name] = StoredReader(recogniser, folder)
    return readers


def reader_description(reader: Reader) -> dict[str, Any]:
    """What a reader says of itself (network, checksum, figures), for the record; empty for a foreign one."""
    description = getattr(reader, "description", None)
    return dict(description()) if callable(description) else {}
