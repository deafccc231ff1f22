"""``verification.csv`` of an evaluation: how far apart the two images of each pair are, as every reader sees it.

One row a pair. ``set`` is ``test`` (what is judged), ``train`` or ``val`` (what thresholds were chosen by). Columns
``<reader>_clean``, ``_input`` and ``_restored`` hold distances of two images of that sort, ``_input_probe`` and
``_restored_probe`` those of the first image from the second one's clean image. Rows of ``train`` and ``val`` have
``_clean`` alone.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from taskgan.core.errors import UserError
from taskgan.core.files import atomic, csv_cell
from taskgan.core.parse import field_number, quoted
from taskgan.core.tables import read_table
from taskgan.evaluate.cases import csv_text
from taskgan.judges.verification import ImagePairs

Floats = NDArray[np.float64]
FILE = "verification.csv"
SETS = ("test", "train", "val")
COLUMNS = ("set", "first", "second", "same", "first_person", "second_person")
CLEAN, INPUT, RESTORED = "clean", "input", "restored"
INPUT_PROBE, RESTORED_PROBE = "input_probe", "restored_probe"
IMAGES = (CLEAN, INPUT, RESTORED, INPUT_PROBE, RESTORED_PROBE)


@dataclass(frozen=True)
class DistanceRow:
    """A pair of cases, and whose images they are; ``set`` is ``test``, ``train`` or ``val``."""

    set: str
    first: str
    second: str
    first_person: str
    second_person: str

    @property
    def same(self) -> bool:
        """Whether both are of one person."""
        return self.first_person == self.second_person


@dataclass(frozen=True)
class DistanceTable:
    """What ``verification.csv`` holds.

    Attributes:
        rows: The pairs, in the order of the file.
        distances: (N,) of every reader and sort of image, one a row; NaN where there is none.
    """

    rows: tuple[DistanceRow, ...]
    distances: Mapping[str, Mapping[str, Floats]] = field(repr=False)

    @property
    def readers(self) -> tuple[str, ...]:
        """Names of the readers."""
        return tuple(self.distances)

    def subset(self, name: str) -> tuple[DistanceRow, ...]:
        """The pairs of a set, in the order of the file."""
        return tuple(row for row in self.rows if row.set == name)

    def pairs(self, name: str = "test") -> ImagePairs:
        """Who is on the pairs of a set.

        Raises:
            ValueError: If all of them are of one person each, or none is.
        """
        rows = self.subset(name)
        return ImagePairs.from_people([row.first_person for row in rows], [row.second_person for row in rows])

    def has_distances(self, reader: str, image: str) -> bool:
        """Whether there is a distance for every test pair."""
        distances = self.distances.get(reader, {}).get(image)
        return distances is not None and bool(np.isfinite(distances[self._set_mask("test")]).all())

    def distance(self, reader: str, image: str, name: str = "test") -> Floats:
        """(N,) of the pairs of a set, in their order."""
        return np.asarray(self.distances[reader][image][self._set_mask(name)])

    def _set_mask(self, name: str) -> NDArray[np.bool_]:
        return np.array([row.set == name for row in self.rows], dtype=bool)


def write_verification(folder: Path, table: DistanceTable | None) -> None:
    """Write the file atomically, or remove that of an earlier evaluation where there is nothing to write."""
    if table is None:
        (folder / FILE).unlink(missing_ok=True)
        return
    named = {
        f"{reader}_{image}": values
        for reader, by_image in table.distances.items()
        for image, values in by_image.items()
    }
    with atomic(folder / FILE) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow([*COLUMNS, *named])
        for k, row in enumerate(table.rows):
            fields = (row.set, row.first, row.second, int(row.same), row.first_person, row.second_person)
            writer.writerow([*map(csv_cell, fields), *(csv_text(float(values[k])) for values in named.values())])


def read_verification(folder: Path) -> DistanceTable | None:
    """Read an evaluation's distances; None where it has none (older ones, and cohorts without pairs).

    Raises:
        UserError: If the file cannot be read, lacks a column, or a field is not what it should be.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    lines = read_table(path, COLUMNS)
    header = list(lines[0][1])
    named = {name: parsed for name in header if (parsed := _reader_and_image(name)) is not None}
    rows = []
    values: dict[str, list[float]] = {name: [] for name in named}
    for number, fields in lines:
        rows.append(_row(path, number, fields))
        for name in named:
            values[name].append(field_number(fields[name], f"{path} row {number} has {name}"))
    distances: dict[str, dict[str, Floats]] = {}
    for name, (who, image) in named.items():
        distances.setdefault(who, {})[image] = np.array(values[name], dtype=np.float64)
    return DistanceTable(tuple(rows), distances)


def _reader_and_image(column: str) -> tuple[str, str] | None:
    """``judge_input_probe`` to ``judge`` and ``input_probe``."""
    for image in sorted(IMAGES, key=len, reverse=True):
        who = column.removesuffix(f"_{image}")
        if who and who != column:
            return who, image
    return None


def _row(path: Path, number: int, fields: Mapping[str, str]) -> DistanceRow:
    row = DistanceRow(*(fields[name] for name in ("set", "first", "second", "first_person", "second_person")))
    if row.set not in SETS:
        raise UserError(f"{path} row {number} has set {quoted(row.set)}, expected {', '.join(SETS)}")
    if fields["same"] != str(int(row.same)):
        raise UserError(
            f"{path} row {number} has same {quoted(fields['same'])}, expected {int(row.same)} of "
            f"{row.first_person} and {row.second_person}"
        )
    return row


def distance_columns(
    rows: Sequence[DistanceRow], by_set: Mapping[str, Mapping[str, Mapping[str, Floats]]]
) -> dict[str, dict[str, Floats]]:
    """Columns over all rows from those of each set: reader, image, set to (N of the set,).

    Values are those that the file will hold, so that figures can be had from it to the digit.
    """
    columns: dict[str, dict[str, Floats]] = {}
    for reader, images in by_set.items():
        columns[reader] = {}
        for image in (image for image in IMAGES if image in images):
            whole = np.full(len(rows), np.nan)
            for name, values in images[image].items():
                where = [k for k, row in enumerate(rows) if row.set == name]
                whole[where] = [float(csv_text(float(value))) for value in values]
            columns[reader][image] = whole
    return columns
