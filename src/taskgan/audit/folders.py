"""Three folders and a table of labels, as another tool leaves them, read as a cohort."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from taskgan.audit.inputs import Inputs, gather, listed
from taskgan.cohort.images import SUFFIXES, stem
from taskgan.cohort.pairs import SPLITS, Pair, Pairs
from taskgan.errors import Problems, UserError
from taskgan.evaluate.restorations import RESERVED, Restorations
from taskgan.files import read_yaml
from taskgan.recipe import Recipe


def from_folders(
    restored: Path,
    degraded: Path,
    clean: Path,
    labels: Path,
    *,
    against: Sequence[Path] = (),
    recipe: Recipe | None = None,
    method: str | None = None,
) -> Inputs:
    """Match the images of three folders by subject.

    An image is a subject's if its name is the subject's, or begins with it and goes on with anything but a letter
    or digit (``sub-01_pet.nii.gz``); where several subjects fit, the longest name counts. Where a subject has
    several degraded images, the others belong to the one of the same file name; a single clean image belongs to
    all of them.

    Args:
        restored: Restored images.
        degraded: What they were restored from.
        clean: The truth.
        labels: Table with the columns ``subject`` and ``label``; ``split`` (``train`` and ``val`` teach judges,
            ``test`` is audited; without the column all are audited) and image columns such as ``cortex`` and
            ``reference`` (paths relative to the table) may be there.
        against: Further folders of restored images.
        recipe: Intensity transform and judges; the defaults where None.
        method: Name of the audited method; the folder's where None.

    Raises:
        UserError: If a folder is missing or no case is whole.
        Problems: If rows of the table are malformed or matches are ambiguous.
    """
    people = _people(labels)
    images = {name: _images(folder) for name, folder in (("degraded", degraded), ("clean", clean))}
    owned = {name: _owners(files, people) for name, files in images.items()}
    rows, notes = _pair_up(people, owned, labels)
    for name, folder in (("degraded", degraded), ("clean", clean)):
        strangers = [f.name for f in images[name] if not _owner(f, people)]
        if strangers:
            notes.append(
                f"{len(strangers)} images in {folder} belong to no subject of {labels.name}: {listed(strangers)}"
            )
    pairs = Pairs(labels, tuple(rows))
    found = []
    for k, folder in enumerate([restored, *against]):
        one, strangers = _restorations(folder, rows, people, method if k == 0 else None)
        found.append(one)
        if strangers:
            notes.append(f"{len(strangers)} images in {folder} match no case: {listed(strangers)}")
    inputs = gather(pairs, found, recipe)
    return Inputs(**{**vars(inputs), "notes": (*inputs.notes, *notes)})


@dataclass(frozen=True)
class _Person:
    """A row of the table of labels."""

    row: int
    split: str
    label: float
    columns: Mapping[str, str]


def _people(table: Path) -> dict[str, _Person]:
    if not table.is_file():
        raise UserError(f"{table} does not exist; expected a table with the columns subject and label")
    try:
        with table.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle)
            header = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = header
            raw = [(reader.line_num, values) for values in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table} cannot be read as CSV: {error}") from None
    missing = [name for name in ("subject", "label") if name not in header]
    if missing:
        found = ", ".join(header) or "nothing"
        hint = ", separated by commas" if any(mark in found for mark in ";\t") else ""
        raise UserError(f"{table} has {found}, expected rows with the columns subject and label{hint}")
    if not raw:
        raise UserError(f"{table} has a header and no rows, expected a row for each subject")
    people: dict[str, _Person] = {}
    problems = []
    for number, values in raw:
        columns = {k: (v or "").strip() for k, v in values.items() if k is not None}
        name, split = columns["subject"], columns.get("split", "test") or "test"
        try:
            label = float(columns["label"])
        except ValueError:
            label = float("nan")
        if not name or name in people:
            problems.append(f"row {number} {'repeats the' if name else 'has no'} subject {name}".rstrip())
        if label not in (0.0, 1.0):
            problems.append(f"row {number} ({name}) has label {columns['label']!r}, expected 0 or 1")
        if split not in SPLITS:
            problems.append(f"row {number} ({name}) has split {split!r}, expected train, val or test")
        people[name] = _Person(number, split, label, columns)
    if problems:
        raise Problems(f"{table} is malformed", problems)
    return people


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"{folder} does not exist; expected a folder of NIfTI images")
    found = [p for p in sorted(folder.iterdir()) if p.name.endswith(SUFFIXES) and not p.name.startswith(".")]
    if not found:
        raise UserError(f"{folder} holds no NIfTI image")
    return found


def _owner(image: Path, people: Mapping[str, _Person]) -> str:
    name = stem(image)
    fits = [p for p in people if name == p or (name.startswith(p) and not name[len(p)].isalnum())]
    return max(fits, key=len, default="")


def _owners(files: Sequence[Path], people: Mapping[str, _Person]) -> dict[str, list[Path]]:
    owned: dict[str, list[Path]] = {}
    for image in files:
        owner = _owner(image, people)
        if owner:
            owned.setdefault(owner, []).append(image)
    return owned


def _pair_up(
    people: Mapping[str, _Person], owned: Mapping[str, Mapping[str, list[Path]]], table: Path
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
                problems.append(
                    f"{image} fits none of the {len(truths)} clean images of {subject} by its name"
                )
                continue
            case = subject if len(inputs) == 1 else stem(image)
            columns = {**person.columns, "degraded": str(image.resolve()), "clean": str(fits[0].resolve())}
            rows.append(
                Pair(
                    person.row,
                    case,
                    subject,
                    person.split,
                    image.resolve(),
                    fits[0].resolve(),
                    person.label,
                    columns,
                    table.parent,
                )
            )
    if problems:
        raise Problems("the folders cannot be matched", problems)
    if not rows:
        raise UserError(
            f"no subject of {table} has both a degraded and a clean image; expected names such as SUBJECT.nii.gz"
        )
    notes = (
        [f"{len(alone)} subjects of {table.name} have no pair of images: {listed(alone)}"] if alone else []
    )
    return rows, notes


def _restorations(
    folder: Path, rows: Sequence[Pair], people: Mapping[str, _Person], method: str | None
) -> tuple[Restorations, list[str]]:
    """The restored image of every case, and the names of files that are nobody's."""
    files = _images(folder)
    owned = _owners(files, people)
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
    origin = read_yaml(folder / "restored.yaml") if (folder / "restored.yaml").is_file() else {}
    name = str(method or origin.get("method") or folder.resolve().name)
    if name in RESERVED:
        raise UserError(f"a method cannot be called {name!r}: that is the name of the cohort's own images")
    seed = origin.get("seed") if isinstance(origin.get("seed"), int) else None
    used = set(images.values())
    return Restorations(folder, name, seed, None, images, origin), [f.name for f in files if f not in used]
