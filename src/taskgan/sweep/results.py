"""What the runs of a sweep gave on validation subjects, by run and by setting, and the tables of it."""

import csv
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from taskgan.cohort.restorations import RESERVED
from taskgan.core.files import atomic, csv_cell
from taskgan.evaluate.cases import finite_values, read_case_table
from taskgan.page.cells import MISSING, number, range_text
from taskgan.recipe import Recipe
from taskgan.stats import Interval, mean_interval, slope_interval, subject_means
from taskgan.sweep.choose import MISTAKEN, Candidate, SettingChoice, read_mistaken_shares
from taskgan.sweep.folder import FAILED, RunStatus, find_runs, has_effect, read_status, read_steps, setting_digest
from taskgan.sweep.plan import SweepPlan, effective_values, setting_label, yaml_text
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

    The base is the recipe that the grid changes, with what it left to the data; the plan of this call says which
    setting is the reference, and whether it is one of the grid too; keys that earlier calls swept are found.
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


CHOSEN, OTHER, PALE, REFERENCE = "#C44601", "#0072B2", "#767676", "#000000"
MOST_ROWS = 40  # of settings that are shown


@dataclass(frozen=True)
class MarkerStyle:
    """How one kind of setting looks.

    Attributes:
        name: In legends.
        sign: In the printed table.
        marker: Of matplotlib, with its ``face`` and ``edge`` colour and ``size`` in points.
    """

    name: str
    sign: str
    marker: str
    face: str
    edge: str
    size: float


MARKER_STYLES = (
    MarkerStyle("chosen", "*", "*", CHOSEN, "white", 15),
    MarkerStyle("tie with the chosen", "=", "o", OTHER, OTHER, 6),
    MarkerStyle("differs from the chosen", " ", "o", "white", OTHER, 6),
    MarkerStyle("not eligible", "-", "s", "white", PALE, 5),
    MarkerStyle("reference", "r", "D", REFERENCE, REFERENCE, 5.5),
)


def marker_style(result: SettingResult, choice: SettingChoice) -> MarkerStyle:
    """What a finished setting is to the choice. A tie that is not eligible is not eligible."""
    chosen, tie, differs, barred, reference = MARKER_STYLES
    if result.label == choice.chosen:
        return chosen
    if not result.candidate:
        return reference
    if result.label not in choice.eligible:
        return barred
    return tie if result.label in choice.ties else differs


def ranked(results: Sequence[SettingResult], choice: SettingChoice) -> list[SettingResult]:
    """The chosen setting first, then the eligible by the measure that decided, the others, the reference, and what
    came to no end.
    """
    order = {"chosen": 0, "not eligible": 2, "reference": 3}

    def rank(result: SettingResult) -> tuple[int, float]:
        """Group of a setting, and its place within it: the best first."""
        if result.status != "finished":
            return 4, 0.0
        value = result.intervals[choice.metric].estimate
        value = -value if choice.metric == "psnr" else value
        return order.get(marker_style(result, choice).name, 1), math.inf if math.isnan(value) else value

    return sorted(results, key=rank)


_PRINTED = (
    ("psnr", "PSNR (dB)", 2),
    ("judge_mae", "judge MAE", 3),
    (MISTAKEN, "mistaken by judge", 4),
    ("suvr_error", "|SUVR error|", 3),
)


def write_table(path: Path, results: Sequence[SettingResult]) -> None:
    """One row a setting and seed, keys first, run folders as seen from the table.

    A key that says nothing about a setting is empty.
    """
    keys = list(dict.fromkeys(key for result in results for key in result.values))
    measures = (*MEASURES, "suvr_slope")
    header = ["setting", *keys, "seed", "reference", "subjects", *measures]
    header += ["steps", "best_step", "seconds", "status", "run", "message"]
    with atomic(path) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(header)
        for result in results:
            for run in result.runs:
                flat, figures = run_settings(run.recipe), run.metric_means()
                subjects = "" if run.cases is None else run.cases["subject"].nunique()
                writer.writerow(
                    [
                        csv_cell(result.label),
                        *(yaml_text(flat[key]) if key in result.values else "" for key in keys),
                        run.recipe.seed,
                        int(result.reference),
                        subjects,
                        *(_plain(figures[name]) for name in measures),
                        *("" if n is None else n for n in (run.steps, run.best_step, run.run_status.seconds)),
                        run.run_status.status,
                        Path(os.path.relpath(run.folder, path.parent)).as_posix(),
                        csv_cell(run.run_status.message),
                    ]
                )


def settings_summary(results: Sequence[SettingResult], choice: SettingChoice) -> list[dict[str, Any]]:
    """Every setting with its intervals, for ``sweep.yaml``."""
    rows = []
    for result in results:
        one: dict[str, Any] = {"setting": result.label, "values": result.values, "status": result.status}
        one["seeds"] = [run.recipe.seed for run in result.runs]
        one |= {"reference": True} if result.reference else {}
        one |= {"failed": [failure_text(run) for run in result.failures]} if result.failures else {}
        one |= {name: _interval(value) for name, value in result.intervals.items()}
        if result.status == "finished":
            one["to_chosen"] = {
                choice.metric: _interval(choice.differences[result.label]),
                "psnr": _interval(choice.psnr_differences[result.label]),
            }
            one["eligible"] = result.label in choice.eligible
            one["tie"] = result.label in choice.ties
            one["chosen_share"] = round(choice.selection_rates.get(result.label, 0.0), 3)
        rows.append(one)
    return rows


def printed_table(results: Sequence[SettingResult], choice: SettingChoice) -> list[str]:
    """The table as lines: the chosen setting first, then by the measure that decided, then what failed."""
    columns = [m for m in _PRINTED if any(not math.isnan(_estimate(r, m[0])) for r in results)]
    gaps = [("psnr", "PSNR − chosen", 2, choice.psnr_differences)]
    if choice.metric != "psnr":
        _, head, digits = next(m for m in _PRINTED if m[0] == choice.metric)
        gaps.insert(0, (choice.metric, f"{head} − chosen", digits, choice.differences))
    heads = ["", "setting", "seeds", *(head for _, head, _ in columns), *(head for _, head, _, _ in gaps), "redrawn"]
    lines = []
    for result in ranked(results, choice):
        row = [result.label, str(len(result.runs))]
        if result.status != "finished":
            lines.append([" ", *row, "; ".join(map(failure_text, result.failures)) or result.status])
            continue
        row += [_with_span(result.intervals[name], digits) for name, _, digits in columns]
        for _, _, digits, differences in gaps:
            own = result.label == choice.chosen
            row.append(MISSING if own else _with_span(differences[result.label], digits, sign=True))
        row.append(
            f"{100 * choice.selection_rates[result.label]:.0f} %" if result.label in choice.selection_rates else ""
        )
        lines.append([marker_style(result, choice).sign, *row])
    hidden = len(lines) - MOST_ROWS
    more = [f"and {hidden} more in the table"] if hidden > 0 else []
    return [*_aligned([heads, *lines[:MOST_ROWS]]), *more]


def failure_text(run: TrialResult) -> str:
    """How a run failed, with the seed that it had."""
    return f"failed with seed {run.recipe.seed}: {run.run_status.message or run.run_status.status}"


def legend(results: Sequence[SettingResult], choice: SettingChoice) -> str:
    """What the signs of the printed table mean, as far as they are there."""
    signs = {marker_style(result, choice).sign for result in results if result.status == "finished"}
    meanings = {
        "*": "chosen",
        "=": "no difference to the chosen one shown (the interval holds 0)",
        "-": "not eligible by the rule",
        "r": "reference, not a choice",
    }
    parts = [f"{sign} {meaning}" for sign, meaning in meanings.items() if sign in signs]
    parts.append("redrawn: how often the rule would choose it if the subjects were drawn anew")
    return "; ".join(parts)


def _estimate(result: SettingResult, name: str) -> float:
    return result.intervals[name].estimate if name in result.intervals else math.nan


def _with_span(interval: Interval, digits: int, *, sign: bool = False) -> str:
    return f"{number(interval.estimate, digits, sign=sign)} {range_text(interval, digits, sign=sign)}".rstrip()


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    # A row with fewer cells ends in a sentence, which is no column.
    full = len(rows[0])
    widths = [max(len(row[i]) for row in rows if i < len(row) - (len(row) < full)) for i in range(full)]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=False)).rstrip() for row in rows]


def _plain(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.7g}"


def _interval(interval: Interval) -> dict[str, float | None]:
    ends = {"estimate": interval.estimate, "low": interval.low, "high": interval.high}
    return {key: None if math.isnan(value) else float(f"{value:.7g}") for key, value in ends.items()}
