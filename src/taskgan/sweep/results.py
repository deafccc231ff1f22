"""What the runs of a sweep gave on validation subjects, by run and by setting."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from taskgan.cohort.restorations import RESERVED
from taskgan.evaluate.cases import read_case_table
from taskgan.evaluate.summary import finite_values
from taskgan.recipe import Recipe
from taskgan.stats import Interval, mean_interval, slope_interval, subject_means
from taskgan.sweep.choose import MISTAKEN, Candidate, read_mistaken_shares
from taskgan.sweep.folder import FAILED, RunStatus, find_runs, has_effect, read_status, read_steps, setting_digest
from taskgan.sweep.plan import SweepPlan, effective_values, setting_label
from taskgan.train.folder import run_settings

MEASURES = ("psnr", "ssim", "rmse_relative", "task_mae", "judge_mae", MISTAKEN, "suvr_error")


@dataclass(frozen=True)
class TrialResult:
    """One run folder.

    Attributes:
        folder: The run.
        recipe: As it was trained.
        run_status: How it ended.
        cases: Its rows of ``cases.csv``; None where it came to no end.
        steps: Steps made.
        best_step: Step of the model that was kept.
    """

    folder: Path
    recipe: Recipe
    run_status: RunStatus
    cases: pd.DataFrame | None = field(repr=False)
    steps: int | None
    best_step: int | None

    def metric_means(self) -> dict[str, float]:
        """Mean over subjects of every measure, and ``suvr_slope``; NaN where unknown."""
        if self.cases is None:
            return dict.fromkeys((*MEASURES, "suvr_slope"), float("nan"))
        means = {name: series.mean() for name, series in subject_values([self.cases]).items()}
        return {**means, "suvr_slope": suvr_slope([self.cases]).estimate}


@dataclass(frozen=True)
class SettingResult:
    """One setting: its runs, which differ in the seed alone.

    Attributes:
        values: The swept keys that say something about it.
        runs: By seed.
        metric_means: By measure one value a subject: cases within a seed, then seeds averaged.
        intervals: Mean over subjects of every measure with its interval, and ``suvr_slope``.
        reference: The setting of ``--against``.
        candidate: Whether it may be chosen: the reference only if the grid holds it too.
    """

    values: dict[str, Any]
    runs: tuple[TrialResult, ...]
    subject_values: dict[str, "pd.Series[float]"] = field(repr=False)
    intervals: dict[str, Interval] = field(repr=False)
    reference: bool = False
    candidate: bool = True

    @property
    def label(self) -> str:
        """Its values in one line."""
        return setting_label(self.values)

    @property
    def status(self) -> str:
        """``finished`` if all its runs are, else what the worst one is."""
        statuses = {run.run_status.status for run in self.runs}
        return next(status for status in (*FAILED, "unfinished", "finished") if status in statuses)

    @property
    def failures(self) -> tuple[TrialResult, ...]:
        """Its runs that failed."""
        return tuple(run for run in self.runs if run.run_status.failed)

    def as_candidate(self) -> Candidate:
        """For the choice."""
        return Candidate(self.label, self.subject_values, self.status == "finished", not self.candidate)


def collect_results(out: Path, base: Recipe, plan: SweepPlan, keys: Sequence[str]) -> list[SettingResult]:
    """Every setting that was ever begun in a sweep folder, in the order of its values.

    Args:
        out: The sweep folder.
        base: The recipe that the grid changes, with what it left to the data.
        plan: The plan of this call: it says which setting is the reference, and whether it is one of the grid
            too.
        keys: Swept keys of this call; those that earlier calls swept are found by themselves.
    """
    loaded = [_read(folder, recipe) for folder, recipe in find_runs(out).values()]
    groups: dict[str, list[TrialResult]] = {}
    for run in loaded:
        groups.setdefault(setting_digest(run.recipe), []).append(run)
    reference = setting_digest(plan.reference) if plan.reference is not None else ""
    grid = {setting_digest(trial.recipe) for trial in plan.trials if not trial.reference}
    apart = {reference} - grid
    varied = swept_keys(base, [run.recipe for run in loaded if setting_digest(run.recipe) not in apart], keys)
    results = []
    for name, members in groups.items():
        members.sort(key=lambda run: run.recipe.seed)
        own = list(plan.against) if name in apart else varied
        values = effective_values(members[0].recipe, own)
        results.append(_result(values, members, name == reference, name not in apart))
    return sorted(results, key=lambda result: (not result.candidate, _order(result, varied)))


def swept_keys(base: Recipe, recipes: Sequence[Recipe], keys: Sequence[str]) -> list[str]:
    """The keys of this call, then those in which runs of earlier calls differ from the base."""
    flat = run_settings(base)
    moved = {
        key
        for recipe in recipes
        for key, value in run_settings(recipe).items()
        if key != "seed" and value != flat.get(key) and has_effect(recipe, key)
    }
    return [*keys, *(key for key in flat if key in moved and key not in keys)]


def subject_values(frames: Sequence[pd.DataFrame]) -> dict[str, "pd.Series[float]"]:
    """By measure one value a subject: the mean over its cases, then over the frames (seeds) that have it."""
    values = {}
    for name in MEASURES:
        seeds = []
        for frame in frames:
            column = np.abs(finite_values(frame["suvr_bias"])) if name == "suvr_error" else finite_values(frame[name])
            means, who = subject_means(column, list(frame["subject"]))
            seeds.append(pd.Series(means, index=[str(one) for one in who], dtype=float))
        values[name] = pd.concat(seeds).groupby(level=0, sort=False).mean()
    return values


def suvr_slope(frames: Sequence[pd.DataFrame]) -> Interval:
    """Of restored on clean SUVR, over all seeds, subjects drawn as a whole."""
    rows = pd.concat(list(frames))
    return slope_interval(rows["suvr_reference"], rows["suvr_restored"], list(rows["subject"]))


def _read(folder: Path, recipe: Recipe) -> TrialResult:
    outcome = read_status(folder)
    cases = None
    if outcome.status == "finished":
        frame = read_case_table(folder / "evaluation")
        cases = frame[~frame["method"].isin(RESERVED)].copy()
        cases[MISTAKEN] = cases["subject"].map(read_mistaken_shares(folder / "evaluation")).astype(float)
    return TrialResult(folder, recipe, outcome, cases, *read_steps(folder))


def _result(values: dict[str, Any], members: Sequence[TrialResult], reference: bool, candidate: bool) -> SettingResult:
    frames = [run.cases for run in members if run.cases is not None]
    if not frames:
        return SettingResult(values, tuple(members), {}, {}, reference, candidate)
    figures = subject_values(frames)
    intervals = {k: mean_interval(v.to_numpy(), list(v.index)) for k, v in figures.items()}
    return SettingResult(
        values, tuple(members), figures, {**intervals, "suvr_slope": suvr_slope(frames)}, reference, candidate
    )


def _order(result: SettingResult, keys: Sequence[str]) -> tuple[Any, ...]:
    """Numbers by size, then text; what does not apply comes first."""
    ranks: list[tuple[int, float, str]] = []
    for key in keys:
        value = result.values.get(key)
        if key not in result.values:
            ranks.append((0, 0.0, ""))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            ranks.append((1, float(value), ""))
        else:
            ranks.append((2, 0.0, str(value)))
    return tuple(ranks)
