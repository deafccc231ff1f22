"""``readings.csv``: all that judges read, one row a case, image, judge and output, of evaluations and of audits.

A binary property and a value have one output; several labels, classes and masks have one each. ``image`` is ``input``
(the degraded one), ``clean`` or a method. ``judge`` is ``task`` (T) and ``judge`` in an evaluation, the networks' own
names in an audit, and in both ``SUVR``, the observer that is not learned. An empty field is unknown.

- ``prediction``: mean probability or value over the middle slices, ml of a mask, the SUVR; of an identity the cosine
  with the clean image's descriptor;
- ``target``: what that should be; ``truth``: what the decision should be;
- ``decision``: 0 or 1, empty where nothing is decided; ``cut``: what the prediction is held against;
- ``error``: of the image, by the measure of the kind (slice-wise MAE, 1 − Dice …), the same for all its outputs;
- ``dice``, ``dice_clean``: of a mask with the table's and with the same judge's of the clean image.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from math import isfinite, nan
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from taskgan.core.errors import UserError
from taskgan.core.tables import read_frame, write_frame
from taskgan.judges.properties import OBSERVER, Property

READINGS = "readings.csv"
INPUT, CLEAN = "input", "clean"


class Reading(NamedTuple):
    """A row of the table, see the module."""

    case: str
    subject: str
    split: str
    image: str
    judge: str
    output: str
    prediction: float
    target: float
    truth: float
    decision: float
    cut: float
    error: float = nan
    dice: float = nan
    dice_clean: float = nan


READING_COLUMNS = Reading._fields
_TEXT = READING_COLUMNS[:6]
_OPTIONAL = ("dice", "dice_clean")
_FORMER = b"case,subject,method,reader,"  # how the header of evaluations began before audits had the same table
_KEY = ["case", "image", "judge", "output"]


def readings_table(rows: Iterable[Reading]) -> pd.DataFrame:
    """Rows as a table with all of ``COLUMNS``."""
    table = pd.DataFrame(rows, columns=list(READING_COLUMNS))
    return table.astype({name: str if name in _TEXT else float for name in READING_COLUMNS})


def write_readings(folder: Path, table: pd.DataFrame) -> None:
    """Write the table of an evaluation or audit, atomically; Dice only where there are masks."""
    columns = [name for name in READING_COLUMNS if name not in _OPTIONAL or table[name].notna().any()]
    write_frame(folder / READINGS, table[columns], digits=8)


def read_readings(folder: Path) -> pd.DataFrame:
    """Read the table of an evaluation or audit, with all of ``COLUMNS``; it may have no rows.

    Raises:
        UserError: If there is no table, a column is missing or not numeric, or a reading is there twice.
    """
    path = folder / READINGS
    if not path.is_file():
        raise UserError(f"{folder} holds no {READINGS}; expected a folder that taskgan evaluate or audit made")
    with path.open("rb") as handle:
        if handle.read(len(_FORMER)) == _FORMER:
            raise UserError(f"{path} is of an earlier version; evaluate or audit again with --overwrite")
    needed = [name for name in READING_COLUMNS if name not in _OPTIONAL]
    table = read_frame(path, needed, _TEXT, optional=_OPTIONAL, empty=True)[list(READING_COLUMNS)]
    twice = table[table.duplicated(_KEY)]
    if len(twice):
        key = ", ".join(f"{name} {twice.iloc[0][name]}" for name in _KEY)
        raise UserError(f"{path} has two readings of {key}, expected one")
    return table


@dataclass(frozen=True)
class Readings:
    """What several judges read.

    Attributes:
        table: With ``COLUMNS``.
        properties: What each judge reads; a judge that is not in it reads a binary property in ``label``.
    """

    table: pd.DataFrame
    properties: Mapping[str, Property] = field(default_factory=dict)

    @property
    def judges(self) -> list[str]:
        """Names, networks first, the observer (where there is one) last."""
        return sorted(self.table["judge"].drop_duplicates(), key=lambda name: name == OBSERVER)

    def property_of(self, judge: str) -> Property:
        """What a judge reads."""
        return self.properties.get(judge, Property())

    def outputs(self, judge: str) -> list[str]:
        """Names of what a judge says, in order."""
        return [str(name) for name in self.table.loc[self.table["judge"] == judge, "output"].drop_duplicates()]

    @property
    def deciding_judges(self) -> list[str]:
        """Judges that decide, who can flip; the others read a value without a cut."""
        return [name for name in self.judges if self.property_of(name).decides]

    @property
    def value_judges(self) -> list[str]:
        """Judges that predict a value on a scale of its own: regressions, masks and the observer."""
        return [name for name in self.judges if self.property_of(name).is_value]

    def select(self, judge: str, image: str, output: str | None = None, split: str = "test") -> pd.DataFrame:
        """Rows of one judge and image, indexed by case and output, in the order of the cases."""
        t = self.table
        selected = (t["judge"] == judge) & (t["image"] == image) & (t["split"] == split)
        if output is not None:
            selected &= t["output"] == output
        return t[selected].set_index(["case", "output"])

    def without_outputs(self, judge: str, outputs: Sequence[str]) -> "Readings":
        """The same, with a judge's decisions on some outputs struck out (it cannot read them)."""
        table = self.table.copy()
        table.loc[(table["judge"] == judge) & table["output"].isin(list(outputs)), "decision"] = nan
        return replace(self, table=table)


def to_plain(value: Any) -> Any:
    """Dataclasses, numbers and containers as records in YAML and JSON take them; NaN and infinity become None."""
    if is_dataclass(value) and not isinstance(value, type):
        return to_plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(v) for v in value]
    if isinstance(value, float):
        return float(value) if isfinite(value) else None
    return value
