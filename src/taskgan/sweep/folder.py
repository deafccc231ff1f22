"""The sweep folder: ``sweep.yaml``, the table, the figure, and ``runs/`` with one run folder a setting and seed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskgan.core.errors import UserError
from taskgan.core.files import check_writable, folder_files, read_yaml, value_digest, versions, write_yaml
from taskgan.recipe import Recipe, dump_recipe, parse_recipe
from taskgan.train.folder import RECIPE, RECORD, run_settings, setting_differences

_ADVERSARY = (
    "discriminator.",
    "loss.discriminator",
    "loss.label_smoothing",
    "optimiser.lr_discriminator",
    "monitor.discriminator_",
)
_TASK = (
    "loss.mu_task",
    *(f"task.{name}" for name in ("training", "loss", "features", "pretrain.", "weight", "false_positive", "name")),
    "optimiser.lr_task",
)


def effective_settings(recipe: Recipe) -> dict[str, Any]:
    """The settings that reach the result of a training run, by dotted key.

    Left out are those of a part that the objective does without (λ, D and its losses where there is no
    adversary; μ and all of T where nothing is asked of T; the cycle where there is none), and those that
    another setting switches off (``label_smoothing`` is for ``bce``, ``decay`` for a schedule that falls). The
    objective is the one that is left: ``task_gan`` with μ = 0 is ``gan``, ``gan`` with λ = 0 is ``l1``.

    Readers of the results are the base recipe's for all settings, so T and the judge do not count here beyond
    what they teach.
    """
    adversary, task = recipe.lambda_gan > 0, bool(recipe.taught_by)
    if not task:  # then only the first is left, whose classes may be balanced
        recipe = recipe.model_copy(update={"task": recipe.task.model_copy(update={"others": ()})})
    without: tuple[str, ...] = ("judge.", "task.judge")
    if not recipe.unpaired:
        without += ("cycle.",)
    if not adversary:
        without += _ADVERSARY
    if not adversary or recipe.unpaired:
        without += ("loss.lambda_gan", "loss.feature_layers")
    if not task:
        without += _TASK
    elif all(one.training == "frozen" for one in recipe.taught_by.values()):
        without += ("optimiser.lr_task",)
    if recipe.loss.discriminator != "bce":
        without += ("loss.label_smoothing",)
    if recipe.optimiser.schedule == "constant":
        without += ("optimiser.decay",)
    settings = {
        key: value
        for key, value in run_settings(recipe).items()
        if not re.sub(r"^task\.\d+\.", "task.", key).startswith(without)
    }
    if not recipe.unpaired:
        settings["objective"] = "task_gan" if task else "gan" if adversary else "l1"
    if "loss.feature_layers" in settings:
        layers = recipe.loss.feature_layers
        picked = range(1, len(recipe.discriminator.widths)) if layers is None else layers
        settings["loss.feature_layers"] = sorted(set(picked))
    if settings.get("optimiser.lr_discriminator", 0.0) is None:
        settings["optimiser.lr_discriminator"] = recipe.optimiser.lr
    return settings


def run_digest(recipe: Recipe) -> str:
    """A name that two recipes share exactly if they are the same run."""
    return value_digest(effective_settings(recipe), 16)


def setting_digest(recipe: Recipe) -> str:
    """A name that two recipes share exactly if they differ in the seed alone."""
    return value_digest({key: value for key, value in effective_settings(recipe).items() if key != "seed"}, 16)


def has_effect(recipe: Recipe, key: str) -> bool:
    """Whether a key says something about this recipe, if only that a weight is zero.

    λ of ``l1`` says nothing and is not shown; μ = 0 of ``task_gan`` does, though the run is that of ``gan``.
    """
    loss = recipe.loss
    awake = loss.model_copy(update={"lambda_gan": loss.lambda_gan or 1.0, "mu_task": loss.mu_task or 1.0})
    return key in effective_settings(recipe.model_copy(update={"loss": awake}))


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
    """Make the folder, or see that it holds a sweep of the same recipe and cohort; gives ``sweep.yaml``.

    The source is what the recipe is called; the cohort has ``name``, ``fingerprint`` (training and validation rows) and
    ``subjects``.

    Raises:
        UserError: If it holds something else, or a sweep of another recipe or cohort: it says what changed.
    """
    check_writable(out, "the sweep")
    if not (out / SWEEP).is_file():
        if foreign := [entry.name for entry in folder_files(out)]:
            raise UserError(f"{out} exists and is no sweep (it holds {', '.join(foreign[:3])}); choose another folder")
        write_yaml(
            out / SWEEP,
            {"status": "running", "recipe": source, "base": dump_recipe(base), "cohort": dict(cohort)}
            | {"versions": versions()},
        )
    # Read back also what was just written: another part of the same sweep may have written it first.
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
    """The run folders of a sweep by what decides them (:func:`~taskgan.sweep.folder.run_digest`).

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
