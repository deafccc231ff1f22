"""What every demo does: each verb once, on simulated data or images at hand, in minutes on two cores.

The same command goes on where an interrupted one stopped: each verb resumes or recognises its finished output.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from taskgan.core.artefact import differing
from taskgan.core.console import duration, say
from taskgan.core.errors import UserError
from taskgan.core.files import folder_files, read_yaml, versions, write_yaml
from taskgan.core.lock import exclusive
from taskgan.recipe import Recipe

_RECORD = "demo.yaml"
Stage = tuple[str, Callable[[], object]]


@dataclass(frozen=True)
class Demo:
    """A demo.

    Attributes:
        title: What it shows, in words.
        minutes: How long it takes on two idle cores.
        settings: Everything that decides it; a folder that was begun with others is refused.
        cohort_stage: Name of the first stage, and what makes the cohort in the folder that it is given.
        recipes: Of every method that is trained, in order.
        readers: The recipe of T and the judge that read the results of all methods alike.
        fit_methods: Methods that need no training: what restores the test subjects of a cohort into a folder.
        pretrain_stage: Name of a stage of its own that teaches T and the judge of a cohort, and what does it; None
            leaves them to the first who asks.
    """

    title: str
    minutes: int
    settings: Mapping[str, Any]
    cohort_stage: tuple[str, Callable[[Path], object]]
    recipes: Mapping[str, Recipe]
    readers: Recipe
    fit_methods: Mapping[str, Callable[[Path, Path], object]] = field(default_factory=dict)
    pretrain_stage: tuple[str, Callable[[Path], object]] | None = None

    @property
    def methods(self) -> tuple[str, ...]:
        """All methods: those that need no training first."""
        return (*self.fit_methods, *self.recipes)


@exclusive("out", "the demo")
def run_demo(out: Path, demo: Demo) -> Path:
    """Make a cohort, train, restore the test subjects, evaluate, report.

    Args:
        out: Folder; it gets ``cohort/``, ``runs/<method>/`` and ``report/``.
        demo: What to do.

    Returns:
        The report page.

    Raises:
        UserError: If ``out`` holds a demo with other settings.
    """
    record = _open_record(out, dict(demo.settings))
    say(
        f"taskgan demo: {demo.title}, methods {', '.join(demo.methods)}, about {demo.minutes} minutes on two idle "
        f"cores. Everything goes to {out}/"
    )
    stages = _stages(out, demo)
    for number, (name, work) in enumerate(stages, start=1):
        say(f"\n[{number}/{len(stages)}] {name}")
        began = time.monotonic()
        work()
        _record_stage(out, record, name, time.monotonic() - began)
    total = sum(record["seconds"].values())
    page = out / "report" / "report.html"
    say(f"\nDone in {duration(total)}, at most {record['peak_memory_mb'] / 1024:.1f} GB. Open {page}")
    return page


def _stages(out: Path, demo: Demo) -> list[Stage]:
    cohort, runs = out / "cohort", {method: out / "runs" / method for method in demo.methods}
    name, simulate = demo.cohort_stage
    pretraining = [(pretrain[0], partial(pretrain[1], cohort))] if (pretrain := demo.pretrain_stage) else []
    return [
        (name, partial(simulate, cohort)),
        *pretraining,
        *((f"train {m}", partial(_train, recipe, cohort, runs[m])) for m, recipe in demo.recipes.items()),
        *(
            (f"restore the test subjects with {m}", partial(_restore, demo.fit_methods.get(m), cohort, runs[m]))
            for m in demo.methods
        ),
        *((f"evaluate {m}", partial(_evaluate, m, demo.readers, cohort, runs[m])) for m in demo.methods),
        ("compare: tables, figures, report", partial(_report, [runs[m] for m in demo.methods], out)),
    ]


def _train(recipe: Recipe, cohort: Path, run: Path) -> None:
    from taskgan.train.run import train

    train(recipe, cohort, run)


def _restore(fitted: Callable[[Path, Path], object] | None, cohort: Path, run: Path) -> None:
    folder = run / "restored"
    if is_complete(folder):
        say(f"{folder} is complete")
    elif fitted is not None:
        fitted(cohort, folder)
    else:
        from taskgan.restore.run import restore

        restore(run / "model", [cohort / "pairs.csv"], folder, split="test", precision="32")


def _evaluate(method: str, readers: Recipe, cohort: Path, run: Path) -> None:
    from taskgan.evaluate.run import evaluate

    folder, marker = run / "evaluation", run / "evaluation" / "evaluation.yaml"
    if marker.is_file() and differing(marker) == []:
        say(f"{folder} is complete")
        return
    evaluate(run / "restored", cohort, folder, recipe=readers, method=method, overwrite=True)


def _report(runs: list[Path], out: Path) -> None:
    from taskgan.report.run import compare

    compare([run / "evaluation" for run in runs], out / "report", baseline="gan", overwrite=True)


def check_overrides(overrides: Sequence[str], methods: Sequence[str]) -> None:
    """Refuse changes of a recipe that a demo makes itself, and would pass over in silence.

    Raises:
        UserError: If an override (``section.key=value``) is of the seed or the objective.
    """
    for text in overrides:
        key = text.partition("=")[0].strip()
        if key == "seed":
            raise UserError(f"--set {text}: a demo's cohort and runs have one seed, expected --seed")
        if key == "objective":
            raise UserError(f"--set {text}: the demo trains {', '.join(methods)}, expected another key")


def is_complete(restored: Path) -> bool:
    """Whether a folder of restored images is complete."""
    path = restored / "restored.yaml"
    return path.is_file() and read_yaml(path).get("status") == "complete"


def _open_record(out: Path, settings: dict[str, Any]) -> dict[str, Any]:
    path = out / _RECORD
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file, expected a folder for the demo")
    if path.is_file():
        record = read_yaml(path)
        if record.get("settings") != settings:
            raise UserError(f"{out} holds a demo with other settings; choose another folder or remove that one")
        return record
    if folder_files(out):
        raise UserError(f"{out} exists and holds no demo; choose an empty folder")
    record = {"settings": settings, "versions": versions(), "seconds": {}, "peak_memory_mb": 0}
    write_yaml(path, record)
    return record


def _record_stage(out: Path, record: dict[str, Any], name: str, seconds: float) -> None:
    """Keep the longest time of a stage (a repeated call finds it finished) and a bound on the peak of memory.

    The system tells the peak of the largest child only: every core may have had one as large.
    """
    record["seconds"][name] = round(max(seconds, record["seconds"].get(name, 0.0)), 1)
    try:
        import resource
    except ImportError:  # Windows does not tell
        return write_yaml(out / _RECORD, record)
    unit = 1024 if sys.platform != "darwin" else 1024**2
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    record["peak_memory_mb"] = max(record["peak_memory_mb"], round((own + children * (os.cpu_count() or 1)) / unit))
    write_yaml(out / _RECORD, record)
