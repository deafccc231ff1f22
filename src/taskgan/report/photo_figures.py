"""Photos of one case: input, methods and the clean one, with a detail and the errors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from taskgan.core.errors import UserError
from taskgan.images.photos import LUMINANCE, is_photo_name, read_photo
from taskgan.images.volumes import read_volume
from taskgan.page.cells import number
from taskgan.page.names import display_name
from taskgan.page.style import axes_figure, save_figure, set_heading
from taskgan.report.images import SelectedCase, choose_detail, column_figure, psnr_differences
from taskgan.report.load import Comparison
from taskgan.report.metrics import PSNR
from taskgan.report.paired import by_case, by_seed

Array = NDArray[np.float32]


def photo_paths(comparison: Comparison, case: str) -> dict[str, Path]:
    """The images of a case in the order of the figures: input, methods (the lowest seed of each), clean."""
    rows = comparison.frame[comparison.frame["case"] == case].sort_values("seed", kind="stable")
    order = (*comparison.references, *comparison.methods, "clean")
    return {m: Path(matches.iloc[0]["restored"]) for m in order if len(matches := rows[rows["method"] == m])}


def read_photos(paths: Mapping[str, Path]) -> dict[str, Array] | None:
    """Images (H, W), or (H, W, 3) where all are in colour, 0 to 1; None where one cannot be read."""
    try:
        pictures = {name: _read(path) for name, path in paths.items()}
    except UserError:
        return None
    if all(picture.ndim == 3 for picture in pictures.values()):
        return pictures
    return {name: luminance(picture) for name, picture in pictures.items()}


def luminance(picture: Array) -> Array:
    """Luminance (H, W) of a picture in grey or colour."""
    return picture if picture.ndim == 2 else np.asarray(picture @ LUMINANCE, dtype=np.float32)


def _read(path: Path) -> Array:
    if not is_photo_name(path):  # other tools may write the photo that they restored as NIfTI
        data = read_volume(path).data
        return np.ascontiguousarray(data[:, :, data.shape[2] // 2].T)
    pixels = np.swapaxes(read_photo(path).pixels, 0, 1)
    return np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def show_photo(axis: Any, picture: Array) -> None:
    """A picture without axes: black is 0, white 1."""
    axis.imshow(np.clip(picture, 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axis.set_axis_off()


def photo_figure(comparison: Comparison, chosen: SelectedCase, path: Path) -> Path | None:
    """Draw one case: the whole photo, a detail, the error of its luminance; None where its images are gone.

    Errors are image − clean on one scale for all columns that is symmetric about zero and set by the restored
    images; the input's may exceed it.
    """
    pictures = read_photos(photo_paths(comparison, chosen.case))
    if pictures is None or "clean" not in pictures or comparison.focus not in pictures:
        return None
    plain = {method: luminance(picture) for method, picture in pictures.items()}
    truth = plain["clean"]
    if any(picture.shape != truth.shape for picture in plain.values()):
        return None
    other = comparison.contrast_method if comparison.contrast_method in plain else "clean"
    window = choose_detail(plain[comparison.focus] - plain[str(other)])
    errors = {method: picture - truth for method, picture in plain.items() if method != "clean"}
    restored = np.stack([error for method, error in errors.items() if method != "input"])
    worst = max(float(np.percentile(np.abs(restored), 99.5)), 1e-6)
    titles, units = ("Photo", "Detail", "Image − clean"), ("", "error (white is 1)")
    return column_figure(path, pictures, errors, window, show_photo, worst, titles=titles, units=units)


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
            set_heading(axis, display_name(method), inch, 9)
        return save_figure(figure, path)


def _lowest(comparison: Comparison, method: str) -> pd.Series:
    """PSNR of the seed that is shown, by case."""
    seeds = by_seed(comparison, method, PSNR)
    return seeds[min(seeds.columns)] if len(seeds.columns) else by_case(comparison, method, PSNR)
