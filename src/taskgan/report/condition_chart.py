"""A chart of every condition (an MR contrast) and method: quality, readers, lesions, rim and grid with intervals."""

import math
from pathlib import Path
from typing import Any

from taskgan.evaluate.statistics import Interval, mean_interval
from taskgan.evaluate.summary import finite_values
from taskgan.report.geometry_figure import mark_interval
from taskgan.report.load import Comparison
from taskgan.report.names import display_name
from taskgan.report.style import axes_figure, method_style, save_figure

# Column, heading, factor, and whether clean images have a value that is worth a mark.
_PANELS = (
    ("psnr_head", "PSNR, head (dB)", 1.0, False),
    ("judge_mae", "Judge: error", 1.0, True),
    ("lesion_white", "Lesion/white", 1.0, True),
    ("lesion_snr", "Lesion SNR", 1.0, True),
    ("lesions_false", "False lesions", 1.0, True),
    ("rim_error", "Rim error", 1.0, False),
    ("checkerboard_error", "Grid error (‰)", 1000.0, False),
)
_ACROSS = 4


def condition_chart(comparison: Comparison, path: Path) -> Path | None:
    """Draw it; None where there is one kind of image.

    Args:
        comparison: What is compared.
        path: The PNG.
    """
    panels = [one for one in _PANELS if comparison.frame[one[0]].notna().any()]
    if not comparison.conditions or not panels:
        return None
    across, names = min(_ACROSS, len(panels)), list(comparison.conditions)
    deep = -(-len(panels) // across)
    height = 1.0 + len(names) * (0.14 + 0.1 * (len(comparison.methods) + 1))
    with axes_figure(deep, across, (2.6 * across, height * deep), sharey=True) as (figure, axes):
        for axis in axes.flat[len(panels) :]:
            axis.remove()
        for axis, panel in zip(axes.flat[: len(panels)], panels, strict=True):
            _panel(axis, comparison, panel)
        for row in axes:
            row[0].set_yticks(range(len(names)), names[::-1])
            row[0].set_ylim(-0.6, len(names) - 0.4)
        handles, labels = axes[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(6, len(labels)))
        return save_figure(figure, path)


def _panel(axis: Any, comparison: Comparison, panel: tuple[str, str, float, bool]) -> None:
    column, title, factor, with_clean = panel
    methods = (*(("clean",) if with_clean else ()), *comparison.methods)
    every = ("clean", *comparison.methods)
    if column.endswith("_error"):
        axis.axvline(0, color="#222222", linewidth=1)
    for place, part in enumerate(reversed(comparison.conditions.values())):
        if place:
            axis.axhline(place - 0.5, color="#e3e3e3", linewidth=0.8)
        for method in methods:
            rows = part.rows(method)
            interval = mean_interval(finite_values(rows[column]), list(rows["subject"]))
            if math.isnan(interval.estimate):
                continue
            scaled = Interval(interval.estimate * factor, interval.low * factor, interval.high * factor)
            offset = 0.36 - 0.72 * every.index(method) / max(1, len(every) - 1)
            mark_interval(axis, scaled, place + offset, *method_style(method, comparison.methods))
    for method in comparison.methods:
        colour, marker = method_style(method, comparison.methods)
        axis.plot([], [], marker, color=colour, label=display_name(method))
    axis.plot(
        [], [], method_style("clean", ())[1], color=method_style("clean", ())[0], label=display_name("clean")
    )
    axis.set_title(title)
    axis.locator_params(axis="x", nbins=4)
