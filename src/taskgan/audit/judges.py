"""Who judges: networks that the restorer never saw, trained here or given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskgan.audit.inputs import Inputs
from taskgan.core.errors import UserError
from taskgan.core.files import checksum
from taskgan.judges.properties import check_columns
from taskgan.judges.readers import Reader, describe, no_readers
from taskgan.recipe import Recipe, Recogniser, Target

KINDS = ("binary", "multi_class", "multi_label", "regression", "segmentation")
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
    def target(self) -> Target:
        """The property that it was taught; a reader that does not say reads a binary one in ``label``."""
        told = self.card.get("target")
        if isinstance(told, Mapping):
            return Target(**told)
        own = getattr(self.reader, "target", None)
        if isinstance(own, Target):
            return own
        kind = getattr(self.reader, "kind", "binary")
        return Target(kind=kind if isinstance(kind, str) else kind.target.kind)

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

    The first is the recipe's own judge; the second is of the remaining network, trained alike. There are only two
    networks of pixels: the second judge of masks is then of the first one's, from another seed.
    """
    taken = {recipe.task.pretrain.network, recipe.judge.network}
    seeds = {recipe.task.pretrain.seed, recipe.judge.seed}
    dense = recipe.judge.dense
    network = recipe.judge.network if dense else next(name for name in _NETWORKS if name not in taken)
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
        _check_kind(read_card(folder).target.kind, str(folder))
        reader = Network.load(folder)
        found.append(Judge(_name(reader.card.settings, found), reader, folder))
    return found


def train_judges(inputs: Inputs, store: Path | None) -> list[Judge]:
    """Two judges trained on clean images of the table's training subjects, from the store if they are there.

    Args:
        inputs: Gives table and recipe.
        store: Where judges are kept; in the cohort where None.

    Raises:
        UserError: If the table has nobody to learn from, or the property cannot be judged; the sentence says what
            would be needed.
    """
    _check_kind(inputs.recipe.task.kind, "the recipe's task")
    reason = cannot_train(inputs)
    if reason:
        raise UserError(
            f"{inputs.pairs.source}: {reason}; expected rows with the split train and val beside those with test, or "
            "judges that were trained on other subjects (--judge FOLDER)"
        )
    from taskgan.recogniser.store import recogniser_folder, recogniser_for

    target = inputs.recipe.task.target
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


def asked(judge: Judge, inputs: Inputs) -> Target:
    """What a judge is asked in this audit: its own property, with the columns and the cut that the recipe names.

    Args:
        judge: Trained here or given.
        inputs: Its recipe counts where somebody named it and it is of the judge's kind.

    Raises:
        UserError: If the recipe's property has other classes, or the table lacks a column.
    """
    own, wanted = judge.target, inputs.recipe.task.target
    _check_kind(own.kind, f"judge {judge.name}")
    if inputs.told and own.kind == wanted.kind:
        if own.kind in ("multi_class", "segmentation") and own.classes != wanted.classes:
            raise UserError(
                f"judge {judge.name} tells {own.classes} classes apart, expected {wanted.classes} (task.classes)"
            )
        changed: dict[str, Any] = {"cut": own.cut if wanted.cut is None else wanted.cut}
        if own.kind != "multi_label":  # whose outputs are in the order of its own columns
            changed["labels"] = wanted.labels
        own = own.model_copy(update=changed)
    if own.columns != ("label",):
        check_columns(judge.name, own, inputs.pairs)
    return own


def _check_kind(kind: str, where: str) -> None:
    if kind == "embedding":
        raise UserError(
            f"{where} is of the kind embedding: an identity is not read from one image but verified between two, "
            f"which an audit does not do; expected {', '.join(KINDS[:-1])} or {KINDS[-1]}"
        )
    if kind not in KINDS:
        raise UserError(f"{where} is of the kind {kind}, expected {', '.join(KINDS[:-1])} or {KINDS[-1]}")


def _name(settings: Recogniser, before: Sequence[Judge]) -> str:
    name = f"{settings.network}-{settings.seed}"
    taken = {judge.name for judge in before}
    return name if name not in taken else f"{name}-{len(before) + 1}"
