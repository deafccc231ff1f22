"""Who judges: networks that the restorer never saw, trained here or given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskgan.audit.inputs import AuditInputs
from taskgan.core.errors import UserError
from taskgan.core.files import checksum
from taskgan.judges.properties import check_columns
from taskgan.judges.readers import Reader, no_readers_reason, reader_description
from taskgan.recipe import Recipe, RecogniserSettings, Target

JUDGE_KINDS = ("binary", "multi_class", "multi_label", "regression", "segmentation")
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
        return reader_description(self.reader)

    @property
    def target(self) -> Target:
        """The property that it was taught; a reader that does not say reads a binary one in ``label``."""
        values = self.card.get("target")
        if isinstance(values, Mapping):
            return Target(**values)
        own = getattr(self.reader, "target", None)
        if isinstance(own, Target):
            return own
        kind = getattr(self.reader, "kind", "binary")
        return Target(kind=kind if isinstance(kind, str) else kind.target.kind)

    @property
    def weights(self) -> Path | None:
        """The file of its weights."""
        from taskgan.judges.recogniser import WEIGHTS

        return self.folder / WEIGHTS if self.folder is not None else None

    def description(self) -> dict[str, Any]:
        """For the record: network, seed, checksum, how many it learnt from, its figures."""
        card, weights = self.card, self.weights
        if weights is None or "settings" not in card:
            return {"name": self.name, **card}
        return {
            "name": self.name,
            **{key: card["settings"][key] for key in ("network", "seed")},
            "folder": self.folder.name if self.folder is not None else "",
            "checksum": checksum(weights),
            **{key: len(card[key]) for key in ("training_subjects", "validation_subjects")},
            "validation": card["validation"],
        }


def judge_settings(recipe: Recipe) -> tuple[RecogniserSettings, RecogniserSettings]:
    """Two judges whose networks and seeds differ from T's and from each other's.

    The first is the recipe's own judge; the second is of the remaining network, trained alike. There are only two
    networks of pixels: the second judge of masks is then of the first one's, from another seed.
    """
    first, task = recipe.judge, recipe.task.pretrain
    others = (name for name in _NETWORKS if name not in (task.network, first.network))
    network = first.network if first.dense else next(others)
    seed = next(s for s in range(first.seed + 1, first.seed + 4) if s not in (task.seed, first.seed))
    return first, first.model_copy(update={"network": network, "seed": seed})


def load_judges(folders: Sequence[Path]) -> list[Judge]:
    """Judges that were trained before.

    Raises:
        UserError: If a folder holds no recogniser.
    """
    from taskgan.judges.recogniser import Recogniser as Network
    from taskgan.judges.recogniser import read_card

    judges: list[Judge] = []
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder} does not exist; expected a folder with recogniser.yaml and its weights")
        _check_kind(read_card(folder).target.kind, str(folder))
        reader = Network.load(folder)
        judges.append(Judge(_judge_name(reader.card.settings, judges), reader, folder))
    return judges


def train_judges(inputs: AuditInputs, store: Path | None) -> list[Judge]:
    """Two judges trained on clean images of the table's training subjects, from the store if they are there.

    ``store`` is in the cohort where None.

    Raises:
        UserError: If the table has nobody to learn from, or the property cannot be judged; the sentence says what
            would be needed.
    """
    _check_kind(inputs.recipe.task.kind, "the recipe's task")
    reason = no_readers_reason(inputs.pairs, inputs.recipe.task.target)
    if reason:
        raise UserError(
            f"{inputs.pairs.source}: {reason}; expected rows with the split train and val beside those with test, or "
            "judges that were trained on other subjects (--judge FOLDER)"
        )
    from taskgan.judges.store import recogniser_folder, recogniser_for

    target = inputs.recipe.task.target
    judges: list[Judge] = []
    for settings in judge_settings(inputs.recipe):
        arguments: Mapping[str, Any] = {"name": "judge", "store": store, "target": target}
        reader = recogniser_for(inputs.pairs, settings, inputs.recipe.data, **arguments)
        folder = recogniser_folder(inputs.pairs, settings, inputs.recipe.data, **arguments)
        judges.append(Judge(_judge_name(settings, judges), reader, folder))
    return judges


def audited_target(judge: Judge, inputs: AuditInputs) -> Target:
    """What a judge is asked in this audit: its own property, with the columns and the cut that the recipe names.

    Args:
        judge: Trained here or given.
        inputs: Its recipe counts where somebody named it and it is of the judge's kind.

    Raises:
        UserError: If the recipe's property has other classes, or the table lacks a column.
    """
    own, expected = judge.target, inputs.recipe.task.target
    _check_kind(own.kind, f"judge {judge.name}")
    if inputs.has_recipe and own.kind == expected.kind:
        if own.kind in ("multi_class", "segmentation") and own.classes != expected.classes:
            raise UserError(
                f"judge {judge.name} tells {own.classes} classes apart, expected {expected.classes} (task.classes)"
            )
        changed: dict[str, Any] = {"cut": own.cut if expected.cut is None else expected.cut}
        if own.kind != "multi_label":  # whose outputs are in the order of its own columns
            changed["labels"] = expected.labels
        own = own.model_copy(update=changed)
    if own.columns != ("label",):
        check_columns(judge.name, own, inputs.pairs)
    return own


def _check_kind(kind: str, where: str) -> None:
    expected = f"expected {', '.join(JUDGE_KINDS[:-1])} or {JUDGE_KINDS[-1]}"
    if kind == "embedding":
        raise UserError(
            f"{where} is of the kind embedding: an identity is not read from one image but verified between two, "
            f"which an audit does not do; {expected}"
        )
    if kind not in JUDGE_KINDS:
        raise UserError(f"{where} is of the kind {kind}, {expected}")


def _judge_name(settings: RecogniserSettings, before: Sequence[Judge]) -> str:
    name = f"{settings.network}-{settings.seed}"
    return f"{name}-{len(before) + 1}" if name in {judge.name for judge in before} else name
