"""Keep a finished demo under ``results/``: its cases, tables, figures, versions and times, not its images.

    python experiments/publish_demo.py demo results/pet-demo

The picture in the README is the demo's first Figure 3.
"""

import argparse
import shutil
from pathlib import Path

from publishing import join_cases, page
from taskgan.cohort.folder import read_description
from taskgan.core.files import atomic, read_yaml, write_text, write_yaml
from taskgan.demo.demos import PET_METHODS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--picture", type=Path, default=Path("docs/demo.png"))
    arguments = parser.parse_args()
    publish(arguments.demo, arguments.out, arguments.picture)


def publish(demo: Path, out: Path, picture: Path) -> None:
    """Replace ``out`` with what a finished demo shows."""
    record = read_yaml(demo / "demo.yaml")
    runs = {method: demo / "runs" / method for method in PET_METHODS}
    if out.exists():
        shutil.rmtree(out)
    for kind in ("tables", "figures"):
        shutil.copytree(demo / "report" / kind, out / kind)
    join_cases([run / "evaluation" / "cases.csv" for run in runs.values()], out / "cases.csv")
    first = read_yaml(runs["l1"] / "run.yaml")
    about = {
        "command": "taskgan demo pet demo",
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


def _readme(out: Path, about: dict[str, object]) -> str:
    parts = [
        "# PET demo\n",
        "`taskgan demo pet demo`, then `python experiments/publish_demo.py demo results/pet-demo`. Versions, seeds, "
        f"times and the readers' figures on clean images are in `demo.yaml`. Device: {about['device']}.\n",
        "One seed on one simulated cohort: it shows what the tools report, and proves nothing about the methods. "
        "λ and μ were chosen on the validation subjects (`results/pet-demo-weights`), by the same judge.\n",
    ]
    return page(out, "\n".join(parts))


if __name__ == "__main__":
    main()
