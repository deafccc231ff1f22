"""``pairs.csv``: the table that makes a folder of images a cohort.

One row is one pair of a degraded and a clean image::

    case,subject,split,degraded,clean,label[,mask,cortex,reference,contrast,dose,…]

``case`` is unique. ``split`` is ``train``, ``val`` or ``test``. Image columns hold paths relative to the
table's folder (absolute ones work too). ``label`` is the property to keep (0 or 1 for a binary one).
``mask`` is the head or brain, ``cortex`` and ``reference`` are the regions of the SUVR. Every further column
is kept as text and can be selected on (``dose``) or used as an extra input channel (an MR image).
:func:`split_subjects` makes splits that never share a subject.
"""

import hashlib
import math
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from taskgan.core.errors import Problems, UserError
from taskgan.core.files import PathLike, checksum, write_rows
from taskgan.core.parse import quoted, truncated
from taskgan.core.tables import csv_rows

SPLITS = ("train", "val", "test")
REQUIRED = ("case", "subject", "split", "degraded", "clean", "label")
REQUIRED_TO_RESTORE = ("case", "degraded")


@dataclass(frozen=True)
class Pair:
    """One row of ``pairs.csv``.

    Attributes:
        row: Line in the file (the header is line 1), for messages.
        split: ``train``, ``val`` or ``test``; empty in a table that is only restored.
        degraded: Degraded image.
        clean: Clean image, or None where there is none.
        label: The property, or None where it is unknown.
        columns: Every column as text.
    """

    row: int
    case: str
    subject: str
    split: str
    degraded: Path
    clean: Path | None
    label: float | None
    columns: Mapping[str, str] = field(repr=False)
    folder: Path = field(repr=False)

    def path(self, column: str) -> Path | None:
        """The file that a column names, or None where the column is absent or empty."""
        text = self.columns.get(column, "").strip()
        return self.folder / text if text else None

    def series(self, column: str) -> str:
        """Which series of a column's DICOM folder, as ``<column>_series`` says; empty where it does not."""
        return self.columns.get(f"{column}_series", "").strip()


@dataclass(frozen=True)
class Pairs:
    """The rows of a table, in the order of the file."""

    source: Path
    rows: tuple[Pair, ...]

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def folder(self) -> Path:
        """The cohort's folder."""
        return self.source.parent

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the table's columns."""
        return tuple(self.rows[0].columns) if self.rows else ()

    def split(self, name: str) -> "Pairs":
        """The rows of one split (possibly none)."""
        return Pairs(self.source, tuple(p for p in self.rows if p.split == name))

    def select(self, criteria: Mapping[str, str | int | float]) -> "Pairs":
        """The rows whose columns hold the wanted values; all where nothing is wanted.

        Text is text: ``01`` is neither ``1`` nor ``1.0``. A number is any text of that number.

        Raises:
            UserError: If a column does not exist or no row is left.
        """
        if not criteria:
            return self
        for column in criteria:
            if column not in self.columns:
                raise UserError(
                    f"{self.source} has no column {quoted(column)} to select on; its columns are "
                    f"{truncated(', '.join(self.columns))}"
                )
        rows = tuple(p for p in self.rows if all(_same(p.columns[c], v) for c, v in criteria.items()))
        if not rows:
            listed = ", ".join(f"{c} = {v}" for c, v in criteria.items())
            alike = [text for c, v in criteria.items() if (text := self._similar(c, v))]
            raise UserError(f"{self.source} has no row with {listed}" + "".join(f"; {text}" for text in alike))
        return Pairs(self.source, rows)

    def _similar(self, column: str, value: str | int | float) -> str:
        """Values of a column that are written otherwise and may be meant, as the end of a sentence."""
        key = lookalike_key(str(value))
        others = {p.columns[column] for p in self.rows if lookalike_key(p.columns[column]) == key}
        return f"it has {column} = {truncated(', '.join(sorted(others)))}" if others else ""

    def lookalikes(self, criteria: Mapping[str, str | int | float]) -> list[str]:
        """What a selection leaves out and may mean, a sentence each: ``01`` beside ``1``."""
        notes = []
        for column, value in criteria.items():
            own = [p.columns.get(column, "") for p in self.rows]
            key = lookalike_key(str(value))
            left = sorted({text for text in own if lookalike_key(text) == key and not _same(text, value)})
            if left:
                notes.append(f"{column} = {value} leaves out the rows with {column} {truncated(', '.join(left))}")
        return notes


def lookalike_key(text: str) -> str:
    """What texts have in common that a spreadsheet makes of one: ``sub-01``, ``01``, ``1``, ``1.0``."""
    plain = text.strip().lower().removeprefix("sub-")
    plain = re.sub(r"^(\d+)\.0+$", r"\1", plain)
    return re.sub(r"(?<!\d)0+(?=\d)", "", plain)


def _same(text: str, value: str | int | float) -> bool:
    if isinstance(value, str):
        return text.strip() == value.strip()
    try:
        return float(text) == float(value)
    except ValueError:
        return False


def pairs_path(place: PathLike) -> Path:
    """``pairs.csv`` of a cohort folder, or the table itself where a file is given.

    Raises:
        UserError: If neither exists.
    """
    place = Path(place)
    if place.is_dir():
        table = place / "pairs.csv"
        if not table.is_file():
            raise UserError(f"{place} holds no pairs.csv; expected a cohort folder (columns {', '.join(REQUIRED)})")
        return table
    if not place.is_file():
        raise UserError(f"{place} does not exist; expected a cohort folder or a pairs.csv")
    return place


def read_pairs(place: PathLike, required: Iterable[str] = REQUIRED) -> Pairs:
    """Read a cohort's table. Form is checked here, images are not (see ``taskgan.cohort.check``).

    Args:
        required: Columns that must be there; ``REQUIRED_TO_RESTORE`` for a table that is only restored.

    Raises:
        UserError: If the table is missing, empty or lacks a column.
        Problems: If rows are malformed: all of them at once.
    """
    table = pairs_path(place)
    listed = csv_rows(table, [*required])
    problems: list[str] = []
    row_of_case: dict[str, int] = {}
    rows = [_row(number, values, table.parent, problems, row_of_case) for number, values in listed]
    if problems:
        raise Problems(f"{table} is malformed", problems)
    return Pairs(table, tuple(rows))


def is_case_name(text: str) -> bool:
    """Whether files can be called after a case."""
    return bool(text) and not text.startswith(".") and "/" not in text and "\\" not in text


def _row(number: int, values: dict[str, str], folder: Path, problems: list[str], row_of_case: dict[str, int]) -> Pair:
    columns = {k: (v or "").strip() for k, v in values.items() if k is not None}
    if None in values:
        problems.append(f"row {number} has more fields than the header")
    case, split, degraded = columns.get("case", ""), columns.get("split", ""), columns.get("degraded", "")
    if not case:
        problems.append(f"row {number} has no case name")
    elif case in row_of_case:
        problems.append(f"row {number} repeats the case {quoted(case)} of row {row_of_case[case]}")
    row_of_case.setdefault(case, number)
    if "split" in columns and split not in SPLITS:
        problems.append(f"row {number} (case {case}) has split {quoted(split)}, expected train, val or test")
    if "subject" in columns and not columns["subject"]:
        problems.append(f"row {number} (case {case}) has no subject")
    if not degraded:
        problems.append(f"row {number} (case {case}) names no degraded image")
    label: float | None = None
    if columns.get("label"):
        try:
            label = float(columns["label"])
            if not math.isfinite(label):
                raise ValueError
        except ValueError:
            problems.append(f"row {number} (case {case}) has label {quoted(columns['label'])}, expected a number")
    clean = columns.get("clean")
    return Pair(
        row=number,
        case=case,
        subject=columns.get("subject", case),
        split=split,
        degraded=folder / degraded,
        clean=folder / clean if clean else None,
        label=label,
        columns=columns,
        folder=folder,
    )


def write_pairs(table: PathLike, rows: Iterable[Mapping[str, object]]) -> None:
    """Write a table atomically; the columns are those of the first row, in its order."""
    listed = list(rows)
    write_rows(Path(table), list(listed[0]), listed)


Subject = TypeVar("Subject", bound=Hashable)
DEFAULT_SHARES = (0.6, 0.15, 0.25)


def split_subjects(
    labels: Mapping[Subject, object], *, shares: Sequence[float] = DEFAULT_SHARES, seed: int = 0
) -> dict[Subject, str]:
    """Assign each subject to ``train``, ``val`` or ``test``, stratified by label.

    Args:
        labels: Label of each subject; subjects with equal labels form a stratum.
        shares: Shares of train, val and test; they are normalised to one.
        seed: Of the shuffle. The order of ``labels`` does not matter.

    Returns:
        Split of each subject. Every stratum has at least one subject in every split.

    Raises:
        UserError: If a label has fewer than three subjects, or a share is not positive.
    """
    if len(shares) != len(SPLITS) or min(shares) <= 0:
        raise UserError(f"the shares of train, val and test must be three positive numbers, found {list(shares)}")
    fractions = np.asarray(shares, dtype=float) / sum(shares)
    rng = np.random.default_rng(seed)
    assigned: dict[Subject, str] = {}
    for label in sorted(set(labels.values()), key=str):
        members = sorted((s for s, own in labels.items() if own == label), key=str)
        if len(members) < len(SPLITS):
            raise UserError(
                f"label {label} has {len(members)} subject{'s' * (len(members) != 1)}, expected at least "
                "three: one each for train, val and test"
            )
        counts = np.maximum(1, np.round(fractions * len(members)).astype(int))
        counts[0] = len(members) - counts[1] - counts[2]
        while counts[0] < 1:  # few subjects and a small training share: take from the larger of the others
            counts[1 + int(np.argmax(counts[1:]))] -= 1
            counts[0] += 1
        order = rng.permutation(len(members))
        names = [name for name, count in zip(SPLITS, counts, strict=True) for _ in range(count)]
        assigned.update({members[index]: name for index, name in zip(order, names, strict=True)})
    return assigned


_LENGTH = 16


def subject_digest(subject: str) -> str:
    """A digest of a subject's name, 16 hex digits.

    It keeps names out of a file that is passed on; it does not hide them from who can guess them.
    """
    return hashlib.sha256(subject.encode()).hexdigest()[:_LENGTH]


def subject_digests(pairs: Iterable[Pair]) -> tuple[str, ...]:
    """Marks of all subjects, each once, sorted."""
    return tuple(sorted({subject_digest(pair.subject) for pair in pairs}))


def image_digests(pairs: Iterable[Pair]) -> tuple[str, ...]:
    """Digests of the clean images' files, each once, sorted: the same image is found under another name.

    Bytes are compared, not voxels: an image that was written again is another one.
    """
    clean = {pair.clean for pair in pairs if pair.clean is not None and pair.clean.is_file()}
    return tuple(sorted({checksum(path)[:_LENGTH] for path in clean}))
