"""What the publishing scripts share: tables without the images' paths, and Markdown of them."""

import csv
from collections.abc import Sequence
from pathlib import Path

from taskgan.files import atomic

_PATHS = ("degraded", "clean", "restored", "cortex", "reference", "lesions", "brain")  # no images


def join_cases(tables: Sequence[Path], out: Path) -> None:
    """One table of all methods and seeds; rows of ``input`` and ``clean``, which every evaluation has, once."""
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for table in tables:
        with table.open(newline="", encoding="utf-8") as handle:
            for row in csv.DictReader(handle):
                key = (row["case"], row["method"], row["seed"])
                rows.setdefault(key, {k: v for k, v in row.items() if k not in _PATHS})
    with atomic(out) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        # What cannot be measured for any case of a method is no column of its table.
        columns = list(dict.fromkeys(key for row in rows.values() for key in row))
        writer = csv.DictWriter(handle, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for _, row in sorted(rows.items()))


def markdown(table: Path) -> str:
    """A CSV file as a Markdown table, numbers with four digits."""
    with table.open(newline="", encoding="utf-8") as handle:
        header, *body = [[_short(cell) for cell in row] for row in csv.reader(handle)]
    rule = ["---"] * len(header)
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, rule, *body]) + "\n"


def _short(cell: str) -> str:
    try:
        value = float(cell)
    except ValueError:
        return cell.replace("|", "/")
    return f"{value:.4g}"
