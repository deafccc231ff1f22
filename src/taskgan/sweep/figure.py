"""``sweep.png``: each measure over the swept keys, and what one costs in the other."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from taskgan.report.style import canvas, save
from taskgan.sweep.choose import Choice
from taskgan.sweep.names import short, text
from taskgan.sweep.results import Result
from taskgan.sweep.trade import CHOSEN, OTHER, PALE, REFERENCE, draw_trade, kind_of, write_labels

_WORDS = {"psnr": "PSNR (dB)", "judge_mae": "Judge: slice MAE", "suvr_error": "|SUVR error|"}
_DIGITS = {"psnr": 2, "judge_mae": 3, "suvr_error": 3}
_ABSENT = "–"
_MOST_ROWS = 40


def draw(results: Sequence[Result], choice: Choice, path: Path, within: float | None) -> Path:
    """Draw a sweep.

    One swept key gives curves with intervals by subject, two give heat maps, more give a row a setting; beside
    them always PSNR against the judge's error (the SUVR's where there is no judge).

    Args:
        results: The settings; those that came to no end are marked as such.
        choice: What was chosen.
        path: The PNG.
        within: dB below the best PSNR up to which the rule lets a setting be chosen; None where it has no such limit.
    """
    finished = [result for result in results if result.status == "finished"]
    known = [name for name in ("judge_mae", "suvr_error") if _known(finished, name)]
    measures = [
        "psnr",
        *(n for n in known if n == "judge_mae" or n == choice.metric or known == ["suvr_error"]),
    ]
    error = next((name for name in known if name == choice.metric), known[0] if known else None)
    keys = varying(results)
    panel: Callable[..., None] = {1: _curve, 2: _heat}.get(len(keys), _rows)
    rows = sum(result.candidate for result in results)
    height = 3.7 if panel is not _rows else max(3.7, 1.6 + 0.19 * min(rows, _MOST_ROWS))
    if panel is _heat:
        height = max(height, 1.9 + 0.36 * len(_ticks(results, keys[0])))
    widths = [_width(panel, results, keys, first=i == 0) for i in range(len(measures))] + [4.6] * bool(error)
    options = {"gridspec_kw": {"width_ratios": widths}}
    with canvas(1, len(widths), (sum(widths), height), **options) as (figure, axes):
        for place, measure in enumerate(measures):
            panel(axes[0][place], results, choice, measure, keys, first=place == 0)
        if error is not None:
            best = max(r.intervals["psnr"].estimate for r in finished if r.candidate)
            limit = None if within is None else best - within
            draw_trade(axes[0][-1], finished, choice, error, _WORDS[error], limit)
            figure.draw_without_rendering()  # labels are placed in pixels, so the layout must be settled
            write_labels(figure, axes[0][-1], finished, choice, error)
        return save(figure, path)


def varying(results: Sequence[Result]) -> list[str]:
    """The keys in which the settings differ; the first one where they differ in none."""
    own = [result for result in results if result.candidate]
    keys = list(dict.fromkeys(key for result in own for key in result.values))
    many = [key for key in keys if len({_value(result, key) for result in own}) > 1]
    return many or keys[:1]


def _known(results: Sequence[Result], name: str) -> bool:
    return all(not math.isnan(result.intervals[name].estimate) for result in results)


def _value(result: Result, key: str) -> str:
    return text(result.values[key]) if key in result.values else _ABSENT


def _ticks(results: Sequence[Result], key: str) -> list[str]:
    """Values of a key in the order of the settings, which is by size; where it says nothing comes first."""
    found = {_value(r, key): r.values.get(key) for r in results if r.candidate}
    numbers = all(
        isinstance(v, int | float) and not isinstance(v, bool) for k, v in found.items() if k != _ABSENT
    )
    order = sorted(found, key=lambda k: (k != _ABSENT, found[k] if numbers and k != _ABSENT else 0))
    return order


def _width(panel: Any, results: Sequence[Result], keys: Sequence[str], *, first: bool) -> float:
    if panel is _heat:
        return 1.5 + 0.62 * len(_ticks(results, keys[1])) if len(keys) > 1 else 3.3
    if panel is _curve:
        return max(3.2, 1.2 + 0.4 * len(_ticks(results, keys[0]))) if keys else 3.2
    longest = max(len(_row_name(result)) for result in results)
    return 2.4 + (0.062 * longest if first else 0.0)


def _curve(
    axis: Any, results: Sequence[Result], choice: Choice, measure: str, keys: Sequence[str], *, first: bool
) -> None:
    """One key: a line where its values are numbers, with the interval by subject; seeds as small dots."""
    key, ticks = keys[0], _ticks(results, keys[0])
    own = [r for r in results if r.candidate and r.status == "finished"]
    own.sort(key=lambda r: ticks.index(_value(r, key)))
    x = np.array([ticks.index(_value(r, key)) for r in own], dtype=float)
    y, low, high = (
        np.array([getattr(r.intervals[measure], end) for r in own]) for end in ("estimate", "low", "high")
    )
    numbers = all(
        isinstance(r.values.get(key), int | float) and not isinstance(r.values[key], bool) for r in own
    )
    for result in results:
        if result.reference and not result.candidate and result.status == "finished":
            value = result.intervals[measure].estimate
            axis.axhline(value, color=REFERENCE, linewidth=1, linestyle=(0, (4, 3)), label=result.label)
    if numbers:
        axis.fill_between(x, low, high, color=OTHER, alpha=0.18, linewidth=0, label="95 %, by subject")
        axis.plot(x, y, "o-", color=OTHER, markersize=5, linewidth=1.4)
    else:
        for place, bottom, top in zip(x, low, high, strict=True):
            axis.plot([place, place], [bottom, top], color=OTHER, alpha=0.5, linewidth=2)
        axis.plot(x, y, "o", color=OTHER, markersize=5)
    for place, result in zip(x, own, strict=True):
        if len(result.runs) > 1:
            seeds = [run.figures()[measure] for run in result.runs]
            axis.plot([place] * len(seeds), seeds, ".", color=PALE, markersize=4, zorder=3)
        if result.label == choice.chosen:
            value = result.intervals[measure].estimate
            axis.plot(place, value, "*", color=CHOSEN, markersize=14, markeredgecolor="white", label="chosen")
    for result in results:
        if result.candidate and result.status != "finished":
            place = ticks.index(_value(result, key))
            axis.text(
                place, 0.03, result.status, transform=axis.get_xaxis_transform(), rotation=90, ha="center",
                va="bottom", fontsize=8, color=PALE,
            )  # fmt: skip
    axis.set_xticks(range(len(ticks)), ticks, rotation=0 if max(map(len, ticks)) < 7 else 30)
    axis.set_xlim(-0.5, len(ticks) - 0.5)
    axis.set_xlabel(short(key))
    axis.set_title(_WORDS[measure])
    if first:
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, handlelength=1.4)


def _heat(
    axis: Any, results: Sequence[Result], choice: Choice, measure: str, keys: Sequence[str], *, first: bool
) -> None:
    """Two keys: a cell a setting, brighter is better, with its number."""
    down, right = _ticks(results, keys[0]), _ticks(results, keys[1])
    grid = np.full((len(down), len(right)), np.nan)
    own = [result for result in results if result.candidate]
    for result in own:
        if result.status == "finished":
            cell = down.index(_value(result, keys[0])), right.index(_value(result, keys[1]))
            grid[cell] = result.intervals[measure].estimate
    better = grid if measure == "psnr" else -grid
    low, high = np.nanmin(better), np.nanmax(better)
    share = (better - low) / (high - low) if high > low else np.where(np.isnan(better), np.nan, 1.0)
    axis.imshow(share, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for result in own:
        row, column = down.index(_value(result, keys[0])), right.index(_value(result, keys[1]))
        if result.status != "finished":
            axis.text(column, row, result.status, ha="center", va="center", fontsize=7, color=PALE)
            continue
        sign = {"chosen": "\n★", "tie with the chosen": "\n=", "not eligible": "\n×"}.get(
            kind_of(result, choice), ""
        )
        value = f"{grid[row, column]:.{_DIGITS[measure]}f}{sign}"
        ink = "black" if share[row, column] > 0.5 else "white"
        axis.text(column, row, value, ha="center", va="center", fontsize=7.5, color=ink)
        if result.label == choice.chosen:
            axis.add_patch(_frame(column, row))
    axis.set_xticks(range(len(right)), right, rotation=0 if max(map(len, right)) < 7 else 30)
    axis.set_yticks(range(len(down)), down)
    axis.set_xlabel(short(keys[1]))
    axis.set_ylabel(short(keys[0]) if first else "")
    axis.set_title(_WORDS[measure])
    axis.tick_params(length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)
    if first:
        axis.text(
            0, -0.2, "brighter is better; ★ chosen, = tie, × not eligible", transform=axis.transAxes,
            fontsize=7.5, va="top", color="#444444",
        )  # fmt: skip


def _frame(column: int, row: int) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(
        (column - 0.47, row - 0.45), 0.94, 0.9, fill=False, edgecolor=CHOSEN, linewidth=2.5, clip_on=False
    )


def _rows(
    axis: Any, results: Sequence[Result], choice: Choice, measure: str, keys: Sequence[str], *, first: bool
) -> None:
    """More keys: a row a setting with its interval, ordered by the measure that decided."""
    own = [r for r in results if r.status == "finished"]
    sign = -1 if choice.metric == "psnr" else 1
    own.sort(key=lambda r: (r.label != choice.chosen, sign * r.intervals[choice.metric].estimate))
    own = own[:_MOST_ROWS][::-1]
    for place, result in enumerate(own):
        interval, kind = result.intervals[measure], kind_of(result, choice)
        colour = {"chosen": CHOSEN, "reference": REFERENCE, "not eligible": PALE}.get(kind, OTHER)
        marker = {"chosen": "*", "reference": "D", "not eligible": "s"}.get(kind, "o")
        hollow = kind in ("not eligible", "differs from the chosen")
        axis.plot([interval.low, interval.high], [place, place], color=colour, alpha=0.5, linewidth=2)
        axis.plot(
            interval.estimate, place, marker, color=colour, markersize=11 if marker == "*" else 5,
            markerfacecolor="white" if hollow else colour,
        )  # fmt: skip
    axis.set_yticks(range(len(own)), [_row_name(r) for r in own] if first else [""] * len(own), fontsize=7.5)
    axis.set_ylim(-0.7, len(own) - 0.3)
    axis.grid(axis="y", color="#EEEEEE", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.locator_params(axis="x", nbins=4)
    axis.set_title(_WORDS[measure])
    axis.set_xlabel("better →" if measure == "psnr" else "← better")


def _row_name(result: Result) -> str:
    return "/".join(text(v) for v in result.values.values()) or result.label
