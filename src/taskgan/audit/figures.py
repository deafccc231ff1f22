"""Figures of the audit: before and after of every judge, Bland–Altman, intervals, and the flipped cases."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from taskgan.audit.maps import CaseMaps
from taskgan.audit.outcome import Outcome
from taskgan.audit.readings import CLEAN, INPUT, Loaded
from taskgan.report.cells import number
from taskgan.report.images import axial, head_box
from taskgan.report.load import shown
from taskgan.report.style import canvas, look, save

Array = NDArray[np.float32]
_INK, _WRONG, _SHADE = "#444444", "#C44601", "#f3e3d9"


def before_after(outcome: Outcome, path: Path) -> Path:
    """Restored against clean score of every judge; a case in a shaded quadrant flipped."""
    judges = outcome.readings.judges
    colour, _ = look(outcome.method, [outcome.method])
    with canvas(1, len(judges), (3.3 * len(judges), 3.5)) as (figure, axes):
        for axis, judge in zip(axes[0], judges, strict=True):
            rows = outcome.readings.of(judge, outcome.method)
            clean = outcome.readings.of(judge, CLEAN).reindex(rows.index)
            cut = float(rows["cut"].iloc[0])
            x, y = clean["score"], rows["score"]
            own = judge in outcome.readings.values
            low, high = (min(x.min(), y.min()), max(x.max(), y.max())) if own else (0.0, 1.0)
            low, high = float(low) - 0.04, float(high) + 0.04
            axis.plot([low, high], [low, high], color=_INK, linewidth=0.8)
            if np.isfinite(cut):
                axis.fill_between([low, cut], cut, high, color=_SHADE, linewidth=0)
                axis.fill_between([cut, high], low, cut, color=_SHADE, linewidth=0)
                axis.axhline(cut, color=_INK, linewidth=0.8, linestyle=(0, (4, 3)))
                axis.axvline(cut, color=_INK, linewidth=0.8, linestyle=(0, (4, 3)))
            _marks(axis, rows, x, y, colour, _flipped(rows, clean))
            axis.set(xlim=(low, high), ylim=(low, high), aspect="equal")
            axis.set_title(judge if outcome.fitness[judge].fit else f"{judge} (no judge)")
            axis.set_xlabel("Clean image")
        axes[0][0].set_ylabel(f"Restored by {shown(outcome.method)}")
        axes[0][0].legend(loc="upper left")
        return save(figure, path)


def _flipped(rows: pd.DataFrame, clean: pd.DataFrame) -> pd.Series:
    both = rows["decision"].notna() & clean["decision"].notna()
    return both & (rows["decision"] != clean["decision"])


def _marks(
    axis: Any, rows: pd.DataFrame, x: pd.Series, y: pd.Series, colour: str, flipped: pd.Series
) -> None:
    positive = rows["label"] > 0.5
    style: dict[str, Any] = {"marker": "o", "markersize": 5.5, "linestyle": "none", "markeredgecolor": colour}
    axis.plot(x[positive], y[positive], markerfacecolor=colour, label="positive", **style)
    axis.plot(x[~positive], y[~positive], markerfacecolor="white", label="negative", **style)
    ring = {
        "marker": "o",
        "markersize": 10,
        "linestyle": "none",
        "markerfacecolor": "none",
        "markeredgewidth": 1.3,
    }
    axis.plot(
        x[flipped], y[flipped], markeredgecolor=_WRONG, label="flipped" if flipped.any() else None, **ring
    )


def bland_altman(outcome: Outcome, path: Path) -> Path | None:
    """Restored − clean value against their mean, with bias and limits of agreement; None where nobody reads "
    "values."""
    if not outcome.agreements:
        return None
    judge = list(outcome.agreements)[-1]  # the observer, where there is one
    found = outcome.agreements[judge][outcome.method]
    rows = outcome.readings.of(judge, outcome.method)
    clean = outcome.readings.of(judge, CLEAN).reindex(rows.index)
    colour, _ = look(outcome.method, [outcome.method])
    with canvas(1, 1, (5.2, 3.2)) as (figure, axes):
        axis = axes[0][0]
        axis.axhline(0, color=_INK, linewidth=0.8)
        axis.axhline((found.low + found.high) / 2, color=colour, linewidth=1.6)
        for limit in (found.low, found.high):
            axis.axhline(limit, color=colour, linewidth=1.2, linestyle=(0, (4, 3)))
        gap = rows["score"] - clean["score"]
        _marks(axis, rows, (rows["score"] + clean["score"]) / 2, gap, colour, _flipped(rows, clean))
        axis.set_xlabel(f"Mean of the two ({judge})")
        axis.set_ylabel("Restored − clean")
        axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
        return save(figure, path)


def intervals(outcome: Outcome, path: Path) -> Path | None:
    """Conformal interval and truth of every test subject, sorted by the truth; None where there are none."""
    found = [
        m for m in outcome.conformal.measured if m.calibration.kind == "interval" and np.isfinite(m.width)
    ]
    if not found or not found[-1].subjects:
        return None
    judge = found[-1].calibration.target
    rows = found[-1].rows.sort_values("truth").reset_index(drop=True)
    inside = (rows["low"] <= rows["truth"]) & (rows["truth"] <= rows["high"])
    with canvas(1, 1, (max(4.0, min(9.0, 0.16 * len(rows) + 2)), 3.0)) as (figure, axes):
        axis = axes[0][0]
        place = np.arange(len(rows))
        axis.vlines(place, rows["low"], rows["high"], color="#9a9a9a", linewidth=3)
        axis.plot(
            place[inside], rows["truth"][inside], "o", color="black", markersize=4, label="clean, inside"
        )
        if not inside.all():
            axis.plot(
                place[~inside],
                rows["truth"][~inside],
                "X",
                color=_WRONG,
                markersize=7,
                label="clean, outside",
            )
        cut = float(outcome.readings.of(judge, CLEAN)["cut"].iloc[0])
        if np.isfinite(cut):
            axis.axhline(cut, color=_INK, linewidth=0.8, linestyle=(0, (4, 3)))
        axis.set_xticks([])
        axis.set_xlabel("Test subjects, by the value of their clean image")
        axis.set_ylabel(judge)
        axis.legend(loc="upper left")
        return save(figure, path)


def case_figure(case: Loaded, method: str, maps: CaseMaps, path: Path) -> Path:
    """Input, restored, clean, error, evidence and hallucination map of one slice, side by side.

    Args:
        case: The images.
        method: The audited method.
        maps: What moved the judge, whole volumes (X, Y, Z), zero outside of the slice that is shown.
        path: PNG to write.
    """
    affine = case.source.affine
    pick = axial(case.images[CLEAN], affine)
    z = maps.axial_slice(affine, pick.shape[2])
    box = head_box(pick[:, :, z])
    images = {name: _plane(case.images[name], affine, z, box) for name in (INPUT, method, CLEAN)}
    top = 1.15 * float(np.percentile(images[CLEAN], 99.8)) or 1.0
    error = images[method] - images[CLEAN]
    shown_maps = {name: _plane(volume, affine, z, box) for name, volume in maps.volumes.items()}
    aspect = _aspect(case)
    tall = error.shape[0] / error.shape[1] * aspect
    columns = [*images, "error", *shown_maps]
    with canvas(
        2, len(columns), (1.8 * len(columns), 1.8 * tall + 0.75), gridspec_kw={"height_ratios": (tall, 0.05)}
    ) as (
        figure,
        axes,
    ):
        drawn: dict[str, Any] = {}
        for axis, (name, image) in zip(axes[0], images.items(), strict=False):
            drawn[name] = axis.imshow(
                image, cmap="gray_r", vmin=0, vmax=top, interpolation="nearest", aspect=aspect
            )
            axis.set_title("Restored" if name == method else shown(name))
        worst = max(float(np.percentile(np.abs(error), 99.8)), 1e-9)
        at = len(images)
        drawn["error"] = axes[0][at].imshow(
            error, cmap="RdBu_r", vmin=-worst, vmax=worst, interpolation="nearest", aspect=aspect
        )
        axes[0][at].set_title("Restored − clean")
        for k, (name, image) in enumerate(shown_maps.items(), start=at + 1):
            limit = maps.limit(name, shown_maps)
            drawn[name] = axes[0][k].imshow(
                image, cmap="PuOr_r", vmin=-limit, vmax=limit, interpolation="nearest", aspect=aspect
            )
            _outline(axes[0][k], images[CLEAN])
            axes[0][k].set_title(name)
        for axis in axes[0]:
            axis.set_xticks([])
            axis.set_yticks([])
            for side in axis.spines.values():
                side.set_visible(False)
        units = {CLEAN: "image units", "error": "image units", **dict.fromkeys(shown_maps, maps.unit)}
        for axis, name in zip(axes[1], columns, strict=True):
            if name in units and name in drawn:
                bar = figure.colorbar(
                    drawn[name], cax=axis, orientation="horizontal", label=maps.units.get(name, units[name])
                )
                bar.ax.tick_params(labelsize=7)
                bar.locator = _few()
                bar.update_ticks()
            else:
                axis.axis("off")
        for x, side in ((0.02, "R"), (0.98, "L")):
            axes[0][0].text(
                x,
                0.02,
                side,
                ha="left" if side == "R" else "right",
                transform=axes[0][0].transAxes,
                fontsize=8,
                color="#555555",
            )
        return save(figure, path)


def _plane(volume: Array, affine: NDArray[np.float64], z: int, box: tuple[slice, slice]) -> Array:
    plane: Array = axial(volume, affine)[:, :, z][box]
    return plane


def _aspect(case: Loaded) -> float:
    turned = nib.orientations.io_orientation(case.source.affine)
    edge = {int(axis): case.source.voxel_size[k] for k, axis in enumerate(turned[:, 0])}
    return edge[1] / edge[0]


def _outline(axis: Any, clean: Array) -> None:
    level = 0.1 * float(np.percentile(clean, 99))
    if clean.min() < level < clean.max():
        axis.contour(clean, levels=[level], colors="#999999", linewidths=0.6)


def _few() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(3)


def caption(row: pd.Series, judges: Sequence[str]) -> str:
    """Both opinions of every judge on a flipped case, in words."""
    parts = []
    for judge in judges:
        turned = row[f"{judge}_direction"]
        text = f"{number(float(row[f'{judge}_clean']), 2)} → {number(float(row[f'{judge}_restored']), 2)}"
        parts.append(f"{judge} {text}" + (f" ({turned})" if turned else " (kept)"))
    return "; ".join(parts)
