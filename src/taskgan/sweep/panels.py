"""One measure of a sweep over its keys: a curve for one key, a heat map for two, a row a setting for more."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.page.style import axes_figure, save_figure
from taskgan.sweep.choose import MISTAKEN, SettingChoice
from taskgan.sweep.plan import short_key, yaml_text
from taskgan.sweep.results import (
    CHOSEN,
    MOST_ROWS,
    OTHER,
    PALE,
    REFERENCE,
    MarkerStyle,
    SettingResult,
    marker_style,
    ranked,
)

MEASURE_TITLES = {
    "psnr": "PSNR (dB)",
    "judge_mae": "Judge: error",
    MISTAKEN: "Mistaken by the judge",
    "suvr_error": "|SUVR error|",
}
ABSENT = "–"
_DIGITS = {"psnr": 2, "judge_mae": 3, MISTAKEN: 4, "suvr_error": 3}


def value_text(result: SettingResult, key: str) -> str:
    """A setting's value of a key as shown; a dash where the key says nothing about it."""
    return yaml_text(result.values[key]) if key in result.values else ABSENT


def values_text(result: SettingResult) -> str:
    """All values of a setting, which is what it is called in figures."""
    return "/".join(yaml_text(value) for value in result.values.values()) or result.label


def tick_labels(results: Sequence[SettingResult], key: str) -> list[str]:
    """Values of a key, numbers by size; where it says nothing comes first."""
    values = {value_text(r, key): r.values.get(key) for r in results if r.candidate}
    numbers = all(_number(value) for name, value in values.items() if name != ABSENT)
    return sorted(values, key=lambda k: (k != ABSENT, values[k] if numbers and k != ABSENT else 0))


def draw_curve(
    axis: Any, results: Sequence[SettingResult], choice: SettingChoice, measure: str, keys: Sequence[str]
) -> None:
    """One key. Numbers are joined by a line in a band of 95 % intervals by subject; seeds are small dots."""
    key, names = keys[0], tick_labels(results, keys[0])
    own = [r for r in results if r.candidate and r.status == "finished"]
    own.sort(key=lambda r: names.index(value_text(r, key)))
    x = np.array([names.index(value_text(r, key)) for r in own], dtype=float)
    y, low, high = (np.array([getattr(r.intervals[measure], end) for r in own]) for end in ("estimate", "low", "high"))
    for result in results:
        if not result.candidate and result.status == "finished":
            value = result.intervals[measure].estimate
            axis.axhline(value, color=REFERENCE, linewidth=1, linestyle=(0, (4, 3)), label=result.label)
    if len(own) > 1 and all(_number(r.values.get(key)) for r in own):
        if not np.isnan(low).all():
            axis.fill_between(x, low, high, color=OTHER, alpha=0.18, linewidth=0, label="95 %, by subject")
        axis.plot(x, y, color=OTHER, linewidth=1.4)
    elif not np.isnan(low).all():
        bars = np.array([y - low, high - y])
        axis.errorbar(x, y, bars, fmt="none", ecolor=OTHER, alpha=0.4, elinewidth=2, label="95 %, by subject")
    for place, result in zip(x, own, strict=True):
        if len(result.runs) > 1:
            seeds = [run.metric_means()[measure] for run in result.runs]
            axis.plot([place + 0.14] * len(seeds), seeds, ".", color=PALE, markersize=4, label="single seeds")
        draw_point(axis, place, result.intervals[measure].estimate, marker_style(result, choice))
    for result in results:
        if result.candidate and result.status != "finished":
            options = {"rotation": 90, "ha": "center", "va": "bottom", "fontsize": 8, "color": PALE}
            place = names.index(value_text(result, key))
            axis.text(place, 0.03, result.status, transform=axis.get_xaxis_transform(), **options)
    axis.set_xticks(range(len(names)), names, **_tick_rotation(names))
    axis.set_xlim(-0.5, len(names) - 0.5)
    axis.set_xlabel(short_key(key))
    axis.set_title(MEASURE_TITLES[measure])


def draw_heat_map(
    axis: Any, results: Sequence[SettingResult], choice: SettingChoice, measure: str, keys: Sequence[str]
) -> None:
    """Two keys: a cell a setting with its number; brighter is better."""
    down, right = (tick_labels(results, key) for key in keys)
    grid = np.full((len(down), len(right)), np.nan)
    own = [result for result in results if result.candidate]
    cells = [(down.index(value_text(r, keys[0])), right.index(value_text(r, keys[1]))) for r in own]
    for cell, result in zip(cells, own, strict=True):
        if result.status == "finished":
            grid[cell] = result.intervals[measure].estimate
    better = grid if measure == "psnr" else -grid
    low, high = np.nanmin(better), np.nanmax(better)
    share = (better - low) / (high - low) if high > low else np.where(np.isnan(better), np.nan, 1.0)
    axis.imshow(share, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for cell, result in zip(cells, own, strict=True):
        middle: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7.5}
        if result.status != "finished":
            axis.text(cell[1], cell[0], result.status, color=PALE, **middle)
            continue
        name = marker_style(result, choice).name
        sign = {"chosen": "\n★", "tie with the chosen": "\n=", "not eligible": "\n×"}.get(name, "")
        cell_text = f"{grid[cell]:.{_DIGITS[measure]}f}{sign}"
        axis.text(cell[1], cell[0], cell_text, color="black" if share[cell] > 0.5 else "white", **middle)
        if name == "chosen":
            axis.add_patch(_frame(cell))
    axis.set_xticks(range(len(right)), right, **_tick_rotation(right))
    axis.set_yticks(range(len(down)), down)
    axis.set_xlabel(short_key(keys[1]))
    axis.set_ylabel(short_key(keys[0]) if measure == "psnr" else "")
    axis.set_title(MEASURE_TITLES[measure])
    axis.tick_params(length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)


def draw_rows(
    axis: Any, results: Sequence[SettingResult], choice: SettingChoice, measure: str, keys: Sequence[str]
) -> None:
    """More keys: a row a setting with its 95 % interval by subject, in the order of the printed table."""
    own = [r for r in ranked(results, choice) if r.status == "finished"][:MOST_ROWS][::-1]
    for place, result in enumerate(own):
        interval, kind = result.intervals[measure], marker_style(result, choice)
        colour = kind.face if kind.face != "white" else kind.edge
        axis.plot([interval.low, interval.high], [place, place], color=colour, alpha=0.45, linewidth=2)
        draw_point(axis, interval.estimate, place, kind)
    axis.set_yticks(range(len(own)), [values_text(r) for r in own] if measure == "psnr" else [""] * len(own))
    axis.tick_params(axis="y", labelsize=7.5)
    axis.set_ylim(-0.7, len(own) - 0.3)
    axis.grid(axis="y", color="#EEEEEE", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.locator_params(axis="x", nbins=4)
    axis.set_title(MEASURE_TITLES[measure])
    axis.set_xlabel("better →" if measure == "psnr" else "← better")


def draw_point(axis: Any, x: float, y: float, kind: MarkerStyle) -> None:
    """A setting as it looks in every panel."""
    look = {"markerfacecolor": kind.face, "markeredgecolor": kind.edge, "markersize": kind.size}
    zorder = 8 if kind.name == "chosen" else 5
    axis.plot(x, y, kind.marker, label=kind.name, zorder=zorder, linestyle="none", **look)


def pareto_front(quality: NDArray[np.float64], error: NDArray[np.float64]) -> list[int]:
    """The settings that no other one beats in quality (N,) and error (N,): indices by falling quality."""
    best, indices = np.inf, []
    for index in sorted(range(len(quality)), key=lambda i: (-quality[i], error[i])):
        if error[index] < best:
            best = error[index]
            indices.append(index)
    return indices


def draw_trade(
    axis: Any, results: Sequence[SettingResult], choice: SettingChoice, metric: str, within: float | None
) -> None:
    """Points, the front with its labels, and the band of PSNR, so many dB below the best, that is eligible."""
    error = np.array([r.intervals[metric].estimate for r in results])
    quality = np.array([r.intervals["psnr"].estimate for r in results])
    able = np.array([i for i, r in enumerate(results) if r.candidate])
    edge = able[pareto_front(quality[able], error[able])]
    axis.plot(error[edge], quality[edge], color="#444444", linewidth=1.1, label="Pareto front", zorder=1)
    for result, x, y in zip(results, error, quality, strict=True):
        draw_point(axis, x, y, marker_style(result, choice))
    axis.margins(0.14)
    axis.autoscale_view()
    axis.set_ylim(axis.get_ylim())  # the band does not widen what is shown
    if within is not None:
        best = quality[able].max()
        axis.axhspan(best - within, best, color="#E6EEF4", linewidth=0, zorder=0, label="eligible PSNR")
    axis.locator_params(axis="x", nbins=6)
    axis.set_xlabel(f"{MEASURE_TITLES[metric]} (← better)")
    axis.set_ylabel("PSNR, dB (better →)")
    axis.set_title("PSNR against error")
    notable = {*edge.tolist(), *(i for i, r in enumerate(results) if r.label == choice.chosen or r.reference)}
    for index in sorted(notable):  # the front falls to the left, so what lies right and below it is free
        place = (error[index], quality[index])
        axis.annotate(values_text(results[index]), place, (6, -9), textcoords="offset points", fontsize=7.5)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _tick_rotation(names: Sequence[str]) -> dict[str, Any]:
    return {} if max(map(len, names)) < 7 else {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}


def _frame(cell: tuple[int, int]) -> Any:
    from matplotlib.patches import Rectangle

    corner = (cell[1] - 0.47, cell[0] - 0.45)
    return Rectangle(corner, 0.94, 0.9, fill=False, edgecolor=CHOSEN, linewidth=2.5, clip_on=False)


_DPI = 130
_MOST_CELLS = 12  # a side; beyond, numbers no longer fit into a heat map


def draw_sweep(results: Sequence[SettingResult], choice: SettingChoice, path: Path, within: float | None) -> Path:
    """Draw a sweep; settings that came to no end are marked as such.

    One swept key gives curves with intervals by subject, two give heat maps, more give a row a setting; beside
    them always PSNR against the judge's error (the SUVR's where there is no judge). ``within`` is how many dB below the
    best PSNR the rule lets a setting be chosen; None where it has no such limit.
    """
    finished = [result for result in results if result.status == "finished"]
    known = [name for name in (MISTAKEN, "judge_mae", "suvr_error") if _known(finished, name)]
    error = choice.metric if choice.metric in known else next(iter(known), None)
    measures = ["psnr", *(name for name in known if name in (MISTAKEN, "judge_mae", error))]
    keys = varying_keys(results)
    panel, height, first, other = _layout(results, keys)
    widths = [first, *[other] * (len(measures) - 1), *[4.6] * bool(error)]
    size = (sum(widths), height)
    with axes_figure(1, len(widths), size, gridspec_kw={"width_ratios": widths}) as (figure, axes):
        for axis, measure in zip(axes[0], measures, strict=False):
            panel(axis, results, choice, measure, keys)
        if error:
            draw_trade(axes[0][-1], finished, choice, error, within)
        _legend(figure, axes[0], results, keys, heat=panel is draw_heat_map)
        return save_figure(figure, path, _DPI)


def varying_keys(results: Sequence[SettingResult]) -> list[str]:
    """The keys in which the settings differ; the first one where they differ in none."""
    own = [result for result in results if result.candidate]
    keys = list(dict.fromkeys(key for result in own for key in result.values))
    many = [key for key in keys if len({value_text(result, key) for result in own}) > 1]
    return many or keys[:1]


def _known(results: Sequence[SettingResult], name: str) -> bool:
    return all(not math.isnan(result.intervals[name].estimate) for result in results)


def _layout(results: Sequence[SettingResult], keys: Sequence[str]) -> tuple[Callable[..., None], float, float, float]:
    """What draws a panel, the figure's height, and the width of the first and of every other panel, in inches."""
    sizes = [len(tick_labels(results, key)) for key in keys]
    if len(keys) == 1:
        width = max(3.2, 1.2 + 0.4 * sizes[0])
        return draw_curve, 4.0, width, width
    if len(keys) == 2 and max(sizes) <= _MOST_CELLS:
        width = 1.5 + 0.62 * sizes[1]
        return draw_heat_map, max(4.0, 2.2 + 0.36 * sizes[0]), width, width
    longest = max(len(values_text(result)) for result in results)
    return draw_rows, max(4.0, 2.0 + 0.19 * min(len(results), MOST_ROWS)), 2.4 + 0.062 * longest, 2.4


def _legend(
    figure: Any, axes: Sequence[Any], results: Sequence[SettingResult], keys: Sequence[str], *, heat: bool
) -> None:
    """One for all panels, below them, where it hides nothing; its title says what labels are made of."""
    handles = {name: handle for axis in axes for handle, name in zip(*axis.get_legend_handles_labels(), strict=True)}
    own = next(result for result in results if result.candidate)
    notes = [f"Labels: {'/'.join(short_key(key) for key in own.values)}"] if own.values else []
    notes += ["cells: brighter is better; ★ chosen, = tie, × not eligible"] if heat else []
    figure.legend(
        handles.values(), handles, loc="outside lower center", ncols=5, title="; ".join(notes), title_fontsize=8
    )
