"""A user's table as it comes from a spreadsheet: rows of text with their line numbers."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from taskgan.core.errors import UserError
from taskgan.core.parse import quoted

_DELIMITERS = ",;\t"


@dataclass(frozen=True)
class TableRow:
    """The line in the file (the header is line 1) and the text of every column, without surrounding blanks."""

    number: int
    values: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        """The text of a column; empty where the table has no such column."""
        return self.values.get(column, "")


@dataclass(frozen=True)
class InputTable:
    """A table: its file, its columns in the order of the header, and the rows that are not blank."""

    source: Path
    columns: tuple[str, ...]
    lines: tuple[TableRow, ...]

    def path(self, text: str) -> Path:
        """A file that a row names, relative to the table's folder."""
        return self.source.parent / text


def read_table(source: Path, required: Sequence[str]) -> InputTable:
    """Read a text file (UTF-8) with a header, separated by commas, semicolons or tabs (what the header has most of).

    Raises:
        UserError: If it cannot be read, lacks a column, names one twice or has no rows.
    """
    try:
        text = source.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{source} does not exist; expected a table ({', '.join(required)}, …)") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{source} cannot be read as a table: {error}") from None
    first = text.split("\n", 1)[0]
    reader = csv.reader(text.splitlines(), delimiter=max(_DELIMITERS, key=first.count))
    try:
        header = [name.strip() for name in next(reader, [])]
        numbered = [(reader.line_num, [value.strip() for value in values]) for values in reader]
    except csv.Error as error:
        raise UserError(f"{source} cannot be read as a table: {error}") from None
    missing = [name for name in required if name not in header]
    if missing:
        meant = [name for name in header if name.lower() in missing]
        raise UserError(
            f"{source} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; "
            f"found {', '.join(header) or 'no header'}"
            + "".join(f"; {name} must be written {name.lower()}" for name in meant)
        )
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{source} has two columns {quoted(twice)}, expected each once")
    rows = [(number, values) for number, values in numbered if any(values)]
    if not rows:
        raise UserError(f"{source} has a header but no rows")
    long = next((number for number, values in rows if len(values) > len(header)), None)
    if long is not None:
        raise UserError(f"{source}: row {long} has more fields than the header")
    lines = tuple(TableRow(number, dict(zip(header, values, strict=False))) for number, values in rows)
    return InputTable(source, tuple(name for name in header if name), lines)
