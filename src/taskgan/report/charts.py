"""Charts: paired differences, ROC curves of the verification, training curves."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from taskgan.core.errors import UserError
from taskgan.core.tables import csv_rows
from taskgan.metrics.roc import roc_curve
from taskgan.page.cells import display_name, number
from taskgan.page.style import axes_figure, method_style, panel_axes, save_figure
from taskgan.report.load import Comparison
from taskgan.report.metrics import HEADLINE, with_reader_error
from taskgan.report.paired import compare_methods, subject_differences
from taskgan.report.study import TASK, VerificationStudy, reader_title
from taskgan.report.verified import BOTH, Floats

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


_FEW = 0.1  # false accepts below which the second panel looks
_DASHES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1, 2)), (0, (1, 1)), (0, (9, 3)))
_WIDE = 4  # columns, at most


def roc_chart(comparison: Comparison, study: VerificationStudy | None, path: Path) -> Path | None:
    """Draw it; None where nothing was verified.

    Curves of several seeds are averaged at equal false accepts, so that the area under what is drawn is the mean of
    theirs. Judges that cannot tell people apart on clean images are drawn, and called so; T only without a judge.
    """
    if study is None:
        return None
    readers = (*study.valid_judges, *(r for r in study.judges if r not in study.valid_judges))[:_WIDE] or (TASK,)
    size = (3.45 * len(readers) + 0.2, 6.4)
    with axes_figure(2, len(readers), size, gridspec_kw={"height_ratios": (1.15, 1)}) as (figure, axes):
        for column, reader in enumerate(readers):
            _panels(axes[0][column], axes[1][column], comparison, study, reader)
        axes[0][0].set_ylabel("True accepts")
        axes[1][0].set_ylabel("True accepts")
        return save_figure(figure, path)


def mean_curve(distances: Floats, same: ArrayLike) -> tuple[Floats, Floats]:
    """False and true accepts of seeds (S, N) as one staircase: mean true accepts at each false accept rate.

    Returns:
        (n + 2,) each, for n pairs of two people; a step is horizontal first (``steps-post``).
    """
    negatives = int((~np.asarray(same, dtype=bool)).sum())
    grid = np.arange(negatives + 1) / negatives
    up = np.zeros(len(grid))
    for one in distances:
        rates = roc_curve(one, same)
        last = np.searchsorted(rates.false_accepts, grid + 1e-9, side="right") - 1
        up += rates.true_accepts[last] / len(distances)
    return np.concatenate([[0.0], grid]), np.concatenate([[0.0], up])


def _panels(above: Any, below: Any, comparison: Comparison, study: VerificationStudy, reader: str) -> None:
    pairs = study.data.pairs
    least = 1 / int((~pairs.same).sum())
    above.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=0.8)
    for place, method in enumerate(study.data.methods):
        level = study.levels.get((reader, method, BOTH))
        if level is None:
            continue
        across, up = mean_curve(study.data.distances[reader, method, BOTH], pairs.same)
        colour = method_style(method, comparison.methods)[0]
        style = {
            "color": colour,
            "linewidth": 1.5,
            "linestyle": _DASHES[place % len(_DASHES)],
            "drawstyle": "steps-post",
        }
        label = f"{display_name(method)} {number(level.verification.auc_by_person.estimate, 3)}"
        above.plot(across, up, label=label, **style)
        below.plot(np.maximum(across, least / 2), up, **style)
    name = reader_title(reader).split(" (")[0]
    note = "" if reader in study.valid_judges else " (no judge)"
    above.set_title(f"{name}{note}")
    above.legend(title="AUC", loc="lower right", fontsize=7.5, title_fontsize=7.5, handlelength=2.8)
    above.set_xlim(0, 1)
    above.set_ylim(0, 1.005)
    above.set_aspect("equal")
    above.set_xlabel("False accepts")
    below.set_xscale("log")
    below.set_xlim(least, max(_FEW, 4 * least))
    inside = [line.get_ydata()[np.asarray(line.get_xdata()) <= max(_FEW, 4 * least)] for line in below.lines]
    below.set_ylim(0, min(1.005, 1.08 * max((float(v.max()) for v in inside if len(v)), default=1.0)))
    below.set_xlabel("False accepts, few of them")
    below.grid(visible=True, color="#e6e6e6", linewidth=0.6)
    below.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    below.xaxis.set_minor_formatter(lambda *_: "")


# Columns of metrics.csv that are worth a panel, with what they are called.
_PANELS = (
    ("val_psnr", "Validation PSNR (dB)"),
    ("val_task_mae", "Validation MAE of T"),
    ("pixel", "Pixel loss (Eq. 1)"),
    ("adversarial", "Adversarial loss (Eq. 2)"),
    ("task", "Task loss (Eq. 3)"),
    ("cycle", "Cycle loss"),
)


def run_curves(comparison: Comparison) -> list[tuple[str, int | None, pd.DataFrame]]:
    """``metrics.csv`` of every run that is the parent folder of its evaluation: method, seed, table by step."""
    curves = []
    for one in comparison.evaluations:
        path = one.folder.resolve().parent / "metrics.csv"
        if not path.is_file():
            continue
        try:
            rows = csv_rows(path, ("step",), whole_lines=True)
        except UserError:  # another tool's file of the same name
            continue
        table = pd.DataFrame([{name: row[name] for name in row if name} for _, row in rows])
        table = table.apply(pd.to_numeric, errors="coerce").replace([math.inf, -math.inf], math.nan)
        curves.append((str(one.record.get("method")), one.record.get("seed"), table))
    return curves


def curve_chart(comparison: Comparison, path: Path) -> Path | None:
    """Validation PSNR and the terms of the objective over training steps, one panel a measure; None without runs."""
    runs = run_curves(comparison)
    named = dict(_PANELS)
    if runs and comparison.kind == "embedding":
        named["val_task_mae"] = "Validation: distance by T"
    panels = [(key, title) for key, title in named.items() if any(len(_points(table, key)) for _, _, table in runs)]
    if not panels:
        return None
    with axes_figure(1, len(panels), (2.9 * len(panels), 2.6)) as (figure, axes):
        for axis, (key, title) in zip(axes[0], panels, strict=True):
            labelled: set[str] = set()
            for method, _, table in runs:
                known = _points(table, key)
                if known.empty:
                    continue
                colour, marker = method_style(method, comparison.methods)
                label = None if method in labelled else display_name(method)
                labelled.add(method)
                sparse = marker if len(known) <= 15 else ""
                axis.plot(
                    known["step"], known[key], color=colour, linewidth=1.4, marker=sparse, markersize=3, label=label
                )
            axis.set_title(title)
            axis.set_xlabel("Step")
            axis.locator_params(axis="x", nbins=4)
        axes[0][0].legend()
        return save_figure(figure, path)


def _points(table: pd.DataFrame, key: str) -> pd.DataFrame:
    """Steps and values of a column; none where the run has no such figure."""
    # Eq. 2 stands beside Eq. 1; where there is none, the adversarial loss is CycleGAN's, on another scale.
    needed = [key, "pixel"] if key == "adversarial" else [key]
    if not {"step", *needed} <= set(table.columns):
        return pd.DataFrame()
    points: pd.DataFrame = table[["step", *needed]].dropna()
    return points
