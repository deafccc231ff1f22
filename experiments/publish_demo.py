"""Keep a finished demo under ``results/``: its cases, tables, figures, versions and times, not its images.

    python experiments/publish_demo.py demo results/pet-demo

The picture in the README is the demo's first Figure 3.
"""

import argparse
import csv
import shutil
from pathlib import Path

from taskgan.cohort.description import read_description
from taskgan.demo import METHODS
from taskgan.files import atomic, read_yaml, write_text, write_yaml

_PATHS = ("degraded", "clean", "restored", "cortex", "reference")  # the images themselves are not published


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("demo", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--picture", type=Path, default=Path("docs/demo.png"))
    arguments = parser.parse_args()
    publish(arguments.demo, arguments.out, arguments.picture)


def publish(demo: Path, out: Path, picture: Path) -> None:
    """Replace ``out`` with what a finished demo shows."""
    record = read_yaml(demo / "demo.yaml")
    runs = {method: demo / "runs" / method for method in METHODS}
    if out.exists():
        shutil.rmtree(out)
    for kind in ("tables", "figures"):
        shutil.copytree(demo / "report" / kind, out / kind)
    _cases([run / "evaluation" / "cases.csv" for run in runs.values()], out / "cases.csv")
    first = read_yaml(runs["l1"] / "run.yaml")
    about = {
        "command": "make demo",
        "device": first["device"],
        "cohort": read_description(demo / "cohort").get("measured"),
        "readers": read_yaml(runs["l1"] / "evaluation" / "evaluation.yaml")["readers"],
        "training": {method: read_yaml(run / "run.yaml")["result"] for method, run in runs.items()},
        **record,
    }
    write_yaml(out / "demo.yaml", about)
    with atomic(picture) as partial:
        shutil.copyfile(sorted((out / "figures").glob("figure3-*.png"))[0], partial)
    write_text(out / "README.md", _readme(out, about))


def _cases(tables: list[Path], out: Path) -> None:
    """One table of all methods; the rows of ``input`` and ``clean``, which every evaluation has, once."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for table in tables:
        with table.open(newline="", encoding="utf-8") as handle:
            for row in csv.DictReader(handle):
                kept = {k: v for k, v in row.items() if k not in _PATHS}
                rows.setdefault((row["case"], row["method"]), kept)
    with atomic(out) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(next(iter(rows.values()))), lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for _, row in sorted(rows.items()))


def _readme(out: Path, about: dict[str, object]) -> str:
    parts = [
        "# PET demo\n",
        "`make demo`, then `python experiments/publish_demo.py demo results/pet-demo`. Versions, seeds, times and "
        f"the readers' figures on clean images are in `demo.yaml`. Device: {about['device']}.\n",
        "One seed on one simulated cohort: it shows what the tools report, and proves nothing about the methods. "
        "λ and μ were chosen on the validation subjects (`results/pet-demo-weights`), by the same judge.\n",
    ]
    for table in sorted((out / "tables").glob("*.csv")):
        parts += [f"## {table.stem}\n", _markdown(table)]
    return "\n".join(parts)


def _markdown(table: Path) -> str:
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


if __name__ == "__main__":
    main()
