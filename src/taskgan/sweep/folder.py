"""The sweep folder: ``sweep.yaml``, the table, the figure, and ``runs/`` with one run folder a setting and seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskgan.core.errors import UserError
from taskgan.core.files import check_writable, folder_files, read_yaml, versions, write_yaml
from taskgan.recipe import Recipe, dump_recipe, parse_recipe
from taskgan.sweep.effective import run_digest
from taskgan.train.folder import RECIPE, RECORD, setting_differences

SWEEP = "sweep.yaml"
TABLE = "sweep.csv"
FIGURE = "sweep.png"
STATUS_FILE = "outcome.yaml"
FAILED = ("diverged", "out of memory")


@dataclass(frozen=True)
class RunStatus:
    """How a run of a sweep ended.

    Attributes:
        status: ``finished``, one of :data:`FAILED`, or ``unfinished`` where it was interrupted or is being made.
        seconds: Of training, where it was made in one piece; None where it was not.
        message: Of a failed run.
    """

    status: str
    seconds: float | None = None
    message: str = ""

    @property
    def failed(self) -> bool:
        """Whether it came to an end that was none."""
        return self.status in FAILED


def open_sweep(out: Path, base: Recipe, source: str, cohort: Mapping[str, Any]) -> dict[str, Any]:
    """Make the folder, or see that it holds a sweep of the same recipe and cohort.

    Args:
        out: The folder.
        base: The recipe that the grid changes.
        source: What the recipe is called.
        cohort: ``name``, ``fingerprint`` (training and validation rows) and ``subjects``.

    Returns:
        ``sweep.yaml``.

    Raises:
        UserError: If it holds something else, or a sweep of another recipe or cohort: it says what changed.
    """
    check_writable(out, "the sweep")
    if not (out / SWEEP).is_file():
        foreign = [entry.name for entry in folder_files(out) if not entry.name.startswith(".share-")]
        if foreign:
            raise UserError(
                f"{out} exists and is no sweep (it holds {', '.join(foreign[:3])}); choose another folder"
            )
        write_yaml(
            out / SWEEP,
            {"status": "running", "recipe": source, "base": dump_recipe(base), "cohort": dict(cohort)}
            | {"versions": versions()},
        )
    # Read back also what was just written: another share of the same sweep may have written it first.
    record = read_yaml(out / SWEEP)
    _same_base(out, record, base)
    if record.get("cohort", {}).get("fingerprint") != cohort["fingerprint"]:
        raise UserError(
            f"the cohort has changed since the sweep {out} was started (rows, labels or images of training or "
            "validation); use another folder"
        )
    return record


def _same_base(out: Path, record: Mapping[str, Any], base: Recipe) -> None:
    values = record.get("base")
    if not isinstance(values, dict):
        raise UserError(f"{out / SWEEP} names no base recipe; it was not written by taskgan sweep")
    before = parse_recipe(values, str(out / SWEEP))
    # Every run has a seed of its own, so the recipe's counts for nothing.
    changes = setting_differences(before.model_copy(update={"seed": base.seed}), base)
    if changes:
        raise UserError(
            f"{out} holds a sweep of another recipe: {', '.join(changes)}; use another folder, or sweep the key "
            "with --grid"
        )


def find_runs(out: Path) -> dict[str, tuple[Path, Recipe]]:
    """The run folders of a sweep by what decides them (:func:`~taskgan.sweep.effective.run_digest`).

    Raises:
        UserError: If a recipe there cannot be read: the message names it.
    """
    by_digest: dict[str, tuple[Path, Recipe]] = {}
    for path in sorted((out / "runs").glob(f"*/{RECIPE}")):
        recipe = parse_recipe(read_yaml(path), str(path))
        by_digest.setdefault(run_digest(recipe), (path.parent, recipe))
    return by_digest


def read_status(folder: Path) -> RunStatus:
    """How the run in a folder ended."""
    path = folder / STATUS_FILE
    if not path.is_file():
        return RunStatus("unfinished")
    record = read_yaml(path)
    seconds = record.get("seconds")
    known = float(seconds) if isinstance(seconds, int | float) else None
    return RunStatus(str(record.get("status", "unfinished")), known, str(record.get("message", "")))


def write_status(folder: Path, run_status: RunStatus) -> None:
    """Say how a run ended; it is made again only where that is asked for."""
    seconds = None if run_status.seconds is None else round(run_status.seconds, 2)
    record: dict[str, Any] = {"status": run_status.status, "seconds": seconds}
    write_yaml(folder / STATUS_FILE, record | ({"message": run_status.message} if run_status.message else {}))


def clear_status(folder: Path) -> None:
    """Take a run that failed for an unfinished one."""
    (folder / STATUS_FILE).unlink(missing_ok=True)


def read_steps(folder: Path) -> tuple[int | None, int | None]:
    """Steps that a run made and the step of its best look; None where it did not come to an end."""
    record = read_yaml(folder / RECORD) if (folder / RECORD).is_file() else {}
    result = record.get("result", {})
    return result.get("done"), result.get("best_step")
