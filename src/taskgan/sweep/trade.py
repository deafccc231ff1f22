"""PSNR against the error of the judge: every setting as a labelled point, with the Pareto front."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.sweep.choose import SettingChoice
from taskgan.sweep.panels import MEASURE_TITLES, draw_point, marker_style, values_text
from taskgan.sweep.results import SettingResult

Array = NDArray[np.float64]
_DIRECTIONS = np.deg2rad([0, 180, 90, 270, 45, 135, 315, 225, 22, 158, 202, 338, 68, 112, 248, 292])


def place_labels(
    points: Array,
    sizes: Array,
    bounds: tuple[float, float, float, float],
    *,
    markers: Array,
    gap: float,
    obstacles: Array | None = None,
) -> list[tuple[float, float] | None]:
    """Find a place for each label, near its point, the crowded ones first.

    Args:
        points: (N, 2) in pixels.
        sizes: (N, 2) width and height of each label in pixels.
        bounds: Left, bottom, right, top of the room, in pixels.
        markers: (N,) half the edge of what each point is drawn as, in pixels.
        gap: Smallest distance of a label to markers and other labels, in pixels.
        obstacles: (M, 2) further points that a label keeps off, e.g. along a line.

    Returns:
        Lower left corner of each label; None for one that has no place left.
    """
    count = len(points)
    taken = [np.array([*(p - half), *(p + half)]) for p, half in zip(points, markers, strict=True)]
    taken += [np.array([*p, *p]) for p in (obstacles if obstacles is not None else ())]
    positions: list[tuple[float, float] | None] = [None] * count
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    crowd = (apart < 2 * sizes.max(initial=0.0)).sum(axis=1)
    reach = max(bounds[2] - bounds[0], bounds[3] - bounds[1])
    for index in sorted(range(count), key=lambda i: -crowd[i]):
        others = np.array(taken)
        for box in _candidates(points[index], sizes[index], float(markers[index]) + gap, reach):
            inside = (box[:2] >= bounds[:2]).all() and (box[2:] <= bounds[2:]).all()
            if inside and not overlaps(box, others, gap):
                taken.append(box)
                positions[index] = (float(box[0]), float(box[1]))
                break
    return positions


def overlaps(box: Array, others: Array, gap: float = 0.0) -> bool:
    """Whether a box (left, bottom, right, top) comes closer than ``gap`` to any of ``others`` (N, 4)."""
    apart = (box[:2] >= others[:, 2:] + gap) | (others[:, :2] - gap >= box[2:])
    return not bool(apart.any(axis=1).all())


def _candidates(point: Array, size: Array, distance: float, reach: float) -> Sequence[Array]:
    """Boxes around a point, from near to far; a box touches the circle of its distance from outside."""
    boxes = []
    steps = distance * 1.35 ** np.arange(0, 40)
    for radius in steps[steps < reach]:
        for angle in _DIRECTIONS:
            way = np.array([np.cos(angle), np.sin(angle)])
            centre = point + way * radius + np.sign(np.round(way, 6)) * np.abs(way) * size / 2
            boxes.append(np.array([*(centre - size / 2), *(centre + size / 2)]))
    return boxes


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
