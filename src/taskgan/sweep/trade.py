"""PSNR against the error of the judge: every setting as a labelled point, with the Pareto front."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.sweep.choose import SettingChoice
from taskgan.sweep.labels import place_labels
from taskgan.sweep.marks import marker_style
from taskgan.sweep.panels import MEASURE_TITLES, draw_point, values_text
from taskgan.sweep.results import SettingResult

_LABELLED = 60  # beyond, only what matters has room


def pareto_front(quality: NDArray[np.float64], error: NDArray[np.float64]) -> list[int]:
    """The settings that no other one beats in both: indices by falling quality.

    Args:
        quality: (N,) more is better.
        error: (N,) less is better.
    """
    best, indices = np.inf, []
    for index in sorted(range(len(quality)), key=lambda i: (-quality[i], error[i])):
        if error[index] < best:
            best = error[index]
            indices.append(index)
    return indices


def draw_trade(
    axis: Any, results: Sequence[SettingResult], choice: SettingChoice, metric: str, within: float | None
) -> NDArray[np.float64]:
    """Points, front and band; the labels come when the layout is settled (:func:`write_labels`).

    Args:
        axis: Where.
        results: Finished settings.
        choice: What was chosen.
        metric: The error on the horizontal axis.
        within: dB below the best PSNR up to which a setting is eligible; None where the rule has no such limit.

    Returns:
        The front (N, 2) as it is drawn.
    """
    error = np.array([r.intervals[metric].estimate for r in results])
    quality = np.array([r.intervals["psnr"].estimate for r in results])
    able = np.array([i for i, r in enumerate(results) if r.candidate])
    edge = able[pareto_front(quality[able], error[able])]
    axis.plot(error[edge], quality[edge], color="#444444", linewidth=1.1, label="Pareto front", zorder=1)
    for result, x, y in zip(results, error, quality, strict=True):
        draw_point(axis, x, y, marker_style(result, choice))
    axis.margins(0.14)
    axis.autoscale_view()
    axis.set_ylim(axis.get_ylim())  # the band does not widen what is shown
    if within is not None:
        best = quality[able].max()
        axis.axhspan(best - within, best, color="#E6EEF4", linewidth=0, zorder=0, label="eligible PSNR")
    axis.locator_params(axis="x", nbins=6)
    axis.set_xlabel(f"{MEASURE_TITLES[metric]} (← better)")
    axis.set_ylabel("PSNR, dB (better →)")
    axis.set_title("PSNR against error")
    return np.column_stack([error[edge], quality[edge]])


def write_labels(
    figure: Any,
    axis: Any,
    results: Sequence[SettingResult],
    choice: SettingChoice,
    metric: str,
    line: NDArray[np.float64],
) -> list[Any]:
    """Write every point's label where it hides nothing, with a thin line to its point where that is far.

    The layout must be settled: places are found in pixels.

    Args:
        figure: The figure.
        axis: Where the points are.
        results: Finished settings.
        choice: What was chosen: it, its ties and the reference keep their labels where there are very many.
        metric: The error on the horizontal axis.
        line: The front (N, 2), which labels keep off.

    Returns:
        The texts.
    """
    xy = np.array([[r.intervals[metric].estimate, r.intervals["psnr"].estimate] for r in results])
    marks = [marker_style(result, choice) for result in results]
    minor = ("not eligible", "differs from the chosen") if len(results) > _LABELLED else ()
    labelled = [i for i, mark in enumerate(marks) if mark.name not in minor]
    names = [values_text(results[i]) for i in labelled]
    renderer, scale = figure.canvas.get_renderer(), figure.dpi / 72
    options = {"textcoords": "offset points", "fontsize": 7.5, "in_layout": False}
    texts = [axis.annotate(n, xy[i], xytext=(0, 0), **options) for n, i in zip(names, labelled, strict=True)]
    boxes = [one.get_window_extent(renderer) for one in texts]
    points, room = axis.transData.transform(xy), axis.get_window_extent(renderer)
    positions = place_labels(
        points[labelled],
        np.array([[box.width, box.height] for box in boxes]),
        (room.x0, room.y0, room.x1, room.y1),
        markers=np.array([marks[i].size * scale / 2 for i in labelled]),
        gap=2 * scale,
        obstacles=_steps(axis.transData.transform(line), 3 * scale),
    )
    for one, index, corner, box in zip(texts, labelled, positions, boxes, strict=True):
        if corner is None:
            one.remove()
            continue
        centre = points[index]
        # In points, which also a file of another resolution keeps.
        one.set_position(tuple((np.array(corner) - centre) / scale))
        near = np.clip(centre, corner, (corner[0] + box.width, corner[1] + box.height))
        if np.linalg.norm(near - centre) > 9 * scale:
            ends = axis.transData.inverted().transform([near, centre])
            axis.plot(*ends.T, color="#999999", linewidth=0.6, zorder=0.5)
    return [one for one, corner in zip(texts, positions, strict=True) if corner is not None]


def _steps(line: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Points along a broken line, at most ``step`` apart."""
    parts = [line[:1]]
    for start, end in pairwise(line):
        count = max(2, int(np.linalg.norm(end - start) / step) + 1)
        parts.append(np.linspace(start, end, count))
    return np.concatenate(parts)
