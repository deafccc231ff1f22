"""Keep a finished experiment under ``results/``: cases, tables, figures, sweeps and versions, no images."""

import csv
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from taskgan.cohort.folder import read_description
from taskgan.core.files import atomic, read_yaml, write_text, write_yaml
from taskgan.stats import Interval

_PATHS = ("degraded", "clean", "restored", "cortex", "reference", "lesions", "brain")  # no images


def publish(work: Path, out: Path, runs: Sequence[str], *, about: str, beside: Sequence[str] = ()) -> None:
    """Replace ``out`` with what the runs of a finished experiment show.

    Args:
        work: The experiment's folder.
        out: Folder under ``results/``.
        runs: Names of the run folders; those of methods that are not trained hold an evaluation alone.
        about: Beginning of the page.
        beside: Further reports of ``work``, the tables of each into a folder of its own.
    """
    if out.exists():
        shutil.rmtree(out)
    shutil.copytree(work / "report" / "tables", out / "tables")
    for name in beside:
        shutil.copytree(work / name / "tables", out / name / "tables")
    (out / "figures").mkdir()
    for figure in sorted((work / "report" / "figures").glob("*.png")):
        small_figure(figure, out / "figures" / figure.name)
    for sweep in sorted(path.parent for path in work.glob("sweep*/sweep.yaml")):
        (out / sweep.name).mkdir()
        for name in ("sweep.csv", "sweep.png"):
            shutil.copyfile(sweep / name, out / sweep.name / name)
        record = (sweep / "sweep.yaml").read_text(encoding="utf-8").replace(f"{work.resolve()}/", "")
        write_text(out / sweep.name / "sweep.yaml", re.sub(r"\S*/(?=experiments/)", "", record))
    _publish_readings(work, out)
    folders = {name: work / "runs" / name for name in runs}
    join_cases([folder / "evaluation" / "cases.csv" for folder in folders.values()], out / "cases.csv")
    trained = {name: folder for name, folder in folders.items() if (folder / "run.yaml").is_file()}
    first = next(iter(trained.values()))
    records = {name: read_yaml(folder / "run.yaml") for name, folder in trained.items()}
    write_yaml(
        out / "evidence.yaml",
        {
            "device": records[first.name]["device"],
            "cohort": read_description(work / "cohort"),
            "readers": read_yaml(first / "evaluation" / "evaluation.yaml")["readers"],
            "recipes": {
                name: read_yaml(folder / "recipe.yaml") for name, folder in trained.items() if name.endswith("seed0")
            },
            "training": {name: record["result"] for name, record in records.items()},
            "versions": {name: record["versions"] for name, record in records.items()}[first.name],
            "verdict": read_yaml(work / "report" / "report.yaml"),
        },
    )
    parts = [about, f"Device: {records[first.name]['device']}.\n"]
    for table in sorted((out / "tables").glob("*.csv")):
        if table.stem != "flips":  # one row a flip: too long for a page
            parts += [f"## {table.stem}\n", markdown(table)]
    for name in beside:
        for table in sorted((out / name / "tables").glob("table2-*.csv")):
            parts += [f"## {name}: {table.stem}\n", markdown(table)]
    write_text(out / "README.md", "\n".join(parts))


def _publish_readings(work: Path, out: Path) -> None:
    """What audits and the reading of degraded slices found, where the experiment has them."""
    for name in sorted(path.name for path in work.glob("audit/*") if path.is_dir()):
        shutil.copytree(work / "audit" / name / "tables", out / "audit" / name / "tables")
        for file in ("audit.yaml", "flips.csv"):
            shutil.copyfile(work / "audit" / name / file, out / "audit" / name / file)
    for marker in work.glob("limit/*/limit.yaml"):
        place = out / f"limit-{marker.parent.name}"
        place.mkdir(exist_ok=True)
        for file in ("limit.yaml", "limit.csv", "limit.png"):
            shutil.copyfile(marker.parent / file, place / file)


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


def shown(interval: Interval, *, signed: bool = True) -> str:
    """An estimate with its interval, where there is one; of a difference with its sign."""
    form = "+.3f" if signed else ".3f"
    if np.isnan(interval.low):  # too few people
        return format(interval.estimate, form)
    return f"{interval.estimate:{form}} [{interval.low:{form}}, {interval.high:{form}}]".replace("-", "−")
