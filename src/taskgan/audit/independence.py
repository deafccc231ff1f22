"""The refusals: a judge that shares weights or subjects with the restorer, or saw the audited ones, is no judge."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from taskgan.audit.inputs import AuditInputs, name_list
from taskgan.audit.judges import Judge
from taskgan.cohort.pairs import Pair, image_digests, subject_digest
from taskgan.core.errors import Problems, UserError
from taskgan.core.files import checksum
from taskgan.core.parse import error_text

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
    """Refuse judges that are T, are each other, or learnt from audited subjects.

    Args:
        inputs: What is audited; its recipe says how T was trained.
        store: Where T is kept; in the cohort where None.

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
    ours, theirs = _tensors(first), set(_tensors(second).values())
    total = sum(size for size, _ in ours.values())
    return sum(size for size, mark in ours.values() if (size, mark) in theirs) / total if total else 0.0


def _tensors(path: Path) -> dict[str, tuple[int, bytes]]:
    from hashlib import sha256

    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
    except Exception as error:  # of another format, cut short, of a type that numpy does not have
        raise UserError(f"{path} cannot be read as safetensors: {error_text(error)}") from None
    return {
        name: (int(values.size), sha256(np.ascontiguousarray(values).tobytes()).digest())
        for name, values in tensors.items()
        if values.size >= _FEWEST_WEIGHTS and float(np.ptp(values)) > 0
    }


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
