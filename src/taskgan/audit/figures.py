"""Figures of the audit: before and after of every judge, Bland–Altman, intervals, and the flipped cases."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from taskgan.audit.coverage import CoverageResult
from taskgan.audit.flips import class_changes, score_change
from taskgan.audit.maps import CaseMaps
from taskgan.audit.outcome import AuditResult
from taskgan.judges.metrics import flip_indicator
from taskgan.judges.read import LoadedCase
from taskgan.judges.readings import CLEAN, INPUT, Readings
from taskgan.page.cells import display_name
from taskgan.page.style import axes_figure, axial_view, head_window, method_style, save_figure, set_heading

Array = NDArray[np.float32]
_INK, _WRONG, _SHADE = "#444444", "#C44601", "#f3e3d9"
_DASHED: dict[str, Any] = {"color": _INK, "linewidth": 0.8, "linestyle": (0, (4, 3))}


def before_after(outcome: AuditResult, path: Path) -> Path:
    """Restored against clean score of every judge; a case in a shaded quadrant flipped.

    Of several classes: how often which became which.
    """
    judges = outcome.readings.judges
    colour, _ = method_style(outcome.method, [outcome.method])
    with axes_figure(1, len(judges), (3.3 * len(judges), 3.5)) as (figure, axes):
        for axis, judge in zip(axes[0], judges, strict=True):
            rows = outcome.readings.select(judge, outcome.method)
            clean = outcome.readings.select(judge, CLEAN).reindex(rows.index)
            cut = float(rows["cut"].iloc[0])
            prop = outcome.readings.property_of(judge)
            axis.set_title(judge if outcome.fitness[judge].fit else f"{judge} (no judge)")
            axis.set_xlabel(f"Clean image: {prop.unit}")
            if prop.kind == "multi_class":
                _confusion(axis, class_changes(outcome.readings, judge, outcome.method))
                continue
            x, y = clean["prediction"], rows["prediction"]
            own = judge in outcome.readings.value_judges
            low, high = (min(x.min(), y.min()), max(x.max(), y.max())) if own else (0.0, 1.0)
            margin = 0.04 * float(high - low) or 0.04
            low, high = float(low) - margin, float(high) + margin
            axis.plot([low, high], [low, high], color=_INK, linewidth=0.8)
            if np.isfinite(cut):
                axis.fill_between([low, cut], cut, high, color=_SHADE, linewidth=0)
                axis.fill_between([cut, high], low, cut, color=_SHADE, linewidth=0)
                axis.axhline(cut, **_DASHED)
                axis.axvline(cut, **_DASHED)
            _plot_points(axis, rows, x, y, colour, flip_indicator(rows, clean))
            axis.set(xlim=(low, high), ylim=(low, high), aspect="equal")
        axes[0][0].set_ylabel(f"Restored by {display_name(outcome.method)}")
        if axes[0][0].get_legend_handles_labels()[0]:
            axes[0][0].legend(loc="upper left")
        return save_figure(figure, path)


def _confusion(axis: Any, counts: pd.DataFrame) -> None:
    """Cases by the class on the clean image (across) and on the restored one (down)."""
    names, values = list(counts.columns), counts.to_numpy().T
    off = values.copy()
    np.fill_diagonal(off, 0)
    axis.imshow(off, cmap="Oranges", vmin=0, vmax=max(1, int(off.max())) * 1.6)
    for (row, column), count in np.ndenumerate(values):
        weight = "normal" if row == column else "bold"
        axis.text(column, row, str(count) if count else "·", ha="center", va="center", fontweight=weight)
    axis.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axis.set_yticks(range(len(names)), names)
    axis.set_xlabel("Clean image")


def _plot_points(axis: Any, rows: pd.DataFrame, x: pd.Series, y: pd.Series, colour: str, flipped: pd.Series) -> None:
    positive, negative = rows["truth"] > 0.5, rows["truth"] < 0.5
    unknown = ~(positive | negative)
    style: dict[str, Any] = {"marker": "o", "markersize": 5.5, "linestyle": "none", "markeredgecolor": colour}
    parts = ((positive, colour, "positive"), (negative, "white", "negative"), (unknown, colour, None))
    for part, fill, name in parts:
        if name is None or part.any():
            axis.plot(x[part], y[part], markerfacecolor=fill, label=name, **style)
    ring = {**style, "markersize": 10, "markeredgecolor": _WRONG, "markerfacecolor": "none", "markeredgewidth": 1.3}
    axis.plot(x[flipped], y[flipped], label="flipped" if flipped.any() else None, **ring)


def plotted_value(outcome: AuditResult) -> str:
    """Whose values are drawn: of the fit networks that read values the first, else the observer's."""
    names = list(outcome.agreements)
    return next((name for name in names if outcome.judge_of(name) in outcome.fit), names[0])


def bland_altman(outcome: AuditResult, path: Path) -> Path | None:
    """Restored − clean value against their mean, with bias and limits of agreement; None where nobody reads any."""
    if not outcome.agreements:
        return None
    name = plotted_value(outcome)
    judge = outcome.judge_of(name)
    output = name.removeprefix(judge).strip() or None
    limits = outcome.agreements[name][outcome.method]
    rows = outcome.readings.select(judge, outcome.method, output=output)
    clean = outcome.readings.select(judge, CLEAN, output=output).reindex(rows.index)
    colour, _ = method_style(outcome.method, [outcome.method])
    with axes_figure(1, 1, (5.2, 3.2)) as (figure, axes):
        axis = axes[0][0]
        axis.axhline(0, color=_INK, linewidth=0.8)
        axis.axhline((limits.low + limits.high) / 2, color=colour, linewidth=1.6)
        for limit in (limits.low, limits.high):
            axis.axhline(limit, color=colour, linewidth=1.2, linestyle=(0, (4, 3)))
        x, y = (rows["prediction"] + clean["prediction"]) / 2, rows["prediction"] - clean["prediction"]
        _plot_points(axis, rows, x, y, colour, flip_indicator(rows, clean))
        unit = outcome.readings.property_of(judge).unit
        axis.set_xlabel(f"Mean of the two: {unit} by {name}" if unit != name else f"Mean of the two: {name}")
        axis.set_ylabel("Restored − clean")
        if axis.get_legend_handles_labels()[0]:
            axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
        return save_figure(figure, path)


def plotted_interval(outcome: AuditResult) -> CoverageResult | None:
    """Whose conformal intervals are drawn: the first that are finite."""
    every = outcome.conformal.coverage
    return next((m for m in every if m.calibration.kind == "interval" and np.isfinite(m.width)), None)


def conformal_intervals(outcome: AuditResult, path: Path) -> Path | None:
    """Conformal interval and truth of every test subject, sorted by the truth; None where there are none."""
    measured = plotted_interval(outcome)
    if measured is None:
        return None
    judge = measured.calibration.judge
    rows = measured.rows.sort_values("truth").reset_index(drop=True)
    inside = rows["inside"].astype(bool)
    with axes_figure(1, 1, (max(4.0, min(9.0, 0.16 * len(rows) + 2)), 3.0)) as (figure, axes):
        axis = axes[0][0]
        place = np.arange(len(rows))
        axis.vlines(place, rows["low"], rows["high"], color="#9a9a9a", linewidth=3)
        axis.plot(place[inside], rows["truth"][inside], "o", color="black", markersize=4, label="clean, inside")
        if not inside.all():
            axis.plot(place[~inside], rows["truth"][~inside], "X", color=_WRONG, markersize=7, label="clean, outside")
        cut = float(outcome.readings.select(judge, CLEAN)["cut"].iloc[0])
        if np.isfinite(cut):
            axis.axhline(cut, **_DASHED)
        axis.set_xticks([])
        axis.set_xlabel("Test subjects, by the value of their clean image")
        axis.set_ylabel(f"{outcome.readings.property_of(judge).unit} by {measured.calibration.target}")
        axis.legend(loc="upper left")
        return save_figure(figure, path)


_Panel = tuple[str, Array, str, tuple[float, float], str]
"""One column of a case's figure: title, image, colours, their limits, label of the colour bar (empty for none)."""


def case_figure(case: LoadedCase, method: str, maps: CaseMaps, path: Path) -> Path:
    """Input, restored, clean, error, evidence and hallucination map of one slice, side by side; ``path`` is a PNG."""
    affine = case.source.affine
    whole = axial_view(case.images[CLEAN], affine)
    z = maps.axial_slice(affine, whole.shape[2])
    box = head_window(whole[:, :, z])
    images = {name: _plane(case.images[name], affine, z, box) for name in (INPUT, method, CLEAN)}
    planes = {name: _plane(volume, affine, z, box) for name, volume in maps.volumes.items()}
    panels = [*_images(images, method), *_maps(planes, maps)]
    turned = nib.orientations.io_orientation(affine)
    edge = {int(axis): case.source.voxel_size[k] for k, axis in enumerate(turned[:, 0])}
    aspect, clean = edge[1] / edge[0], images[CLEAN]
    tall = clean.shape[0] / clean.shape[1] * aspect
    size = (1.8 * len(panels), 1.8 * tall + 0.75)
    with axes_figure(2, len(panels), size, gridspec_kw={"height_ratios": (tall, 0.05)}) as (figure, axes):
        for axis, below, (title, image, colours, (low, high), label) in zip(axes[0], axes[1], panels, strict=True):
            mappable = axis.imshow(image, cmap=colours, vmin=low, vmax=high, interpolation="nearest", aspect=aspect)
            set_heading(axis, title, 1.8)
            axis.set_axis_off()
            if title in maps.volumes:
                _outline(axis, clean)
            if label:
                bar = figure.colorbar(mappable, cax=below, orientation="horizontal", label=label)
                bar.ax.tick_params(labelsize=7)
                bar.ax.locator_params(nbins=3)
            else:
                below.set_axis_off()
        for x, side, where in ((0.02, "R", "left"), (0.98, "L", "right")):
            transform = axes[0][0].transAxes
            axes[0][0].text(x, 0.02, side, ha=where, transform=transform, fontsize=8, color="#555555")
        return save_figure(figure, path)


def _images(images: Mapping[str, Array], method: str) -> list[_Panel]:
    clean = images[CLEAN]
    top = 1.15 * float(np.percentile(clean, 99.8)) or 1.0
    error = images[method] - clean
    worst = max(float(np.percentile(np.abs(error), 99.8)), 1e-9)
    panels: list[_Panel] = []
    for name, image in images.items():
        title = "Restored" if name == method else display_name(name)
        panels.append((title, image, "gray_r", (0, top), "image units" if name == CLEAN else ""))
    return [*panels, ("Restored − clean", error, "RdBu_r", (-worst, worst), "image units")]


def _maps(planes: Mapping[str, Array], maps: CaseMaps) -> list[_Panel]:
    """On one scale that is symmetric about zero; small numbers are shown in thousandths."""
    limit = max(maps.min_limit, *(float(np.abs(plane).max()) for plane in planes.values()))
    factor, unit = (1000.0, f"10⁻³ {maps.unit}") if limit < 0.01 else (1.0, maps.unit)
    ends = (-factor * limit, factor * limit)
    return [(name, np.float32(factor) * plane, "PuOr_r", ends, unit) for name, plane in planes.items()]


def _plane(volume: Array, affine: NDArray[np.float64], z: int, box: tuple[slice, slice]) -> Array:
    plane: Array = axial_view(volume, affine)[:, :, z][box]
    return plane


def _outline(axis: Any, clean: Array) -> None:
    level = 0.1 * float(np.percentile(clean, 99))
    if clean.min() < level < clean.max():
        axis.contour(clean, levels=[level], colors="#999999", linewidths=0.6)


def case_caption(row: pd.Series, readings: Readings) -> str:
    """Both opinions of every judge on a flipped case, in words."""
    return "; ".join(
        f"{judge} {score_change(readings, judge, row, ' ')} ({row[f'{judge}_direction'] or 'kept'})"
        for judge in readings.deciding_judges
    )
