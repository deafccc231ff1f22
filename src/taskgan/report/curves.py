"""Training curves of the runs whose folders are near their evaluations."""

import math
from pathlib import Path

import pandas as pd

from taskgan.core.errors import UserError
from taskgan.core.tables import csv_rows
from taskgan.report.load import Comparison
from taskgan.report.names import display_name
from taskgan.report.style import axes_figure, method_style, save_figure

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
    panels = [
        (key, title) for key, title in named.items() if any(len(_points(table, key)) for _, _, table in runs)
    ]
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
                    known["step"],
                    known[key],
                    color=colour,
                    linewidth=1.4,
                    marker=sparse,
                    markersize=3,
                    label=label,
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
