"""The geometry of the mapping as a figure: the measures with intervals, and where every test image goes."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.page.names import display_name
from taskgan.page.pictures import draw_mapping
from taskgan.page.style import blank_figure, method_style, save_figure, set_heading
from taskgan.report.geometry import FLIPS, RANKS, RETRIEVAL, SHRINKAGE, SLOPE, MappingGeometry, MethodMapping
from taskgan.report.load import Comparison
from taskgan.stats import Interval

Array = NDArray[np.float64]
# Heading and the value of a mapping that changes nothing.
_PANELS = {
    SHRINKAGE: ("Shrinkage (features)", 1.0),
    SLOPE: ("Slope (SUVR)", 1.0),
    RANKS: ("Rank correlation", 1.0),
    RETRIEVAL: ("Retrieval", 1.0),
    FLIPS: ("Flips", 0.0),
}


def geometry_figure(comparison: Comparison, geometry: MappingGeometry, path: Path) -> Path | None:
    """Draw the measures and, where evaluations hold features, the mappings of input, baseline and focus method.

    Those of all methods look alike: what tells them apart is measured above.

    Args:
        comparison: For the look of its methods.
        geometry: What was measured.
        path: The PNG.

    Returns:
        The path; None where nothing is known.
    """
    panels = [name for name in _PANELS if any(name in m for m in geometry.measures.values())]
    if not panels:
        return None
    methods = [m for m in geometry.methods if geometry.measures[m]]
    pictured = [m for m in methods if m in ("input", comparison.contrast_method, comparison.focus)]
    runs = [next(r for r in geometry.mapped_runs if r.method == m) for m in pictured if geometry.mappings(m)]
    heights = [0.95 + 0.3 * len(methods), *([2.75] if runs else [])]
    with blank_figure((10.4, sum(heights))) as figure:
        parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        top = parts[0].subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axis, name in zip(top, panels, strict=True):
            _measure_panel(axis, comparison, geometry, methods, name)
        if runs:
            _mappings(list(parts[1].subplots(1, len(runs), squeeze=False)[0]), comparison, runs)
        return save_figure(figure, path)


def _measure_panel(
    axis: Any, comparison: Comparison, geometry: MappingGeometry, methods: Sequence[str], name: str
) -> None:
    title, identity = _PANELS[name]
    axis.axvline(identity, color="#222222", linewidth=1)
    for place, method in enumerate(reversed(methods)):
        interval = geometry.measures[method].get(name)
        if interval is not None:
            mark_interval(axis, interval, place, *method_style(method, comparison.methods))
    axis.set_title(title)
    axis.set_yticks(range(len(methods)), [display_name(m) for m in reversed(methods)])
    axis.set_ylim(-0.6, len(methods) - 0.4)
    axis.locator_params(axis="x", nbins=4)


def mark_interval(axis: Any, interval: Interval, place: float, colour: str, marker: str) -> None:
    """An estimate as a marker on the bar of its interval."""
    if not math.isnan(interval.low):
        axis.plot([interval.low, interval.high], [place, place], color=colour, linewidth=2.2)
    axis.plot(interval.estimate, place, marker, color=colour, markersize=6, markeredgewidth=1.6)


def _mappings(axes: list[Any], comparison: Comparison, runs: Sequence[MethodMapping]) -> None:
    """Lines from clean (hollow) to restored (filled), in the first two principal components of clean features."""
    projected = []
    for run in runs:
        directions = principal_directions(run.mapping.clean)
        projected.append((run.mapping.clean @ directions, run.mapping.restored @ directions))
    methods = [both for run, both in zip(runs, projected, strict=True) if run.method != "input"]
    common = _square(methods)
    for axis, run, (clean, restored) in zip(axes, runs, projected, strict=True):
        draw_mapping(axis, clean, restored, run.labels)
        # The input is so far from all clean images that its scale would leave nothing to see of the others.
        suffix = " (own scale)" if run.method == "input" else "" if run.seed is None else f" (seed {run.seed:g})"
        across, up = common if run.method != "input" else _square([(clean, restored)])
        axis.set_xlim(*across)
        axis.set_ylim(*up)
        axis.set_aspect("equal")
        colour = method_style(run.method, comparison.methods)[0]
        set_heading(axis, display_name(run.method) + suffix, 10.4 / len(runs), color=colour)
        axis.set_xlabel("Component 1")
    axes[0].set_ylabel("Component 2")
    axes[0].legend(loc="best", fontsize=7, handletextpad=0.1)


def _square(mappings: Sequence[tuple[Array, Array]]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Ends of both axes, equally long, that hold all positions with a border."""
    if not mappings:
        return (-1.0, 1.0), (-1.0, 1.0)
    every = np.concatenate([position for both in mappings for position in both])
    low, high = every.min(axis=0), every.max(axis=0)
    middle, half = (low + high) / 2, 0.55 * max(float((high - low).max()), 1e-6)
    return (middle[0] - half, middle[0] + half), (middle[1] - half, middle[1] + half)


def principal_directions(values: Array) -> Array:
    """The first two principal directions (F, 2) of centred values (N, F), each with its largest entry positive."""
    _, _, directions = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
    two = np.zeros((values.shape[1], 2))
    leading = directions[:2].T
    two[:, : leading.shape[1]] = leading
    largest = np.abs(two).argmax(axis=0)
    signs = np.sign(two[largest, [0, 1]])
    return np.asarray(two * np.where(signs == 0, 1.0, signs))
