"""Keep a finished evidence experiment under ``results/``: cases, tables, figures, sweep and versions, no images."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from publishing import join_cases, markdown, small_figure

from taskgan.cohort.description import read_description
from taskgan.files import read_yaml, write_text, write_yaml

_ABOUT = """# PET evidence

Commands (`BRAINWEB` is a folder of BrainWeb tissue files, `WORK` an empty one; all of it resumes):

```
python experiments/pet_evidence.py WORK --anatomy BRAINWEB
python experiments/pet_evidence.py WORK --publish results/pet-evidence
```

What it says in words: [docs/evidence.md](../../docs/evidence.md). Versions, seeds, cohort, recipes and times are in
`evidence.yaml`; every case in `cases.csv`; the choice of λ, μ and the best setting on validation subjects in
`sweep*/`; what judges that chose nothing say of who flipped in `audit/`; how much of the label one slice holds in
`limit-test.md`.
"""


def publish(
    work: Path, out: Path, runs: Sequence[str], *, about: str = _ABOUT, beside: Sequence[str] = ()
) -> None:
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
                name: read_yaml(folder / "recipe.yaml")
                for name, folder in trained.items()
                if name.endswith("seed0")
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
    for table in sorted(work.glob("limit/limit-*.md")) + sorted(work.glob("limit/slices-*.csv")):
        shutil.copyfile(table, out / table.name)
