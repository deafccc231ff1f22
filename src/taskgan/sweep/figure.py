"""``sweep.png``: each measure over the swept keys, and what one costs in the other."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from taskgan.page.style import axes_figure, save_figure
from taskgan.sweep import panels
from taskgan.sweep.choose import MISTAKEN, SettingChoice
from taskgan.sweep.grid import short_key
from taskgan.sweep.results import SettingResult

_DPI = 130
_MOST_CELLS = 12  # a side; beyond, numbers no longer fit into a heat map


def draw_sweep(results: Sequence[SettingResult], choice: SettingChoice, path: Path, within: float | None) -> Path:
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
    known = [name for name in (MISTAKEN, "judge_mae", "suvr_error") if _known(finished, name)]
    error = choice.metric if choice.metric in known else next(iter(known), None)
    measures = ["psnr", *(name for name in known if name in (MISTAKEN, "judge_mae", error))]
    keys = varying_keys(results)
    panel = _panel(results, keys)
    widths = [_width(panel, results, keys, first=i == 0) for i in range(len(measures))] + [4.6] * bool(error)
    size = (sum(widths), _height(panel, results, keys))
    with axes_figure(1, len(widths), size, gridspec_kw={"width_ratios": widths}) as (figure, axes):
        for axis, measure in zip(axes[0], measures, strict=False):
            panel(axis, results, choice, measure, keys)
        if error:
            panels.draw_trade(axes[0][-1], finished, choice, error, within)
        _legend(figure, axes[0], results, keys, heat=panel is panels.draw_heat_map)
        return save_figure(figure, path, _DPI)


def varying_keys(results: Sequence[SettingResult]) -> list[str]:
    """The keys in which the settings differ; the first one where they differ in none."""
    own = [result for result in results if result.candidate]
    keys = list(dict.fromkeys(key for result in own for key in result.values))
    many = [key for key in keys if len({panels.value_text(result, key) for result in own}) > 1]
    return many or keys[:1]


def _known(results: Sequence[SettingResult], name: str) -> bool:
    return all(not math.isnan(result.intervals[name].estimate) for result in results)


def _panel(results: Sequence[SettingResult], keys: Sequence[str]) -> Callable[..., None]:
    sizes = [len(panels.tick_labels(results, key)) for key in keys]
    if len(keys) == 1:
        return panels.draw_curve
    return panels.draw_heat_map if len(keys) == 2 and max(sizes) <= _MOST_CELLS else panels.draw_rows


def _height(panel: Any, results: Sequence[SettingResult], keys: Sequence[str]) -> float:
    if panel is panels.draw_heat_map:
        return max(4.0, 2.2 + 0.36 * len(panels.tick_labels(results, keys[0])))
    return 4.0 if panel is panels.draw_curve else max(4.0, 2.0 + 0.19 * min(len(results), panels.MOST_ROWS))


def _width(panel: Any, results: Sequence[SettingResult], keys: Sequence[str], *, first: bool) -> float:
    if panel is panels.draw_heat_map:
        return 1.5 + 0.62 * len(panels.tick_labels(results, keys[1]))
    if panel is panels.draw_curve:
        return max(3.2, 1.2 + 0.4 * len(panels.tick_labels(results, keys[0])))
    longest = max(len(panels.values_text(result)) for result in results)
    return 2.4 + (0.062 * longest if first else 0.0)


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
