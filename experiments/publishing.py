"""What the publishing scripts share: tables without the images' paths, and Markdown of them."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

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


def small_figure(figure: Path, out: Path, width: int = 850) -> None:
    """Keep a figure at most so many pixels wide. (256 colours would be smaller still, but tint its greys.)"""
    with Image.open(figure) as image:
        found = image.convert("RGB")
    if found.width > width:
        found = found.resize((width, round(found.height * width / found.width)), Image.Resampling.LANCZOS)
    found.save(out, optimize=True)


def compact(table: Path, digits: int = 5) -> None:
    """Leave out the columns that are empty in every row, and round: for tables of ten thousands of rows."""
    with table.open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    columns = [name for name in (rows[0] if rows else {}) if any(row[name] for row in rows)]
    with atomic(table) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_rounded(row[name], digits) for name in columns] for row in rows)


def join_distances(tables: Mapping[tuple[str, int], Path], out: Path) -> None:
    """One table of the test pairs of all runs: how far apart each reader sees them.

    Args:
        tables: ``verification.csv`` of the evaluation of each method and seed.
        out: Rows of ``clean`` and ``input``, which all evaluations share, have no seed; ``<reader>`` is the distance
            of both images as the method gives them, ``<reader>_probe`` of the first to the second clean one.
    """
    found: dict[tuple[str, str, str, str], dict[str, str]] = {}
    for (method, seed), table in tables.items():
        with table.open(newline="", encoding="utf-8") as handle:
            for row in csv.DictReader(handle):
                if row["set"] != "test":
                    continue
                of = {"clean": ("clean", ""), "input": ("input", ""), "restored": (method, str(seed))}
                for image, (name, number) in of.items():
                    key = (name, number, row["first"], row["second"])
                    about = {"method": name, "seed": number}
                    about |= {column: row[column] for column in ("first", "second", "same")}
                    if distances := _distances(row, image):
                        found.setdefault(key, about | distances)
    columns = list(dict.fromkeys(column for row in found.values() for column in row))
    with atomic(out) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(found[key] for key in sorted(found))


def _distances(row: Mapping[str, str], image: str) -> dict[str, str]:
    """Of one kind of image, by reader."""
    found = {}
    for column, text in row.items():
        for end, name in ((f"_{image}", ""), (f"_{image}_probe", "_probe")):
            if column.endswith(end):
                found[column.removesuffix(end) + name] = _rounded(text, 4)
    return found


def _rounded(cell: str, digits: int) -> str:
    """A number with so many digits; whole numbers and text as they are."""
    if "." not in cell:
        return cell
    try:
        return f"{float(cell):.{digits}g}"
    except ValueError:
        return cell


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
