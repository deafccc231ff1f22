"""Charts: paired differences, SUVR scatter, Bland–Altman, training curves."""

from pathlib import Path
from typing import Any

import numpy as np

from taskgan.evaluate.cases import suvr_agreement
from taskgan.page.cells import number, range_text
from taskgan.page.names import display_name
from taskgan.page.style import method_style, panel_axes, save_figure
from taskgan.report.load import Comparison
from taskgan.report.metrics import HEADLINE, with_reader_error
from taskgan.report.paired import compare_methods, subject_differences

_MOST = 5  # panels side by side


def difference_chart(comparison: Comparison, path: Path) -> Path | None:
    """Every subject's paired difference to the baseline, with mean and interval, one panel a measure."""
    metrics = [
        m
        for m in HEADLINE
        if any(len(subject_differences(comparison, m, o, comparison.baseline)) for o in comparison.compared_methods)
    ]
    if not metrics:
        return None
    count = len(comparison.compared_methods)
    with panel_axes(len(metrics), (2.35, 1.35 + 0.42 * count), _MOST, sharey=True) as (figure, axes):
        for axis, metric in zip(axes, metrics, strict=True):
            margin = comparison.inference.margins.get(metric.name)
            if margin is not None:
                axis.axvspan(-margin, margin, color="#e9edf2", linewidth=0)
            axis.axvline(0, color="#222222", linewidth=1)
            compared = compare_methods(comparison, metric, comparison.baseline)
            for place, method in enumerate(reversed(comparison.compared_methods)):
                colour, marker = method_style(method, comparison.methods)
                gap = subject_differences(comparison, metric, method, comparison.baseline)
                mean, wider = compared[method].interval, compared[method].crossed
                spread = np.linspace(-0.16, 0.16, len(gap)) if len(gap) > 1 else np.zeros(len(gap))
                axis.plot(gap, place + spread, marker, color=colour, markersize=4, alpha=0.4, markeredgewidth=0)
                axis.plot([wider.low, wider.high], [place, place], "|-", color=colour, linewidth=1, markersize=7)
                axis.plot([mean.low, mean.high], [place, place], color=colour, linewidth=3, solid_capstyle="butt")
                axis.plot(mean.estimate, place, "|", color="black", markersize=14, markeredgewidth=1.8)
            better = "better →" if metric.better > 0 else "← better"
            axis.set_title(with_reader_error(metric, comparison.reader_error[0]).heading)
            axis.set_xlabel(better)
            axis.locator_params(axis="x", nbins=4)
            axis.set_yticks(range(count), [display_name(m) for m in reversed(comparison.compared_methods)])
            axis.set_ylim(-0.5, count - 0.5)
        return save_figure(figure, path)


def _suvr_methods(comparison: Comparison) -> list[str]:
    return [m for m in ("input", *comparison.methods) if comparison.rows(m)["suvr_restored"].notna().any()]


def suvr_scatter(comparison: Comparison, path: Path) -> Path | None:
    """Restored against clean SUVR, with identity, regression line, cut lines and the flipping quadrants."""
    methods = _suvr_methods(comparison)
    if not methods:
        return None
    values = comparison.frame[["suvr_reference", "suvr_restored"]].to_numpy()
    low, high = float(np.nanmin(values)) - 0.06, float(np.nanmax(values)) + 0.06
    cut = comparison.suvr_cut
    with panel_axes(len(methods), (2.9, 3.3), sharey=True, sharex=True) as (figure, axes):
        for axis, method in zip(axes, methods, strict=True):
            rows = comparison.rows(method)
            agreement = suvr_agreement(rows)
            colour, marker = method_style(method, comparison.methods)
            axis.fill_between([low, cut], cut, high, color="#f3e3d9", linewidth=0)
            axis.fill_between([cut, high], low, cut, color="#f3e3d9", linewidth=0)
            axis.plot([low, high], [low, high], color="#444444", linewidth=0.8)
            axis.axhline(cut, color="#444444", linewidth=0.8, linestyle=(0, (4, 3)))
            axis.axvline(cut, color="#444444", linewidth=0.8, linestyle=(0, (4, 3)))
            _by_label(axis, rows, rows["suvr_reference"], rows["suvr_restored"], colour, marker)
            mean_x, mean_y = rows["suvr_reference"].mean(), rows["suvr_restored"].mean()
            ends = np.array([rows["suvr_reference"].min(), rows["suvr_reference"].max()])
            axis.plot(ends, mean_y + agreement.slope.estimate * (ends - mean_x), color=colour, linewidth=1.6)
            axis.set_title(
                f"{display_name(method)}: slope {number(agreement.slope.estimate, 2)} {range_text(agreement.slope, 2)}"
            )
            axis.set_xlim(low, high)
            axis.set_ylim(low, high)
            axis.set_aspect("equal")
            axis.set_xlabel("SUVR of the clean image")
        axes[0].set_ylabel("SUVR of the image")
        axes[0].legend(loc="upper left")
        return save_figure(figure, path)


def bland_altman(comparison: Comparison, path: Path) -> Path | None:
    """Restored − clean SUVR against their mean, with bias and limits of agreement."""
    methods = _suvr_methods(comparison)
    if not methods:
        return None
    with panel_axes(len(methods), (2.9, 2.7), sharey=True, sharex=True) as (figure, axes):
        for axis, method in zip(axes, methods, strict=True):
            rows = comparison.rows(method)
            agreement = suvr_agreement(rows)
            colour, marker = method_style(method, comparison.methods)
            axis.axhline(0, color="#444444", linewidth=0.8)
            middle = (rows["suvr_reference"] + rows["suvr_restored"]) / 2
            _by_label(axis, rows, middle, rows["suvr_bias"], colour, marker)
            axis.axhline((agreement.low + agreement.high) / 2, color=colour, linewidth=1.6)
            for limit in (agreement.low, agreement.high):
                if np.isfinite(limit):
                    axis.axhline(limit, color=colour, linewidth=1.2, linestyle=(0, (4, 3)))
            limits = f"[{number(agreement.low, 2, sign=True)}, {number(agreement.high, 2, sign=True)}]"
            axis.set_title(
                f"{display_name(method)}: {number(agreement.bias.estimate, 3, sign=True)}, LoA {limits}", fontsize=9
            )
            axis.set_xlabel("Mean of the two SUVR")
        axes[0].set_ylabel("Image − clean")
        return save_figure(figure, path)


def _by_label(axis: Any, rows: Any, x: Any, y: Any, colour: str, marker: str) -> None:
    """Filled markers for positives, hollow for negatives, so that colour is never the only sign."""
    positive = rows["label"] > 0.5
    edge = {"markeredgecolor": colour, "markersize": 5.5, "linestyle": "none", "marker": marker}
    axis.plot(x[positive], y[positive], markerfacecolor=colour, label="positive", **edge)
    hollow = {**edge, "marker": "o"} if marker == "x" else edge
    axis.plot(x[~positive], y[~positive], markerfacecolor="white", label="negative", **hollow)
