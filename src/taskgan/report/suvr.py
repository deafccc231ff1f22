"""Composite SUVR of image and clean image: bias, limits of agreement, slope and flips of every method, and charts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from taskgan.evaluate import summary
from taskgan.page.cells import (
    Cell,
    Table,
    count_cell,
    display_name,
    estimate_cell,
    name_cell,
    number,
    number_cell,
    range_text,
    text_columns,
    text_table,
)
from taskgan.page.style import method_style, panel_axes, save_figure
from taskgan.report.flips import flips_cell
from taskgan.report.load import Comparison
from taskgan.report.metrics import CENTILOIDS, QIBA_VARIATION
from taskgan.stats import Interval, mean_interval


def suvr_table(comparison: Comparison) -> Table:
    """Agreement of composite SUVR with that of the clean image, and of all of them with the true uptake.

    A method with a calibration line has a second row, of its values after that line.
    """
    frame = comparison.frame
    known = frame["suvr_true"].notna().any()
    columns = text_columns("suvr", cut=comparison.suvr_cut)
    rows: list[tuple[Cell, ...]] = []
    for method in ("clean", "input", *comparison.methods):
        own = comparison.rows(method)
        rows += [_row(comparison, method, own), _row(comparison, method, summary.calibrated(own), after=True)]
    if not known:
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return text_table("suvr", columns, [row for row in rows if row], cut=comparison.suvr_cut)


def _row(comparison: Comparison, method: str, mine: pd.DataFrame, *, after: bool = False) -> tuple[Cell, ...]:
    agreement, read = (summary.suvr_agreement(mine), summary.reader_summary(mine, comparison.rows("clean"), "suvr"))
    if not agreement.count:
        return ()
    name = name_cell(method, tone="strong")
    wrong = Cell(f"{read.wrong}/{read.decisions}", "", read.wrong)
    if method == "clean":
        nothing = (Cell("–"),) * 9
        return (name, count_cell(agreement.count), *nothing, wrong, _bias(_to_truth(mine), marked=False))
    tone = "worse" if agreement.slope.excludes(1.0) else ""
    units = agreement.deviation * CENTILOIDS
    near = agreement.deviation <= QIBA_VARIATION * float(mine["suvr_reference"].mean())
    tones = ("better" if near else "worse", "better" if units <= 8 else "worse" if units > 16 else "none")
    return (
        replace(name, text=f"{name.text}, after its line", value=f"{name.value}, after its line") if after else name,
        count_cell(agreement.count),
        _bias(agreement.bias),
        estimate_cell(agreement.limit_low, 3, sign=True),
        estimate_cell(agreement.limit_high, 3, sign=True),
        estimate_cell(agreement.slope, 2, tone=tone),
        replace(number_cell(agreement.deviation, 3), tone=tones[0]),
        replace(number_cell(units, 1), tone=tones[1]),
        estimate_cell(agreement.correlation, 3),
        estimate_cell(agreement.concordance, 3),
        flips_cell(read),
        wrong,
        _bias(_to_truth(mine), marked=False),
    )


def _to_truth(rows: pd.DataFrame) -> Interval:
    return mean_interval(rows["suvr_restored"] - rows["suvr_true"], list(rows["subject"]))


def _bias(interval: Interval, *, marked: bool = True) -> Cell:
    return estimate_cell(interval, 3, sign=True, tone="worse" if marked and interval.excludes(0.0) else "")


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
            agreement = summary.suvr_agreement(rows)
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
            agreement = summary.suvr_agreement(rows)
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
