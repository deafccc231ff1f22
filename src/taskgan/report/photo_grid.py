"""Figure 2(c): photos of several cases, one a row, from the one that loses most to the one that gains most."""

from pathlib import Path

import numpy as np
import pandas as pd

from taskgan.report.cells import number
from taskgan.report.choose import psnr_differences
from taskgan.report.load import Comparison
from taskgan.report.metrics import PSNR
from taskgan.report.names import display_name
from taskgan.report.paired import by_case, by_seed
from taskgan.report.pictures import photo_paths, read_photos, show_photo
from taskgan.report.style import axes_figure, save_figure

ROWS = 7
_ENDS = (0.05, 0.95)  # the very best and worst are where files are odd


def grid_rule(comparison: Comparison) -> str:
    """How the rows were picked, in words."""
    against = f" to {display_name(comparison.contrast_method)}" if comparison.contrast_method else ""
    what = f"PSNR difference of {display_name(comparison.focus)}{against}" if against else "PSNR"
    return (
        f"Rows by rule, not by eye: the cases at {ROWS} evenly spaced quantiles, 5 % to 95 %, of the {what}, "
        "smallest first; it stands at the left, a mean over the seeds. Shown is the lowest seed, with its own PSNR "
        "below. White is 1, nothing is stretched."
    )


def grid_cases(comparison: Comparison) -> pd.Series:
    """PSNR difference of the cases that are shown, by case, smallest first."""
    ordered = psnr_differences(comparison).sort_values(kind="stable")
    places = np.unique(np.round(np.linspace(*_ENDS, ROWS) * (len(ordered) - 1)).astype(int))
    return ordered.iloc[places] if len(ordered) else ordered


def photo_grid(comparison: Comparison, path: Path) -> Path | None:
    """Draw them; None where there are no photos, or their files are gone."""
    if not comparison.photos:
        return None
    chosen = grid_cases(comparison)
    rows = {str(case): read_photos(photo_paths(comparison, str(case))) for case in chosen.index}
    pictures_by_case = {case: pictures for case, pictures in rows.items() if pictures and "clean" in pictures}
    if not pictures_by_case:
        return None
    methods = (*comparison.references, *comparison.methods, "clean")
    psnr = {m: _lowest(comparison, m) for m in methods if m != "clean"}
    inch = min(1.55, 11.0 / len(methods))
    tall = max(p["clean"].shape[0] / p["clean"].shape[1] for p in pictures_by_case.values())
    size = (inch * len(methods) + 0.5, (inch * tall + 0.2) * len(pictures_by_case) + 0.3)
    with axes_figure(len(pictures_by_case), len(methods), size) as (figure, axes):
        for line, (case, pictures) in zip(axes, pictures_by_case.items(), strict=True):
            for axis, method in zip(line, methods, strict=True):
                axis.set_axis_off()
                if method in pictures:
                    show_photo(axis, pictures[method])
                value = float(psnr[method].get(case, np.nan)) if method in psnr else np.nan
                if np.isfinite(value):
                    place = {"transform": axis.transAxes, "ha": "center", "va": "top", "fontsize": 7}
                    axis.text(0.5, -0.02, f"{number(value, 1)} dB", **place)
            gap = f"{number(float(chosen[case]), 2, sign=True)} dB"
            beside = {"transform": line[0].transAxes, "rotation": 90, "fontsize": 8}
            line[0].text(-0.04, 0.5, gap, ha="right", va="center", **beside)
        for axis, method in zip(axes[0], methods, strict=True):
            axis.set_title(display_name(method), fontsize=9)
        return save_figure(figure, path)


def _lowest(comparison: Comparison, method: str) -> pd.Series:
    """PSNR of the seed that is shown, by case."""
    seeds = by_seed(comparison, method, PSNR)
    return seeds[min(seeds.columns)] if len(seeds.columns) else by_case(comparison, method, PSNR)
