"""PSNR against the error of the judge: every setting as a labelled point, with the Pareto front."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.sweep.choose import Choice
from taskgan.sweep.labels import place
from taskgan.sweep.names import text
from taskgan.sweep.results import Result

CHOSEN, OTHER, PALE, REFERENCE = "#C44601", "#0072B2", "#767676", "#000000"
_LABELLED = 60  # beyond, only what matters has room
_KINDS = (
    # name, marker, face, edge, size
    ("chosen", "*", CHOSEN, "white", 15),
    ("tie with the chosen", "o", OTHER, OTHER, 6),
    ("differs from the chosen", "o", "white", OTHER, 6),
    ("not eligible", "s", "white", PALE, 5),
    ("reference", "D", REFERENCE, REFERENCE, 5.5),
)


def kind_of(result: Result, choice: Choice) -> str:
    """What a setting is drawn as: one of the names in the legend."""
    if result.label == choice.chosen:
        return "chosen"
    if not result.candidate:
        return "reference"
    if result.label not in choice.eligible:
        return "not eligible"
    return "tie with the chosen" if result.label in choice.ties else "differs from the chosen"


def front(quality: NDArray[np.float64], error: NDArray[np.float64]) -> list[int]:
    """The settings that no other one beats in both: indices by falling quality.

    Args:
        quality: (N,) more is better.
        error: (N,) less is better.
    """
    best, found = np.inf, []
    for index in sorted(range(len(quality)), key=lambda i: (-quality[i], error[i])):
        if error[index] < best:
            best = error[index]
            found.append(index)
    return found


def draw_trade(
    axis: Any, results: Sequence[Result], choice: Choice, metric: str, words: str, limit: float | None
) -> None:
    """Points, front and band; the labels come when the layout is settled (:func:`write_labels`).

    Args:
        axis: Where.
        results: Finished settings.
        choice: What was chosen.
        metric: The error on the horizontal axis.
        words: What it is called.
        limit: PSNR from which a setting is eligible; None where the rule has no such limit.
    """
    error = np.array([r.intervals[metric].estimate for r in results])
    quality = np.array([r.intervals["psnr"].estimate for r in results])
    able = [i for i, r in enumerate(results) if r.candidate]
    edge = [able[i] for i in front(quality[able], error[able])]
    axis.plot(error[edge], quality[edge], color="#444444", linewidth=1.1, label="Pareto front", zorder=1)
    if limit is not None:
        axis.axhspan(
            limit, quality[able].max(), color="#E6EEF4", linewidth=0, zorder=0, label="eligible PSNR"
        )
    kinds = [kind_of(result, choice) for result in results]
    for order, (name, marker, face, line, size) in enumerate(reversed(_KINDS)):
        members = [i for i, kind in enumerate(kinds) if kind == name]
        if members:
            axis.plot(
                error[members],
                quality[members],
                marker,
                markerfacecolor=face,
                markeredgecolor=line,
                markersize=size,
                label=name,
                zorder=2 + order,
            )
    axis.margins(0.14)
    axis.set_xlabel(f"{words} (← better)")
    axis.set_ylabel("PSNR, dB (better →)")
    axis.set_title("PSNR against error")
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, handlelength=1.4, columnspacing=1.2)


def point_labels(results: Sequence[Result], choice: Choice) -> list[str]:
    """The values alone, which are short; empty for what has no room among very many."""
    names = []
    for result in results:
        words = "/".join(text(value) for value in result.values.values()) or result.label
        rest = kind_of(result, choice) in ("not eligible", "differs from the chosen")
        names.append("" if rest and len(results) > _LABELLED else words)
    return names


def write_labels(figure: Any, axis: Any, results: Sequence[Result], choice: Choice, metric: str) -> list[Any]:
    """Write every point's label where it hides nothing, with a line to its point where that is far.

    The layout must be settled: places are found in pixels.

    Returns:
        The texts.
    """
    names = point_labels(results, choice)
    shown = [i for i, name in enumerate(names) if name]
    where = [(results[i].intervals[metric].estimate, results[i].intervals["psnr"].estimate) for i in shown]
    if not shown:
        return []
    renderer = figure.canvas.get_renderer()
    texts = [
        axis.annotate(names[i], xy, xytext=(0, 0), textcoords="offset points", fontsize=7.5, in_layout=False)
        for i, xy in zip(shown, where, strict=True)
    ]
    boxes = [one.get_window_extent(renderer) for one in texts]
    points = axis.transData.transform(where)
    room = axis.get_window_extent(renderer)
    scale = figure.dpi / 72
    found = place(
        points,
        np.array([[box.width, box.height] for box in boxes]),
        (room.x0, room.y0, room.x1, room.y1),
        marker=4.5 * scale,
        gap=1.5 * scale,
    )
    for one, point, corner, box in zip(texts, points, found, boxes, strict=True):
        if corner is None:
            one.remove()
            continue
        # In points, which also a file of another resolution keeps.
        one.set_position(((corner[0] - point[0]) / scale, (corner[1] - point[1]) / scale))
        near = np.clip(point, corner, (corner[0] + box.width, corner[1] + box.height))
        if np.linalg.norm(near - point) > 9 * scale:
            start = axis.transData.inverted().transform([near, point])
            axis.plot(*start.T, color="#999999", linewidth=0.6, zorder=0.5)
    return [one for one, corner in zip(texts, found, strict=True) if corner is not None]
