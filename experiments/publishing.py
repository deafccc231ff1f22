"""Keep a finished experiment under ``results/``: cases, tables, figures, sweeps and versions, no images.

    python experiments/publishing.py results/NAME …

writes the pages of results that are there already once more, from their own tables.
"""

import csv
import math
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from taskgan.cohort.folder import read_description
from taskgan.core.files import atomic, read_yaml, write_text, write_yaml
from taskgan.page.cells import display_name
from taskgan.report.metrics import METRICS
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
        for name in ("sweep.csv", "sweep.png", "sweep.yaml"):
            shutil.copyfile(sweep / name, out / sweep.name / name)
        _leave_out_folders(out / sweep.name / "sweep.yaml", work)
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
    _leave_out_folders(out / "evidence.yaml", work)
    about = f"{about}\nDevice: {records[first.name]['device']}.\n"
    write_text(out / "README.md", page(out, about, read_yaml(out / "evidence.yaml")["verdict"].get("headline", "")))


def _leave_out_folders(file: Path, work: Path) -> None:
    """Where the experiment, its weights and the scripts lay on the machine is nobody's business."""
    text = file.read_text(encoding="utf-8").replace(f"{work.resolve()}/", "")
    write_text(file, re.sub(r"\S*/(?=experiments/)", "", text))


def page(out: Path, about: str, headline: str = "") -> str:
    """What a person reads of published results: rounded, with methods and measures in words; the CSV has the rest.

    Args:
        out: Folder under ``results/``.
        about: Beginning of the page.
        headline: The verdict of the report in a sentence.
    """
    parts = [about.rstrip() + "\n"] + [f"**{headline}**\n"] * bool(headline)
    parts.append("Brackets are 95 % intervals by subject. Every table is also there in full, as CSV.\n")
    for table in sorted(out.glob("tables/*.csv")) + sorted(out.glob("*/tables/table2-*.csv")):
        text = markdown(table)
        if table.stem in ("flips", "badges") or not text:  # one row a flip: too long for a page
            continue
        where = table.relative_to(out).as_posix()
        of = f"{where.split('/')[0]}: " if where.count("/") > 1 else ""
        parts += [f"## {of}{_TITLES.get(table.stem, table.stem)}\n", f"[{where}]({where})\n", text]
    return "\n".join(parts)


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


_TITLES = {
    "comparisons": "Every measure against the baseline",
    "conditions-artefacts": "Artefacts by contrast",
    "conditions-lesions": "Lesions by contrast",
    "conditions-paired": "Paired differences by contrast",
    "conditions-quality": "Image quality by contrast",
    "conditions-read": "Read rightly, by contrast",
    "conditions-tissue": "Tissue contrast",
    "geometry": "Geometry of the mapping",
    "geometry-paired": "Paired differences in geometry",
    "outputs": "By class or label",
    "suvr": "Composite SUVR",
    "table2-paired": "Paired differences in image quality",
    "table2-quality-frame": "Image quality, whole frame",
    "table2-quality-head": "Image quality, inside the head",
    "table3-paired": "Paired differences in reading",
    "table3-readers": "What readers make of the images",
    "verification": "Verification, both images restored",
    "verification-paired": "Paired differences in verification",
    "verification-probe": "Verification, one image restored",
}
_HEADINGS = {metric.key: metric.heading for metric in METRICS} | {
    "method": "Images",
    "rmse": "RMSE",
    "p": "p, corrected",
    "other_seeds": "With other seeds",
    "mae": "Error",
    "auc": "AUC",
    "limits_low": "Limits from",
    "limits_high": "Limits to",
    "probe": "AUC, clean gallery",
}
# What only a program wants: other intervals of the same estimate, and what it would take to see more.
_FOR_PROGRAMS = re.compile(
    r".*_(delong|excludes_zero)$|excludes_zero|probe_p|seed_(lowest|highest)|subjects_\d+|detectable|threshold_.*"
)


def markdown(table: Path) -> str:
    """A CSV file as a Markdown table that people read; empty where it has no rows.

    An estimate stands with its interval, methods have their names, columns that are empty or for programs are left
    out.
    """
    with table.open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    every = list(rows[0]) if rows else []
    ends = {f"{key}_{end}" for key in every for end in ("low", "high") if {f"{key}_low", f"{key}_high"} <= set(every)}
    keys = [
        key for key in every if key not in ends and not _FOR_PROGRAMS.fullmatch(key) and any(row[key] for row in rows)
    ]
    if not rows or not keys:
        return ""
    header = [_HEADINGS.get(key) or _heading(key) for key in keys]
    body = [[_shown_cell(row, key) for key in keys] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *body]) + "\n"


def _heading(key: str) -> str:
    if key.endswith("_difference"):
        return "Δ"
    return key if key != key.lower() or "-" in key else key.replace("_", " ").capitalize()


def _shown_cell(row: Mapping[str, str], key: str) -> str:
    text = row[key]
    if key in ("method", "difference"):
        return " − ".join(display_name(name) for name in text.split(" − "))
    try:
        value = float(text)
    except ValueError:
        return text.replace("|", "/") or "–"
    if key == "p":
        return "< .001" if value < 0.001 else f"{value:.3f}"
    low, high = row.get(f"{key}_low", ""), row.get(f"{key}_high", "")
    ends = (float(low), float(high)) if low and high else ()
    digits = _digits(value, ends)
    numbers = [text] if "." not in text and not ends else [f"{one:.{digits}f}" for one in (value, *ends)]
    first, *rest = (re.sub(r"^-(?=0*\.?0*$)", "", number) for number in numbers)  # no minus zero
    return (f"{first} [{', '.join(rest)}]" if rest else first).replace("-", "−")


def _digits(value: float, ends: Sequence[float]) -> int:
    """Decimals: as many as the interval's width says, two to four of it; fewer of large numbers."""
    if abs(value) >= 1000:
        return 0
    width = (ends[1] - ends[0]) if ends else 0.0
    needed = 1 - math.floor(math.log10(width)) if width > 0 else 3
    return min(max(needed, 1 if abs(value) >= 10 else 2), 4)


def shown(interval: Interval, *, signed: bool = True) -> str:
    """An estimate with its interval, where there is one; of a difference with its sign."""
    form = "+.3f" if signed else ".3f"
    if np.isnan(interval.low):  # too few people
        return format(interval.estimate, form)
    return f"{interval.estimate:{form}} [{interval.low:{form}}, {interval.high:{form}}]".replace("-", "−")


def main() -> None:
    for out in map(Path, sys.argv[1:]):
        evidence = out / "evidence.yaml"
        verdict = read_yaml(evidence).get("verdict", {}) if evidence.is_file() else {}
        about = (out / "README.md").read_text(encoding="utf-8").split("\n## ")[0].split("\n**")[0]
        about = about.split("\nBrackets are")[0]
        write_text(out / "README.md", page(out, about + "\n", str(verdict.get("headline", ""))))


if __name__ == "__main__":
    main()
