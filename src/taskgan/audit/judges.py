"""Who judges: networks that the restorer never saw, trained here or given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskgan.audit.inputs import Inputs
from taskgan.errors import UserError
from taskgan.evaluate.readers import describe, no_readers
from taskgan.evaluate.reading import Reader
from taskgan.files import checksum
from taskgan.recipe import Recipe, Recogniser

OBSERVER = "SUVR"
KINDS = ("binary", "regression")
_NETWORKS = ("convnet", "resnet10", "resnet18")


@dataclass(frozen=True)
class Judge:
    """A reader with what has to be known of it.

    Attributes:
        name: What tables call it, e.g. ``convnet-1000``.
        reader: Reads slices.
        folder: Where it is kept; None for one made in Python.
    """

    name: str
    reader: Reader
    folder: Path | None = None

    @property
    def card(self) -> dict[str, Any]:
        """What it says of itself, as plain values; empty for a foreign one."""
        return describe(self.reader)

    @property
    def value(self) -> bool:
        """Whether it reads a value (a regression) rather than the probability of a label."""
        return self.kind == "regression"

    @property
    def kind(self) -> str:
        """Kind of property; a reader that does not say reads a binary one."""
        told = (self.card.get("target") or {}).get("kind")
        return str(told or getattr(self.reader, "kind", "binary"))

    @property
    def weights(self) -> Path | None:
        """The file of its weights."""
        from taskgan.recogniser.recogniser import WEIGHTS

        return self.folder / WEIGHTS if self.folder is not None else None

    def description(self) -> dict[str, Any]:
        """For the record: network, seed, checksum, how many it learnt from, its figures."""
        card, weights = self.card, self.weights
        if weights is None or "settings" not in card:
            return {"name": self.name, **card}
        return {
            "name": self.name,
            "network": card["settings"]["network"],
            "seed": card["settings"]["seed"],
            "folder": self.folder.name if self.folder is not None else "",
            "checksum": checksum(weights),
            "training_subjects": len(card["training_subjects"]),
            "validation_subjects": len(card["validation_subjects"]),
            "validation": card["validation"],
        }


def judge_settings(recipe: Recipe) -> tuple[Recogniser, Recogniser]:
    """Two judges whose networks and seeds differ from T's and from each other's.

    The first is the recipe's own judge; the second is of the remaining network, trained alike.
    """
    taken = {recipe.task.pretrain.network, recipe.judge.network}
    seeds = {recipe.task.pretrain.seed, recipe.judge.seed}
    network = next(name for name in _NETWORKS if name not in taken)
    seed = next(s for s in range(recipe.judge.seed + 1, recipe.judge.seed + 4) if s not in seeds)
    return recipe.judge, recipe.judge.model_copy(update={"network": network, "seed": seed})


def load_judges(folders: Sequence[Path]) -> list[Judge]:
    """Judges that were trained before.

    Raises:
        UserError: If a folder holds no recogniser.
    """
    from taskgan.recogniser.card import read_card
    from taskgan.recogniser.recogniser import Recogniser as Network

    found: list[Judge] = []
    for folder in folders:
        if not folder.is_dir():
            raise UserError(
                f"{folder} does not exist; expected a folder with recogniser.yaml and its weights"
            )
        kind = read_card(folder).target.kind
        if kind not in KINDS:
            raise UserError(f"{folder} reads a property of the kind {kind}, expected {' or '.join(KINDS)}")
        reader = Network.load(folder)
        found.append(Judge(_name(reader.card.settings, found), reader, folder))
    return found


def train_judges(inputs: Inputs, store: Path | None) -> list[Judge]:
    """Two judges trained on clean images of the table's training subjects, from the store if they are there.

    Args:
        inputs: Gives table and recipe.
        store: Where judges are kept; in the cohort where None.

    Raises:
        UserError: If the table has nobody to learn from; the sentence says what would be needed.
    """
    reason = cannot_train(inputs)
    if reason:
        raise UserError(
            f"{inputs.pairs.source}: {reason}; expected rows with the split train and val beside those with test, or "
            "judges that were trained on other subjects (--judge FOLDER)"
        )
    from taskgan.recogniser.store import recogniser_folder, recogniser_for

    target = inputs.recipe.task.target
    if target.kind not in KINDS:
        raise UserError(
            f"the recipe's property is of the kind {target.kind}, which an audit cannot judge; expected "
            f"{' or '.join(KINDS)}"
        )
    found: list[Judge] = []
    for settings in judge_settings(inputs.recipe):
        asked: Mapping[str, Any] = {"name": "judge", "store": store, "target": target}
        reader = recogniser_for(inputs.pairs, settings, inputs.recipe.data, **asked)
        folder = recogniser_folder(inputs.pairs, settings, inputs.recipe.data, **asked)
        found.append(Judge(_name(settings, found), reader, folder))
    return found


def cannot_train(inputs: Inputs) -> str:
    """Why the table can teach no judge; empty where it can."""
    return no_readers(inputs.pairs, inputs.recipe.task.target)


def _name(settings: Recogniser, before: Sequence[Judge]) -> str:
    name = f"{settings.network}-{settings.seed}"
    taken = {judge.name for judge in before}
    return name if name not in taken else f"{name}-{len(before) + 1}"
