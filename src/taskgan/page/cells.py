"""Tables as data: cells that know their number and how it is read; what methods are called in them."""

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from taskgan.core.files import atomic, csv_cell
from taskgan.core.parse import parse_yaml
from taskgan.stats import Interval

MISSING = "–"
MINUS = "−"


@dataclass(frozen=True)
class Cell:
    """One field.

    Attributes:
        text: First line as shown.
        small: Second, smaller line: an interval.
        aside: Third line, grey: the paper's figure.
        value: What goes into the CSV; an interval becomes three columns.
        tone: ``better``, ``worse``, ``none`` (inside its interval), ``muted``, ``strong`` or empty.
    """

    text: str
    small: str = ""
    value: Interval | float | int | str | None = None
    tone: str = ""
    aside: str = ""


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        key: In the CSV.
        heading: In the page.
        meaning: A sentence that explains it.
        hidden: Whether it is in the CSV alone.
    """

    key: str
    heading: str
    meaning: str = ""
    hidden: bool = False


@dataclass(frozen=True)
class Table:
    """A table of the report.

    Attributes:
        name: File name without suffix.
        title: Heading.
        note: What it shows and how to read it.
        columns: Its columns.
        rows: A cell for each column.
        empty: What to say where there are no rows.
        grouped: Whether rows with the same first cell belong together, which then stands in the first of them.
    """

    name: str
    title: str
    note: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str = "Nothing to show."
    grouped: bool = False

    def opens(self, index: int) -> bool:
        """Whether a row is the first of its group (every row where rows are not grouped)."""
        return not self.grouped or index == 0 or self.rows[index][0] != self.rows[index - 1][0]

    def visible(self, row: Sequence[Cell]) -> list[Cell]:
        """The cells of a row that the page shows."""
        return [cell for column, cell in zip(self.columns, row, strict=True) if not column.hidden]

    @property
    def explained(self) -> list[Column]:
        """The columns of the page that have an explanation."""
        return [column for column in self.columns if column.meaning and not column.hidden]


def number(value: float, digits: int, *, sign: bool = False) -> str:
    """A number with a typographic minus; a dash where unknown."""
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞"
    return f"{value:{'+' if sign else ''}.{digits}f}".replace("-", MINUS)


def range_text(interval: Interval, digits: int, *, sign: bool = False) -> str:
    """``[low, high]``, or empty where there is no interval."""
    if math.isnan(interval.low) or math.isnan(interval.high):
        return ""
    return f"[{number(interval.low, digits, sign=sign)}, {number(interval.high, digits, sign=sign)}]"


def interval_text(interval: Interval, digits: int, *, sign: bool = False, unit: str = "") -> str:
    """An estimate and its interval in running text."""
    return f"{number(interval.estimate, digits, sign=sign)}{unit} {range_text(interval, digits, sign=sign)}".rstrip()


def join_phrases(parts: Iterable[str]) -> str:
    """``a, b and c``; ``nothing`` where there is nothing."""
    *first, last = list(parts) or ["nothing"]
    return f"{', '.join(first)} and {last}" if first else last


def estimate_cell(interval: Interval, digits: int, *, sign: bool = False, tone: str = "") -> Cell:
    """An estimate above its interval."""
    return Cell(number(interval.estimate, digits, sign=sign), range_text(interval, digits, sign=sign), interval, tone)


def difference_cell(interval: Interval, digits: int, *, better: int, significant: bool = True) -> Cell:
    """A paired difference; called better or worse only where its interval excludes zero and ``significant`` agrees.

    ``better`` is +1 if more is better, −1 if less is.
    """
    tone = "none"
    if significant and interval.excludes(0.0):
        tone = "better" if interval.estimate * better > 0 else "worse"
    mark = {"better": "▲ ", "worse": "▼ ", "none": ""}[tone]
    text = mark + number(interval.estimate, digits, sign=True)
    return Cell(text, range_text(interval, digits, sign=True), interval, tone)


def rate_cell(interval: Interval, events: int, count: int) -> Cell:
    """``k/n`` above the exact interval in per cent."""
    if count == 0:
        return Cell(MISSING, "", interval)
    return Cell(f"{events}/{count}", f"[{100 * interval.low:.0f} %, {100 * interval.high:.0f} %]", interval)


def text_cell(text: str, *, tone: str = "") -> Cell:
    """A cell of text."""
    return Cell(text, "", text, tone)


def number_cell(value: float, digits: int, *, sign: bool = False) -> Cell:
    """A cell of one number without an interval."""
    return Cell(number(value, digits, sign=sign), "", value)


def without_empty_columns(
    columns: tuple[Column, ...], rows: list[tuple[Cell, ...]]
) -> tuple[tuple[Column, ...], list[tuple[Cell, ...]]]:
    """A table's columns and rows without the columns in which no row has anything."""
    indices = [i for i in range(len(columns)) if any(row[i].text not in ("", MISSING) for row in rows)]
    return tuple(columns[i] for i in indices), [tuple(row[i] for i in indices) for row in rows]


def count_cell(count: int) -> Cell:
    """A cell of a whole number."""
    return Cell(str(count), "", count)


def text_columns(table: str, **values: object) -> tuple[Column, ...]:
    """The columns of a table of ``report/templates/texts.yaml``; values are what its texts leave open."""
    return tuple(_text_column(key, values, *parts) for key, parts in report_texts(table)["columns"].items())


def _text_column(
    key: str, values: Mapping[str, object], heading: str, meaning: str = "", hidden: bool = False
) -> Column:
    return Column(key, heading.format(**values), meaning.format(**values), hidden)


def text_table(
    table: str, columns: Iterable[Column], rows: Iterable[tuple[Cell, ...]], name: str = "", **values: object
) -> Table:
    """A table with title, note and what is said of no rows from ``report/templates/texts.yaml``.

    ``name`` is that of its file, where it is called otherwise; values are what the texts leave open.
    """
    known = report_texts(table)
    texts = {key: known[key].format(**values) for key in ("title", "note", "empty") if key in known}
    return Table(name or table, columns=tuple(columns), rows=tuple(rows), grouped=known.get("grouped", False), **texts)


@cache
def _report_texts() -> dict[str, Any]:
    path = resources.files("taskgan.report") / "templates" / "texts.yaml"
    return dict(parse_yaml(path.read_text(encoding="utf-8"), path.name))


def report_texts(name: str) -> Any:
    """What ``report/templates/texts.yaml`` says under a name."""
    return _report_texts()[name]


def write_table(table: Table, folder: Path) -> Path:
    """Write ``<name>.csv`` with numbers rather than their shown text."""
    wide = [any(isinstance(row[i].value, Interval) for row in table.rows) for i in range(len(table.columns))]
    header: list[str] = []
    for column, three in zip(table.columns, wide, strict=True):
        header += [column.key, f"{column.key}_low", f"{column.key}_high"] if three else [column.key]
    path = folder / f"{table.name}.csv"
    with atomic(path) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(header)
        for row in table.rows:
            both = zip(row, wide, strict=True)
            writer.writerow([text for cell, three in both for text in _fields(cell.value, three)])
    return path


def _fields(value: Interval | float | int | str | None, three: bool) -> list[str]:
    if isinstance(value, Interval):
        return [_text(value.estimate), _text(value.low), _text(value.high)]
    return [_text(value), "", ""] if three else [_text(value)]


def _text(value: float | int | str | None) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.8g}" if isinstance(value, float) else str(csv_cell(str(value)))


NAMES = {
    "input": "Input",
    "clean": "Clean",
    "relaxometry": "Relaxometry",
    "l1": "L1 only",
    "cycle_gan": "CycleGAN",
    "gan": "GAN",
    "task_gan": "Task-GAN",
}
_SHORT_NAMES = {"l1": "L1"}  # "L1 only, 2.5D" would contradict itself
_DIMENSIONS = re.compile(r"(\d)(\d)?d")


def display_name(method: str) -> str:
    """A method as a reader knows it.

    A known name is followed by what stands behind it in words: ``task_gan_three_step`` is "Task-GAN, three step",
    ``gan_25d`` "GAN, 2.5D". Other tools' names are left as they are.
    """
    if method in NAMES:
        return NAMES[method]
    known = [name for name in NAMES if method.startswith(f"{name}_") and len(method) > len(name) + 1]
    if not known:
        return method
    name = max(known, key=len)
    suffixes = [_suffix_text(word) for word in method[len(name) + 1 :].split("_") if word]
    return f"{_SHORT_NAMES.get(name, NAMES[name])}, {' '.join(suffixes)}" if suffixes else method


def _suffix_text(word: str) -> str:
    match = _DIMENSIONS.fullmatch(word)
    return f"{'.'.join(d for d in match.groups() if d)}D" if match else word


def csv_name(method: str) -> str:
    """A method as tables for programs name it: the plain name, but for those that always stood there in words."""
    return NAMES.get(method, method)


def name_cell(method: str, *, tone: str = "") -> Cell:
    """A cell with a method's name."""
    return Cell(display_name(method), "", csv_name(method), tone)


def versus_cell(method: str, baseline: str) -> Cell:
    """The cell that names a difference."""
    text = f"{display_name(method)} − {display_name(baseline)}"
    return Cell(text, "", f"{csv_name(method)} − {csv_name(baseline)}", "strong")


def join_methods(parts: Iterable[str]) -> str:
    """``a, b and c`` of parts that begin with methods' names; with semicolons where a name has a comma in it."""
    every = list(parts)
    if any(part.startswith(f"{_SHORT_NAMES.get(name, title)}, ") for part in every for name, title in NAMES.items()):
        *first, last = every
        return f"{'; '.join(first)}; and {last}" if first else last
    return join_phrases(every)
