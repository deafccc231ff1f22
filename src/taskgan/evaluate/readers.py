"""The readers of a cohort: the task network T and a judge that no generator ever saw."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.pairs import Pairs
from taskgan.evaluate.reading import Reader
from taskgan.files import checksum
from taskgan.recipe import Recipe

if TYPE_CHECKING:  # it brings torch
    from taskgan.recogniser.recogniser import Recogniser


@dataclass(frozen=True)
class Stored:
    """A recogniser and the folder that it is kept in."""

    recogniser: "Recogniser"
    folder: Path

    def read(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities (S,) of slices (S, H, W)."""
        return self.recogniser.read(slices)

    def features(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features (F,) of an image's slices (S, H, W)."""
        from taskgan.recogniser.features import image_features

        return image_features(self.recogniser.network, slices)

    def description(self) -> dict[str, Any]:
        """Network, training and figures, for the record."""
        from taskgan.recogniser.recogniser import WEIGHTS

        card = describe(self.recogniser)
        return {
            "network": card["settings"]["network"],
            "seed": card["settings"]["seed"],
            "folder": self.folder.name,
            "checksum": checksum(self.folder / WEIGHTS),
            "training_subjects": len(card["training_subjects"]),
            "validation": card["validation"],
        }


def no_readers(pairs: Pairs) -> str:
    """Why the cohort can teach no reader; empty where it can."""
    if len({pair.label for pair in pairs.split("train")} - {None}) < 2:
        return "the training rows do not hold both labels, so no network could be taught to read the images"
    if not len(pairs.split("val")):
        return "there are no validation rows, so no network could be taught to read the images"
    return ""


def default_readers(pairs: Pairs, recipe: Recipe, store: Path | None) -> dict[str, Reader]:
    """T as pretrained and the judge, both trained on clean images of the training subjects only.

    T here is the pretrained one also where it went on learning with the generator: one that had learnt on
    restored images could excuse their mistakes.

    Args:
        pairs: The cohort's rows.
        recipe: How the two are trained.
        store: Where they are kept; where None in the cohort.

    Returns:
        ``task`` and ``judge``.
    """
    from taskgan.recogniser.store import recogniser_folder, recogniser_for

    found: dict[str, Reader] = {}
    for name, settings in (("task", recipe.task.pretrain), ("judge", recipe.judge)):
        recogniser = recogniser_for(pairs, settings, recipe.data, name=name, store=store)
        found[name] = Stored(
            recogniser, recogniser_folder(pairs, settings, recipe.data, name=name, store=store)
        )
    return found


def describe(reader: Reader) -> dict[str, Any]:
    """What a reader says of itself (network, checksum, figures), for the record; empty for a foreign one."""
    told = getattr(reader, "description", None)
    return dict(told()) if callable(told) else {}
