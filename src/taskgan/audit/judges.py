"""Who judges: networks that the restorer never saw, trained here or given.

And the refusals: a judge that shares weights or subjects with the restorer, or saw the audited ones, is no judge.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taskgan.audit.inputs import AuditInputs, name_list
from taskgan.cohort.pairs import Pair, image_digests, subject_digest
from taskgan.core.errors import Problems, UserError
from taskgan.core.files import checksum
from taskgan.core.parse import error_text
from taskgan.judges.properties import check_columns
from taskgan.judges.readers import Reader, no_readers_reason, reader_description, stored_description
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
        card = self.card
        if self.folder is not None and "settings" in card:
            card = stored_description(card, self.folder, ("training_subjects", "validation_subjects"))
        return {"name": self.name, **card}


def judge_settings(recipe: Recipe) -> tuple[RecogniserSettings, RecogniserSettings]:
    """Two judges whose networks and seeds differ from T's and from each other's.

    The first is the recipe's own judge; the second is of the remaining network, trained alike. There are only two
    networks of pixels: the second judge of masks is then of the first one's, from another seed.
    """
    first, task = recipe.judge, recipe.task.pretrain
    others = (name for name in _NETWORKS if name not in (task.network, first.network))
    network = first.network if first.facts.dense else next(others)
    if first.facts.own:  # trained beside it, as networks are by default
        dense = recipe.task.facts.dense
        network = ("unet" if task.network == "dilated" else "dilated") if dense else network
        return first, RecogniserSettings(network=network, seed=task.seed + 1)
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

    The recipe counts where somebody named it and it is of the judge's kind.

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


_FEWEST_WEIGHTS = 64  # smaller tensors (biases, scales) are alike by their start


def check_subjects(inputs: AuditInputs) -> list[str]:
    """Refuse audited subjects that training saw: by the table, by the restorer's record, by the images' bytes.

    Returns:
        Notes on what cannot be known.

    Raises:
        Problems: All that is wrong, one sentence each.
    """
    problems = [*_subjects_in_two_splits(inputs), *_shared_images(inputs)]
    notes: list[str] = []
    silent: list[str] = []
    for restorations in inputs.restorations:
        domain = restorations.origin.get("seen")
        domain = domain if isinstance(domain, dict) else {}
        if domain.get("subjects") == 0:  # a method that learns from nobody
            continue
        people, images = set(domain.get("people") or ()), set(domain.get("images") or ())
        if not people and not images:
            silent.append(restorations.method)
            continue
        named = {p.subject for p in inputs.cases if subject_digest(p.subject) in people}
        pictured = {p.subject for p in inputs.cases if images & set(image_digests([p]))}
        known, renamed = sorted(named & pictured or (set() if images else named)), sorted(pictured - named)
        namesakes = sorted(named - set(known))
        who = f"{restorations.method} ({restorations.folder}) was trained on"
        if known:
            problems.append(f"{who} audited subjects: {name_list(known)}")
        if namesakes:
            notes.append(
                f"{restorations.method} was trained on subjects of the same name as {name_list(namesakes)}, but not "
                "on these images: they are taken for other people"
            )
        if renamed:
            problems.append(f"{who} the clean images of audited subjects, under other names: {name_list(renamed)}")
    if problems:
        raise Problems("this is no independent audit", problems)
    if silent:
        notes.append(
            f"nothing says on whom {name_list(silent)} {'were' if len(silent) > 1 else 'was'} trained: "
            "that the audited subjects are new to the restorer is taken on trust"
        )
    return notes


def check_judges(judges: Sequence[Judge], inputs: AuditInputs, store: Path | None = None) -> list[str]:
    """Refuse judges that are T (kept in ``store``, in the cohort where None), are each other, or knew audited subjects.

    Returns:
        Notes on judges that are less independent than they could be.

    Raises:
        Problems: All that is wrong, one sentence each.
    """
    audited = {p.subject for p in inputs.cases}
    tasks = task_weights(inputs, store)
    problems: list[str] = []
    notes: list[str] = []
    for judge in judges:
        for role in ("training_subjects", "validation_subjects"):
            both = sorted(audited & set(judge.card.get(role) or ()))
            if both:
                problems.append(
                    f"judge {judge.name} ({judge.folder}) learnt from audited subjects ({role.replace('_', ' ')}): "
                    f"{name_list(both)}; if these are other people of the same name, rename them in the table"
                )
        problems += _task_network_problems(judge, inputs, tasks)
        network = (judge.card.get("settings") or {}).get("network")
        if inputs.has_recipe and network == inputs.recipe.task.pretrain.network:
            notes.append(
                f"judge {judge.name} is a {network} like the restorer's task network, of another seed: no stranger "
                "to it"
            )
    problems += _duplicate_judges(judges)
    if problems:
        raise Problems("this is no independent audit", problems)
    return notes


def task_weights(inputs: AuditInputs, store: Path | None) -> list[Path]:
    """Weights of the task networks that the restorers were trained with, where they are still to be found."""
    from taskgan.judges.recogniser import WEIGHTS
    from taskgan.judges.store import recogniser_folder

    if not inputs.has_recipe or not any(p.split in ("train", "val") for p in inputs.pairs):
        return []
    known, data = [], inputs.recipe.data
    for task in inputs.recipe.tasks:
        try:
            folder = recogniser_folder(inputs.pairs, task.pretrain, data, name="task", store=store, target=task.target)
        except UserError:
            continue
        known += [folder / WEIGHTS] if (folder / WEIGHTS).is_file() else []
    return known


def shared_weights(first: Path, second: Path) -> float:
    """Share (0 to 1) of the first network's weights that stand in the second too, tensor by tensor, to the bit.

    Both are ``.safetensors`` files. Small and constant tensors do not count: those start alike in any network.
    """
    ours, theirs = _tensors(first), set(_tensors(second))
    total = sum(size for size, _ in ours)
    return sum(size for size, mark in ours if (size, mark) in theirs) / total if total else 0.0


def _tensors(path: Path) -> list[tuple[int, bytes]]:
    """Size and digest of every tensor that counts."""
    from hashlib import sha256

    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
    except Exception as error:  # of another format, cut short, of a type that numpy does not have
        raise UserError(f"{path} cannot be read as safetensors: {error_text(error)}") from None
    return [
        (int(values.size), sha256(np.ascontiguousarray(values).tobytes()).digest())
        for values in tensors.values()
        if values.size >= _FEWEST_WEIGHTS and float(np.ptp(values)) > 0
    ]


def _task_network_problems(judge: Judge, inputs: AuditInputs, tasks: Iterable[Path]) -> list[str]:
    weights = judge.weights
    if weights is None:
        return []
    for task in tasks:
        share = 1.0 if checksum(weights) == checksum(task) else shared_weights(weights, task)
        if share > 0:
            return [
                f"judge {judge.name} ({judge.folder}) shares {100 * share:.0f} % of its weights with the task "
                f"network that the restorer was trained with ({task.parent}): T is never its own judge"
            ]
    settings, card = inputs.recipe.task.pretrain, judge.card.get("settings")
    alike = ("network", "width", "seed")
    if inputs.has_recipe and card is not None and all(card.get(key) == getattr(settings, key) for key in alike):
        return [
            f"judge {judge.name} ({judge.folder}) has the network {settings.network} and the seed {settings.seed} of "
            "the restorer's task network: T is never its own judge"
        ]
    return []


def _duplicate_judges(judges: Sequence[Judge]) -> list[str]:
    problems = []
    for k, judge in enumerate(judges):
        for other in judges[:k]:
            if judge.weights is None or other.weights is None:
                continue
            share = shared_weights(judge.weights, other.weights)
            if share > 0:
                problems.append(
                    f"judges {other.name} ({other.folder}) and {judge.name} ({judge.folder}) share "
                    f"{100 * share:.0f} % of their weights, so that they are one judge"
                )
    return problems


def _subjects_in_two_splits(inputs: AuditInputs) -> list[str]:
    learnt = {p.subject for p in inputs.pairs if p.split in ("train", "val")}
    both = sorted(learnt & {p.subject for p in inputs.cases})
    where = f"{inputs.pairs.source} has audited subjects in the split train or val too"
    return [f"{where}: {name_list(both)}"] if both else []


def _shared_images(inputs: AuditInputs) -> list[str]:
    """The same clean image under two names: files of the same size are compared by their checksum."""
    audited = {p.subject for p in inputs.cases}
    sizes: dict[int, list[Pair]] = {}
    visited: set[Path] = set()
    for pair in inputs.pairs:
        if pair.clean is None or pair.clean in visited or not pair.clean.is_file():
            continue
        visited.add(pair.clean)
        sizes.setdefault(pair.clean.stat().st_size, []).append(pair)
    owners: dict[str, list[Pair]] = {}
    for group in sizes.values():
        if len({p.subject for p in group}) > 1 and any(p.subject in audited for p in group):
            for pair in group:
                for mark in image_digests([pair]):
                    owners.setdefault(mark, []).append(pair)
    problems = []
    for group in owners.values():
        names = sorted({p.subject for p in group})
        if len(names) > 1 and audited & set(names):
            where = ", ".join(f"{p.subject} (row {p.row}, {p.split})" for p in group[:6])
            problems.append(f"the same clean image stands under several names in {inputs.pairs.source}: {where}")
    return problems
