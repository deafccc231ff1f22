"""``sweep.csv``, the summary in ``sweep.yaml`` and the table that is printed."""

import csv
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from taskgan.core.files import atomic, csv_cell
from taskgan.page.cells import MISSING, number, range_text
from taskgan.stats import Interval
from taskgan.sweep.choose import MISTAKEN, SettingChoice
from taskgan.sweep.panels import marker_style, ranked
from taskgan.sweep.plan import yaml_text
from taskgan.sweep.results import MEASURES, SettingResult, TrialResult
from taskgan.train.folder import run_settings

_PRINTED = (
    ("psnr", "PSNR (dB)", 2),
    ("judge_mae", "judge MAE", 3),
    (MISTAKEN, "mistaken by judge", 4),
    ("suvr_error", "|SUVR error|", 3),
)
_MOST_ROWS = 40


def write_table(path: Path, results: Sequence[SettingResult]) -> None:
    """One row a setting and seed, keys first; a key that says nothing about a setting is empty.

    Args:
        path: ``sweep.csv``; run folders are given relative to its folder.
        results: The settings.
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
    hidden = len(lines) - _MOST_ROWS
    more = [f"and {hidden} more in the table"] if hidden > 0 else []
    return [*_aligned([heads, *lines[:_MOST_ROWS]]), *more]


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
