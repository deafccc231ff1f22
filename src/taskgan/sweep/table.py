"""``sweep.csv``, the summary in ``sweep.yaml`` and the table that is printed."""

import csv
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from taskgan.evaluate.statistics import Interval
from taskgan.files import atomic
from taskgan.report.cells import MISSING, number, span
from taskgan.sweep.choose import Choice
from taskgan.sweep.names import text
from taskgan.sweep.results import MEASURES, Result
from taskgan.train.folder import settings_of

_PRINTED = (("psnr", "PSNR (dB)", 2), ("judge_mae", "judge MAE", 3), ("suvr_error", "|SUVR error|", 3))
_MOST_ROWS = 40


def write_table(path: Path, results: Sequence[Result]) -> None:
    """One row a setting and seed, keys first; a key that says nothing about a setting is empty.

    Args:
        path: ``sweep.csv``; run folders are given relative to its folder.
        results: The settings.
    """
    keys = list(dict.fromkeys(key for result in results for key in result.values))
    measures = (*MEASURES, "suvr_slope")
    header = ["setting", *keys, "seed", "reference", "subjects", *measures]
    header += ["steps", "best_step", "seconds", "status", "run"]
    with atomic(path) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(header)
        for result in results:
            for run in result.runs:
                flat, figures = settings_of(run.recipe), run.figures()
                subjects = "" if run.cases is None else run.cases["subject"].nunique()
                writer.writerow(
                    [
                        result.label,
                        *(text(flat[key]) if key in result.values else "" for key in keys),
                        run.recipe.seed,
                        int(result.reference),
                        subjects,
                        *(_plain(figures[name]) for name in measures),
                        *("" if n is None else n for n in (run.steps, run.best_step, run.outcome.seconds)),
                        run.outcome.status,
                        Path(os.path.relpath(run.folder, path.parent)).as_posix(),
                    ]
                )


def summary(results: Sequence[Result], choice: Choice | None) -> list[dict[str, Any]]:
    """Every setting with its intervals, for ``sweep.yaml``."""
    found = []
    for result in results:
        one: dict[str, Any] = {"setting": result.label, "values": result.values, "status": result.status}
        one["seeds"] = [run.recipe.seed for run in result.runs]
        one |= {"reference": True} if result.reference else {}
        one |= {name: _interval(value) for name, value in result.intervals.items()}
        if choice is not None and result.label in choice.differences:
            one["to_chosen"] = {
                choice.metric: _interval(choice.differences[result.label]),
                "psnr": _interval(choice.psnr[result.label]),
            }
            one["eligible"] = result.label in choice.eligible
            one["tie"] = result.label in choice.ties
            one["chosen_share"] = round(choice.shares.get(result.label, 0.0), 3)
        found.append(one)
    return found


def printed(results: Sequence[Result], choice: Choice | None) -> list[str]:
    """The table as lines: the chosen setting first, then by the measure that decided, then what failed."""
    shown = [m for m in _PRINTED if any(not math.isnan(_estimate(r, m[0])) for r in results)]
    metric = choice.metric if choice is not None else "psnr"
    digits = next((d for name, _, d in _PRINTED if name == metric), 3)
    heads = ["", "setting", "seeds", *(head for _, head, _ in shown)]
    heads += [f"{_name(metric)} − chosen", "chosen in"] if choice is not None else []
    rows = []
    for result in sorted(results, key=lambda r: _rank(r, choice, metric)):
        row = [_sign(result, choice), result.label, str(len(result.runs))]
        if result.status != "finished":
            row += [result.status, *[""] * (len(heads) - 4)]
            rows.append(row)
            continue
        row += [_with_span(result.intervals[name], d) for name, _, d in shown]
        if choice is not None:
            own = result.label == choice.chosen
            gap = choice.differences[result.label]
            row.append(MISSING if own else _with_span(gap, digits, sign=True))
            row.append(f"{100 * choice.shares[result.label]:.0f} %" if result.label in choice.shares else "")
        rows.append(row)
    hidden = len(rows) - _MOST_ROWS
    lines = _aligned([heads, *rows[:_MOST_ROWS]])
    return [*lines, *([f"and {hidden} more in the table"] if hidden > 0 else [])]


def legend(choice: Choice, results: Sequence[Result]) -> str:
    """What the signs of the printed table mean, as far as they are there."""
    signs = {_sign(result, choice) for result in results}
    words = {
        "*": "chosen",
        "=": "no difference to the chosen one shown (its interval holds 0)",
        "-": "not eligible by the rule",
        "r": "reference, not a choice",
    }
    return "; ".join(f"{sign} {meaning}" for sign, meaning in words.items() if sign in signs)


def _sign(result: Result, choice: Choice | None) -> str:
    if choice is None:
        return " "
    if result.label == choice.chosen:
        return "*"
    if not result.candidate:
        return "r"
    if result.label not in choice.eligible:
        return "-"
    return "=" if result.label in choice.ties else " "


def _rank(result: Result, choice: Choice | None, metric: str) -> tuple[int, float]:
    if result.status != "finished":
        return 4, 0.0
    value = _estimate(result, metric)
    order = -value if metric == "psnr" else value
    place = {"*": 0, "=": 1, " ": 1, "-": 2, "r": 3}[_sign(result, choice)]
    return place, math.inf if math.isnan(order) else order


def _estimate(result: Result, name: str) -> float:
    return result.intervals[name].estimate if name in result.intervals else math.nan


def _name(metric: str) -> str:
    return next((head for name, head, _ in _PRINTED if name == metric), metric)


def _with_span(interval: Interval, digits: int, *, sign: bool = False) -> str:
    return f"{number(interval.estimate, digits, sign=sign)} {span(interval, digits, sign=sign)}".rstrip()


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def _plain(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.7g}"


def _interval(interval: Interval) -> dict[str, float | None]:
    ends = {"estimate": interval.estimate, "low": interval.low, "high": interval.high}
    return {key: None if math.isnan(value) else float(f"{value:.7g}") for key, value in ends.items()}
