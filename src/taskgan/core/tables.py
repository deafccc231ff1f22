"""Every CSV that is read: form, columns and numbers are checked here, in sentences that name file and row."""

import csv
import io
import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from taskgan.core.errors import UserError
from taskgan.core.files import atomic, csv_cell, unescaped_cell
from taskgan.core.parse import error_text, quoted, truncated

if TYPE_CHECKING:
    import pandas as pd

Rows = list[tuple[int, dict[str, str]]]


def csv_rows(table: Path, required: Sequence[str] = (), *, empty: bool = False, whole_lines: bool = False) -> Rows:
    """Rows of a table with their line numbers, as an editor counts them; header names are stripped.

    A row may be shorter or longer than the header: fields are then None, or stand under the key None.

    Args:
        table: CSV in UTF-8.
        whole_lines: Leave out a last line without its end, which a kill cut short.

    Raises:
        UserError: If it cannot be read, lacks a column, names one twice or has no rows.
    """
    try:
        text = table.read_bytes().decode("utf-8-sig")
        text = text[: text.rfind("\n") + 1] if whole_lines else text
        reader = csv.DictReader(io.StringIO(text, newline=""))
        header = [unescaped_cell(name.strip()) for name in reader.fieldnames or ()]
        reader.fieldnames = header
        rows = [  # blank lines count
            (reader.line_num, {k: unescaped_cell(v) if isinstance(v, str) else v for k, v in values.items()})
            for values in reader
        ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table} cannot be read as CSV: {error_text(error)}") from None
    missing = [name for name in required if name not in header]
    if missing:
        raise UserError(
            f"{table} lacks the column{'s' * (len(missing) > 1)} {truncated(', '.join(missing))}; "
            f"found {truncated(', '.join(header)) or 'no header'}, expected at least {truncated(', '.join(required))}"
            + ", separated by commas"
            * any(mark in name for name in header for mark in ";\t")
        )
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{table} has two columns {quoted(twice)}, expected each once")
    if not rows and not empty:
        raise UserError(f"{table} has a header but no rows")
    return rows


def read_table(
    table: Path,
    columns: Sequence[str],
    *,
    numbers: Collection[str] = (),
    infinite: Collection[str] = (),
    empty: bool = False,
) -> Rows:
    """Rows of a table that this package wrote: each has a field for every column of the header.

    Args:
        table: CSV in UTF-8.
        numbers: Columns, where they are there, whose fields are finite numbers or empty.
        infinite: Those of them that may hold ``inf`` too, such as the PSNR of an image against itself.

    Raises:
        UserError: As :func:`csv_rows`, or if a row has too few or too many fields, or a field is no finite number.
    """
    rows = csv_rows(table, columns, empty=empty)
    for number, values in rows:
        if None in values or None in values.values():
            fewer = "more" if None in values else "fewer"
            raise UserError(f"{table} row {number} has {fewer} fields than the header")
        for name in numbers:
            text = values.get(name)
            if text and not _is_finite(text) and not (text == "inf" and name in infinite):
                raise UserError(
                    f"{table} row {number} has {quoted(text)} in the column {name}, expected a finite number"
                )
    return rows


def read_frame(
    table: Path,
    columns: Sequence[str],
    text: Collection[str],
    *,
    optional: Sequence[str] = (),
    infinite: Collection[str] = (),
    empty: bool = False,
) -> "pd.DataFrame":
    """A table as a frame: columns of text as text, other known ones as float64 (NaN where empty), the rest as text.

    Args:
        table: CSV in UTF-8.
        text: Those of text.
        optional: Further known columns; empty where the file does not have them.
        infinite: See :func:`read_table`.

    Raises:
        UserError: As :func:`read_table`.
    """
    import pandas as pd

    known = [*columns, *optional]
    numbers = [name for name in known if name not in text]
    rows = read_table(table, columns, numbers=numbers, infinite=infinite, empty=empty)
    frame = pd.DataFrame([values for _, values in rows], columns=None if rows else list(known), dtype=str)
    for name in known:
        if name not in frame.columns:
            frame[name] = ""
    for name in numbers:
        frame[name] = pd.Series([float(value) if value else math.nan for value in frame[name]], dtype=float)
    return frame


def write_frame(target: Path, frame: "pd.DataFrame", *, digits: int) -> None:
    """Write a frame as CSV, atomically; text is never a formula for a spreadsheet
    (:func:`~taskgan.core.files.csv_cell`).

    Args:
        frame: Unknown values are empty.
    """
    import pandas as pd

    text = [name for name in frame.columns if not pd.api.types.is_numeric_dtype(frame[name])]
    cells = {n: pd.Series([csv_cell(v) for v in frame[n]], frame.index, dtype=frame[n].dtype) for n in text}
    with atomic(target) as partial:
        frame.assign(**cells).to_csv(partial, index=False, float_format=f"%.{digits}g", lineterminator="\n")


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
