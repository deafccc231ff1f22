"""Three folders and a table of labels, as another tool leaves them, read as a cohort."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from taskgan.audit.inputs import AuditInputs, name_list, select_cases
from taskgan.cohort.pairs import SPLITS, Pair, Pairs
from taskgan.cohort.restorations import RESERVED, Restorations, recorded_recipe
from taskgan.core.artefact import read_record
from taskgan.core.errors import Problems, UserError
from taskgan.core.parse import quoted
from taskgan.core.tables import csv_rows
from taskgan.images.volumes import SUFFIXES, stem
from taskgan.objective.kinds import task_kind
from taskgan.objective.task import TaskKind
from taskgan.recipe import Recipe, Target


def from_folders(
    restored: Path,
    degraded: Path,
    clean: Path,
    labels: Path,
    *,
    against: Sequence[Path] = (),
    recipe: Recipe | None = None,
    task: str | None = None,
    method: str | None = None,
) -> AuditInputs:
    """Match the images of three folders by subject.

    An image is a subject's if its name is the subject's, or begins with it and goes on with anything but a letter
    or digit (``sub-01_pet.nii.gz``); where several subjects fit, the longest name counts. Where a subject has
    several degraded images, the others belong to the one of the same file name; a single clean image belongs to
    all of them.

    Args:
        restored: Restored images.
        degraded: What they were restored from.
        clean: The truth.
        labels: Table with the columns ``subject`` and those of the recipe's property (``label`` without one);
            ``split`` (``train`` and ``val`` teach judges, ``test`` is audited; without the column all are audited)
            and image columns such as ``cortex`` and ``reference`` (paths relative to the table) may be there.
        against, recipe, task, method: As of :func:`~taskgan.audit.inputs.from_cohort`.

    Raises:
        UserError: If a folder is missing or no case is whole.
        Problems: If rows of the table are malformed or matches are ambiguous.
    """
    recorded = restored / "restored.yaml"
    recorded_settings = (recipe or recorded_recipe(read_record(recorded), recorded)).about(task)
    people = _labelled_subjects(labels, recorded_settings.task.target)
    sources = {"degraded": degraded, "clean": clean}
    owned = {name: _images_by_subject(_image_paths(folder), people) for name, folder in sources.items()}
    rows, notes = _pair_up(people, owned, labels)
    for name, folder in sources.items():
        strangers = [image.name for image in owned[name].get("", [])]
        if strangers:
            notes.append(
                f"{len(strangers)} images in {folder} belong to no subject of {labels.name}: {name_list(strangers)}"
            )
    pairs = Pairs(labels, tuple(rows))
    restorations = []
    for k, folder in enumerate([restored, *against]):
        one, strangers = _restorations(folder, rows, people, method if k == 0 else None)
        restorations.append(one)
        if strangers:
            notes.append(f"{len(strangers)} images in {folder} match no case: {name_list(strangers)}")
    inputs = select_cases(pairs, restorations, recipe, task)
    return replace(inputs, notes=(*inputs.notes, *notes))


@dataclass(frozen=True)
class _LabelledSubject:
    """A row of the table of labels."""

    row: int
    split: str
    label: float | None
    columns: Mapping[str, str]


def _labelled_subjects(table: Path, target: Target) -> dict[str, _LabelledSubject]:
    needed = ("subject", *target.columns)
    expected = f"the columns {', '.join(needed[:-1])} and {needed[-1]}"
    if not table.is_file():
        raise UserError(f"{table} does not exist; expected a table with {expected}")
    kind = task_kind(target, "squared")
    people: dict[str, _LabelledSubject] = {}
    problems = []
    for number, values in csv_rows(table, needed):
        columns = {k: (v or "").strip() for k, v in values.items() if k is not None}
        name, split = columns["subject"], columns.get("split", "test") or "test"
        if not name or name in people:
            problems.append(f"row {number} {'repeats the' if name else 'has no'} subject {name}".rstrip())
        problems += [f"row {number} ({name}) {text}" for text in _value_problems(columns, kind)]
        if split not in SPLITS:
            problems.append(f"row {number} ({name}) has split {quoted(split)}, expected train, val or test")
        people[name] = _LabelledSubject(number, split, _finite_number(columns.get("label", "")), columns)
    if problems:
        raise Problems(f"{table} is malformed", problems)
    return people


def _value_problems(columns: Mapping[str, str], kind: TaskKind) -> list[str]:
    """What is wrong with the property of one row, as the ends of sentences; masks are read later."""
    problems = []
    for column in () if kind.dense or kind.label_from_clean else kind.target.columns:
        text, value = columns[column], _finite_number(columns[column])
        if not text and kind.partial:
            continue
        if value is None or kind.label_problem(value):
            problems.append(f"has {column} {quoted(text)}, expected {kind.label_problem(math.nan) or 'a number'}")
    return problems


def _finite_number(text: str) -> float | None:
    """A field as a number, None where it is none."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _image_paths(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"{folder} does not exist; expected a folder of NIfTI images")
    paths = [p for p in sorted(folder.iterdir()) if p.name.endswith(SUFFIXES) and not p.name.startswith(".")]
    if not paths:
        raise UserError(f"{folder} holds no NIfTI image")
    return paths


def _subject_of(image: Path, people: Mapping[str, _LabelledSubject]) -> str:
    name = stem(image)
    fits = [p for p in people if name == p or (name.startswith(p) and not name[len(p)].isalnum())]
    return max(fits, key=len, default="")


def _images_by_subject(files: Sequence[Path], people: Mapping[str, _LabelledSubject]) -> dict[str, list[Path]]:
    """Images of each subject; those of none under the empty name."""
    owned: dict[str, list[Path]] = {}
    for image in files:
        owned.setdefault(_subject_of(image, people), []).append(image)
    return owned


def _pair_up(
    people: Mapping[str, _LabelledSubject], owned: Mapping[str, Mapping[str, list[Path]]], table: Path
) -> tuple[list[Pair], list[str]]:
    rows: list[Pair] = []
    alone: list[str] = []
    problems: list[str] = []
    for subject, person in people.items():
        inputs, truths = owned["degraded"].get(subject, []), owned["clean"].get(subject, [])
        if not inputs or not truths:
            alone.append(subject)
            continue
        for image in inputs:
            fits = truths if len(truths) == 1 else [t for t in truths if stem(t) == stem(image)]
            if len(fits) != 1:
                problems.append(f"{image} fits none of the {len(truths)} clean images of {subject} by its name")
                continue
            case = subject if len(inputs) == 1 else stem(image)
            paths = (image.resolve(), fits[0].resolve())
            columns = {**person.columns, "degraded": str(paths[0]), "clean": str(paths[1])}
            rows.append(Pair(person.row, case, subject, person.split, *paths, person.label, columns, table.parent))
    if problems:
        raise Problems("the folders cannot be matched", problems)
    if not rows:
        raise UserError(
            f"no subject of {table} has both a degraded and a clean image; expected names such as SUBJECT.nii.gz"
        )
    notes = [f"{len(alone)} subjects of {table.name} have no pair of images: {name_list(alone)}"] if alone else []
    return rows, notes


def _restorations(
    folder: Path, rows: Sequence[Pair], people: Mapping[str, _LabelledSubject], method: str | None
) -> tuple[Restorations, list[str]]:
    """The restored image of every case, and the names of files that are nobody's."""
    files = _image_paths(folder)
    owned = _images_by_subject(files, people)
    images: dict[str, Path] = {}
    for pair in rows:
        mine = owned.get(pair.subject, [])
        fits = [f for f in mine if stem(f) in (pair.case, stem(pair.degraded))]
        if not fits and len(mine) == 1 and sum(r.subject == pair.subject for r in rows) == 1:
            fits = mine
        if fits:
            images[pair.case] = fits[0]
    if not images:
        raise UserError(
            f"{folder} holds no image of a subject of the table; expected names such as {rows[0].case}.nii.gz"
        )
    origin = read_record(folder / "restored.yaml")
    name = str(method or origin.get("method") or folder.resolve().name)
    if name in RESERVED:
        raise UserError(f"a method cannot be called {quoted(name)}: that is the name of the cohort's own images")
    seed = origin.get("seed") if isinstance(origin.get("seed"), int) else None
    used = set(images.values())
    return Restorations(folder, name, seed, None, images, origin), [f.name for f in files if f not in used]
