"""``make demo``: every verb once, on simulated data, small enough for two cores and ten minutes.

The same command goes on where an interrupted one stopped: each verb resumes or recognises its finished output.
"""

import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from taskgan.console import duration, say
from taskgan.errors import UserError
from taskgan.files import read_yaml, versions, write_yaml
from taskgan.recipe import Objective, Recipe, dump_recipe, read_recipe

METHODS: tuple[Objective, ...] = ("l1", "gan", "task_gan")
_RECORD = "demo.yaml"


def demo_pet(out: Path, *, seed: int = 0, subjects: int = 36, overrides: Sequence[str] = ()) -> Path:
    """Simulate a cohort, train the three objectives, restore the test subjects, evaluate, report.

    Args:
        out: Folder; it gets ``cohort/``, ``runs/<method>/`` and ``report/``.
        seed: Seed of the cohort and of the runs.
        subjects: How many to simulate.
        overrides: Changes of the ``pet-demo`` recipe.

    Returns:
        The report page.

    Raises:
        UserError: If ``out`` holds a demo with other settings.
    """
    base = read_recipe("pet-demo", [*overrides, f"seed={seed}"])
    settings = {"seed": seed, "subjects": subjects, "recipe": dump_recipe(base)}
    record = _open_record(out, settings)
    say(
        f"taskgan demo: 1 % low-dose amyloid PET, {subjects} simulated subjects, objectives {', '.join(METHODS)}, "
        f"about 10 minutes on two idle cores. Everything goes to {out}/"
    )
    stages = _stages(out, base, seed, subjects)
    for number, (name, work) in enumerate(stages, start=1):
        say(f"\n[{number}/{len(stages)}] {name}")
        began = time.monotonic()
        work()
        _note(out, record, name, time.monotonic() - began)
    total = sum(record["seconds"].values())
    page = out / "report" / "report.html"
    say(f"\nDone in {duration(total)}, at most {record['peak_memory_mb'] / 1024:.1f} GB. Open {page}")
    return page


def _stages(out: Path, base: Recipe, seed: int, subjects: int) -> list[tuple[str, Callable[[], object]]]:
    cohort = out / "cohort"
    runs = {method: out / "runs" / method for method in METHODS}

    def simulate() -> None:
        from taskgan.simulate.pet.cohort import simulate_pet
        from taskgan.simulate.pet.settings import pet_simulation

        simulate_pet(cohort, pet_simulation(subjects=subjects, seed=seed))

    def train(method: Objective) -> None:
        from taskgan.train.run import train

        train(base.model_copy(update={"objective": method}), cohort, runs[method])

    def restore(method: Objective) -> None:
        from taskgan.restore.files import restore

        folder = runs[method] / "restored"
        if _finished(folder / "restored.yaml"):
            say(f"{folder} is complete")
            return
        restore(runs[method] / "model", [cohort / "pairs.csv"], folder, split="test", precision="32")

    def evaluate(method: Objective) -> None:
        from taskgan.evaluate.run import evaluate

        folder = runs[method] / "evaluation"
        if (folder / "summary.json").is_file():
            say(f"{folder} is complete")
            return
        evaluate(runs[method] / "restored", cohort, folder)

    def report() -> None:
        from taskgan.report.run import compare

        compare([runs[m] / "evaluation" for m in METHODS], out / "report", baseline="gan", overwrite=True)

    return [
        ("simulate: anatomy, uptake, TOF projection, thinning to 1 %, OSEM", simulate),
        *((f"train {m}", lambda m=m: train(m)) for m in METHODS),
        *((f"restore the test subjects with {m}", lambda m=m: restore(m)) for m in METHODS),
        *((f"evaluate {m}", lambda m=m: evaluate(m)) for m in METHODS),
        ("compare: tables, figures, report", report),
    ]


def _finished(path: Path) -> bool:
    return path.is_file() and read_yaml(path).get("status") == "complete"


def _open_record(out: Path, settings: dict[str, Any]) -> dict[str, Any]:
    path = out / _RECORD
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file, expected a folder for the demo")
    if path.is_file():
        record = read_yaml(path)
        if record.get("settings") != settings:
            raise UserError(
                f"{out} holds a demo with other settings; choose another folder or remove that one"
            )
        return record
    if out.is_dir() and any(out.iterdir()):
        raise UserError(f"{out} exists and holds no demo; choose an empty folder")
    record = {"settings": settings, "versions": versions(), "seconds": {}, "peak_memory_mb": 0}
    write_yaml(path, record)
    return record


def _note(out: Path, record: dict[str, Any], name: str, seconds: float) -> None:
    """Keep the longest time of a stage (a repeated call finds it finished) and a bound on the peak of memory.

    The system tells the peak of the largest child only: every core may have had one as large.
    """
    record["seconds"][name] = round(max(seconds, record["seconds"].get(name, 0.0)), 1)
    unit = 1024 if sys.platform != "darwin" else 1024**2
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    record["peak_memory_mb"] = max(
        record["peak_memory_mb"], round((own + children * (os.cpu_count() or 1)) / unit)
    )
    write_yaml(out / _RECORD, record)
