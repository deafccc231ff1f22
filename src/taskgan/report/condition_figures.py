"""A figure for each condition (an MR contrast): truth and methods, a lesion enlarged, the errors, the spectra."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from taskgan.core.errors import UserError
from taskgan.evaluate.cases import mean_of
from taskgan.images.volumes import read_volume
from taskgan.metrics.quality import GRID, bins, spectrum
from taskgan.page.cells import display_name, number, report_texts
from taskgan.page.style import Array, axial_view, head_window, method_style, panel_axes, save_figure
from taskgan.report.geometry import mark_interval
from taskgan.report.images import (
    Mask,
    Panels,
    choose_detail,
    column_figure,
    displayed_mask,
    first_seeds,
    psnr_differences,
    read_mask,
    show_slice,
    voxel_aspect,
)
from taskgan.report.load import Comparison


@dataclass(frozen=True)
class ConditionPanels(Panels):
    """What is shown of one condition; the first column is ``clean``.

    Attributes:
        window: The detail.
        spectra: Log power (H', W') of each column; empty where no brain mask is known.
        lesions: Those of the slice (H, W), where they are known.
    """

    window: tuple[slice, slice]
    spectra: dict[str, NDArray[np.float64]]
    lesions: Mask | None
    colours: ClassVar[str] = "gray"
    headroom: ClassVar[float] = 1.05

    @property
    def worst(self) -> float:
        """The error at both ends of the scale of errors."""
        return max(max(float(np.percentile(np.abs(e), 99.5)) for e in self.errors.values()), 1e-6)


def condition_rule(comparison: Comparison) -> str:
    """How subject, slice and detail are picked, in words."""
    other = display_name(comparison.contrast_method) if comparison.contrast_method else "nothing"
    rule = str(report_texts("rules")["conditions" if comparison.conditions else "lesions"])
    return rule.format(condition=comparison.condition, focus=display_name(comparison.focus), other=other)


def choose_subject(comparison: Comparison) -> str | None:
    """The subject of all figures by the rule; None where no PSNR is finite."""
    gap = psnr_differences(comparison)
    who = comparison.cases["subject"]
    by_subject = gap.groupby([str(who[case]) for case in gap.index], sort=True).mean()
    sick = comparison.frame.loc[comparison.frame["lesions_true"] > 0, "subject"].astype(str).unique()
    chosen = by_subject[by_subject.index.isin(sick)] if len(sick) else by_subject
    ordered = (chosen if len(chosen) else by_subject).sort_values(kind="stable")
    return str(ordered.index[(len(ordered) - 1) // 2]) if len(ordered) else None


def load_condition(comparison: Comparison, subject: str) -> ConditionPanels | None:
    """Read the images of a subject in one condition; None where one is gone."""
    firsts = first_seeds(comparison, "subject", subject, ("clean", *comparison.references, *comparison.methods))
    if "clean" not in firsts:
        return None
    try:
        volumes = {m: read_volume(Path(row["restored"])) for m, row in firsts.items()}
        brain, lesions = (read_mask(firsts["clean"], column, volumes["clean"].axes) for column in ("brain", "lesions"))
    except UserError:
        return None
    truth = volumes["clean"]
    images = {m: axial_view(v.data, v.affine) for m, v in volumes.items()}
    sick = None if lesions is None else displayed_mask(lesions, truth)
    z = _slice(images["clean"], sick)
    box = head_window(images["clean"][:, :, z])
    slices = {m: image[*box, z] for m, image in images.items()}
    shown = None if sick is None else sick[*box, z]
    window = _window(slices, shown, comparison)
    spectra = {} if brain is None else {m: _log(image, displayed_mask(brain, truth)) for m, image in images.items()}
    known = {m: power for m, power in spectra.items() if power is not None}
    return ConditionPanels(images, z, box, voxel_aspect(truth), "", window, known, shown)


def _slice(clean: Array, lesions: Mask | None) -> int:
    if lesions is not None and lesions.any():
        return int(np.argmax(lesions.sum(axis=(0, 1))))
    return int(clean.shape[2]) // 2


def _window(slices: dict[str, Array], lesions: Mask | None, part: Comparison) -> tuple[slice, slice]:
    """Around the largest lesion; without one where the focus differs most from what it is set against."""
    clean = slices["clean"]
    if lesions is None or not lesions.any():
        return choose_detail(slices.get(part.focus, clean) - slices.get(part.contrast_method or "clean", clean))
    from scipy import ndimage

    labels, count = ndimage.label(lesions)
    sizes = ndimage.sum(lesions, labels, range(1, count + 1))
    middle = ndimage.center_of_mass(labels == int(np.argmax(sizes)) + 1)
    side = max(8, round(0.3 * min(clean.shape)))
    starts = [int(np.clip(round(m - side / 2), 0, n - side)) for m, n in zip(middle, clean.shape, strict=True)]
    return slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side)


def _log(image: Array, brain: Mask) -> NDArray[np.float64] | None:
    power = spectrum(image, brain)
    if power is None or not power.max() > 0:
        return None
    return np.asarray(np.log10(np.maximum(power / power.sum(), 1e-12)))


def condition_figure(comparison: Comparison, panels: ConditionPanels, name: str, subject: str, path: Path) -> Path:
    """Draw one condition of a subject (:func:`choose_subject`) as a PNG."""

    def _show(axis: Any, image: Array) -> Any:
        return show_slice(axis, image, panels.colours, (0, panels.top), panels.aspect)

    def _finish(axes: Any) -> None:
        style = {"transform": axes[0][0].transAxes, "color": "white", "fontweight": "bold"}
        axes[0][0].text(0.02, 0.98, name, va="top", **style)
        if panels.lesions is not None and panels.lesions[panels.window].any():
            axes[1][0].contour(panels.lesions[panels.window], levels=[0.5], colors="#E69F00", linewidths=0.8)
        for column, method in enumerate(panels.volumes if panels.spectra else ()):
            _spectrum(axes[3][column], panels.spectra.get(method), comparison, subject, method)

    titles = ("Slice", "Detail", "Image − clean", *["Spectrum"] * bool(panels.spectra))
    how: dict[str, Any] = {"titles": titles, "aspect": panels.aspect, "finish": _finish}
    return column_figure(path, panels.images, panels.errors, panels.window, _show, panels.worst, **how)


def _spectrum(axis: Any, power: NDArray[np.float64] | None, part: Comparison, subject: str, method: str) -> None:
    axis.set_axis_off()
    if power is None:
        return
    axis.imshow(power, cmap="magma", vmin=-8, vmax=-2, interpolation="nearest")
    places = {
        place for u, v in GRID for sign in (1, -1) for place in bins((power.shape[0], power.shape[1]), (u, sign * v))
    }
    for row, column in places:
        axis.plot(column, row, "o", markersize=5, markerfacecolor="none", markeredgecolor="white", markeredgewidth=0.6)
    rows = part.rows(method)
    value = rows.loc[rows["subject"].astype(str) == subject, "checkerboard"].mean()
    axis.set_title(f"grid {number(1000 * float(value), 2)} ‰", fontsize=8)


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


def condition_chart(comparison: Comparison, path: Path) -> Path | None:
    """Draw every measure of every condition; None where there is one kind of image."""
    panels = [one for one in _PANELS if comparison.frame[one[0]].notna().any()]
    if not comparison.conditions or not panels:
        return None
    names = list(comparison.conditions)
    height = 1.0 + len(names) * (0.14 + 0.1 * (len(comparison.methods) + 1))
    with panel_axes(len(panels), (2.6, height), sharey=True) as (figure, axes):
        for axis, panel in zip(axes, panels, strict=True):
            _panel(axis, comparison, panel)
            axis.set_yticks(range(len(names)), names[::-1])
            axis.set_ylim(-0.6, len(names) - 0.4)
        handles, labels = axes[0].get_legend_handles_labels()
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
            interval = mean_of(part.rows(method), column, factor)
            if math.isnan(interval.estimate):
                continue
            offset = 0.36 - 0.72 * every.index(method) / max(1, len(every) - 1)
            mark_interval(axis, interval, place + offset, *method_style(method, comparison.methods))
    for method in comparison.methods:
        colour, marker = method_style(method, comparison.methods)
        axis.plot([], [], marker, color=colour, label=display_name(method))
    axis.plot([], [], method_style("clean", ())[1], color=method_style("clean", ())[0], label=display_name("clean"))
    axis.set_title(title)
    axis.locator_params(axis="x", nbins=4)
