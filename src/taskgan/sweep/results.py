"""What the runs of a sweep gave on validation subjects, by run and by setting."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from taskgan.evaluate.cases import read_cases
from taskgan.evaluate.restorations import RESERVED
from taskgan.evaluate.statistics import Interval, mean_interval, slope_interval, subject_means
from taskgan.evaluate.summary import finite
from taskgan.recipe import Recipe
from taskgan.sweep.choose import Candidate
from taskgan.sweep.effective import group, in_play
from taskgan.sweep.folder import FAILED, Outcome, outcome_of, runs, steps_of
from taskgan.sweep.names import label
from taskgan.sweep.people import MISTAKEN, read_mistaken
from taskgan.sweep.plan import Plan, shown_values
from taskgan.train.folder import settings_of

MEASURES = ("psnr", "ssim", "rmse_relative", "task_mae", "judge_mae", MISTAKEN, "suvr_error")


@dataclass(frozen=True)
class Run:
    """One run folder.

    Attributes:
        folder: The run.
        recipe: As it was trained.
        outcome: How it ended.
        cases: Its rows of ``cases.csv``; None where it came to no end.
        steps: Steps made.
        best_step: Step of the model that was kept.
    """

    folder: Path
    recipe: Recipe
    outcome: Outcome
    cases: pd.DataFrame | None = field(repr=False)
    steps: int | None
    best_step: int | None

    def figures(self) -> dict[str, float]:
        """Mean over subjects of every measure, and ``suvr_slope``; NaN where unknown."""
        if self.cases is None:
            return dict.fromkeys((*MEASURES, "suvr_slope"), float("nan"))
        found = {name: series.mean() for name, series in by_subject([self.cases]).items()}
        return {**found, "suvr_slope": slope([self.cases]).estimate}


@dataclass(frozen=True)
class Result:
    """One setting: its runs, which differ in the seed alone.

    Attributes:
        values: The swept keys that say something about it.
        runs: By seed.
        figures: By measure one value a subject: cases within a seed, then seeds averaged.
        intervals: Mean over subjects of every measure with its interval, and ``suvr_slope``.
        reference: The setting of ``--against``.
        candidate: Whether it may be chosen: the reference only if the grid holds it too.
    """

    values: dict[str, Any]
    runs: tuple[Run, ...]
    figures: dict[str, "pd.Series[float]"] = field(repr=False)
    intervals: dict[str, Interval] = field(repr=False)
    reference: bool = False
    candidate: bool = True

    @property
    def label(self) -> str:
        """Its values in one line."""
        return label(self.values)

    @property
    def status(self) -> str:
        """``finished`` if all its runs are, else what the worst one is."""
        found = {run.outcome.status for run in self.runs}
        return next(status for status in (*FAILED, "unfinished", "finished") if status in found)

    @property
    def failures(self) -> tuple[Run, ...]:
        """Its runs that failed."""
        return tuple(run for run in self.runs if run.outcome.failed)

    def as_candidate(self) -> Candidate:
        """For the choice."""
        return Candidate(self.label, self.figures, self.status == "finished", not self.candidate)


def collect(out: Path, base: Recipe, asked: Plan, keys: Sequence[str]) -> list[Result]:
    """Every setting that was ever begun in a sweep folder, in the order of its values.

    Args:
        out: The sweep folder.
        base: The recipe that the grid changes, with what it left to the data.
        asked: The plan of this call: it says which setting is the reference, and whether it is one of the grid
            too.
        keys: Swept keys of this call; those that earlier calls swept are found by themselves.
    """
    found = [_read(folder, recipe) for folder, recipe in runs(out).values()]
    groups: dict[str, list[Run]] = {}
    for run in found:
        groups.setdefault(group(run.recipe), []).append(run)
    reference = group(asked.reference) if asked.reference is not None else ""
    grid = {group(trial.recipe) for trial in asked.trials if not trial.reference}
    apart = {reference} - grid
    shown = swept_keys(base, [run.recipe for run in found if group(run.recipe) not in apart], keys)
    results = []
    for name, members in groups.items():
        members.sort(key=lambda run: run.recipe.seed)
        own = list(asked.against) if name in apart else shown
        values = shown_values(members[0].recipe, own)
        results.append(_result(values, members, name == reference, name not in apart))
    return sorted(results, key=lambda result: (not result.candidate, _order(result, shown)))


def swept_keys(base: Recipe, recipes: Sequence[Recipe], keys: Sequence[str]) -> list[str]:
    """The keys of this call, then those in which runs of earlier calls differ from the base."""
    flat = settings_of(base)
    moved = {
        key
        for recipe in recipes
        for key, value in settings_of(recipe).items()
        if key != "seed" and value != flat.get(key) and in_play(recipe, key)
    }
    return [*keys, *(key for key in flat if key in moved and key not in keys)]


def by_subject(frames: Sequence[pd.DataFrame]) -> dict[str, "pd.Series[float]"]:
    """By measure one value a subject: the mean over its cases, then over the frames (seeds) that have it."""
    found = {}
    for name in MEASURES:
        seeds = []
        for frame in frames:
            column = np.abs(finite(frame["suvr_bias"])) if name == "suvr_error" else finite(frame[name])
            means, who = subject_means(column, list(frame["subject"]))
            seeds.append(pd.Series(means, index=[str(one) for one in who], dtype=float))
        found[name] = pd.concat(seeds).groupby(level=0, sort=False).mean()
    return found


def slope(frames: Sequence[pd.DataFrame]) -> Interval:
    """Of restored on clean SUVR, over all seeds, subjects drawn as a whole."""
    rows = pd.concat(list(frames))
    return slope_interval(rows["suvr_reference"], rows["suvr_restored"], list(rows["subject"]))


def _read(folder: Path, recipe: Recipe) -> Run:
    outcome = outcome_of(folder)
    cases = None
    if outcome.status == "finished":
        frame = read_cases(folder / "evaluation")
        cases = frame[~frame["method"].isin(RESERVED)].copy()
        cases[MISTAKEN] = cases["subject"].map(read_mistaken(folder / "evaluation")).astype(float)
    return Run(folder, recipe, outcome, cases, *steps_of(folder))


def _result(values: dict[str, Any], members: Sequence[Run], reference: bool, candidate: bool) -> Result:
    frames = [run.cases for run in members if run.cases is not None]
    if not frames:
        return Result(values, tuple(members), {}, {}, reference, candidate)
    figures = by_subject(frames)
    intervals = {k: mean_interval(v.to_numpy(), list(v.index)) for k, v in figures.items()}
    return Result(
        values, tuple(members), figures, {**intervals, "suvr_slope": slope(frames)}, reference, candidate
    )


def _order(result: Result, keys: Sequence[str]) -> tuple[Any, ...]:
    """Numbers by size, then text; what does not apply comes first."""
    found: list[tuple[int, float, str]] = []
    for key in keys:
        value = result.values.get(key)
        if key not in result.values:
            found.append((0, 0.0, ""))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append((1, float(value), ""))
        else:
            found.append((2, 0.0, str(value)))
    return tuple(found)
