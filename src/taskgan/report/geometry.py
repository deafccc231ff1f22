"""The geometry of the mapping: shrinking, twisting and retrieval of every method (Figure 4, measured and drawn)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.evaluate import cases as summary
from taskgan.evaluate.features import Features, read_features
from taskgan.metrics.geometry import FeatureMapping, rank_correlation, retrieval, shrinkage, standardise
from taskgan.page.cells import (
    Cell,
    Table,
    difference_cell,
    display_name,
    estimate_cell,
    name_cell,
    number,
    report_texts,
    text_columns,
    text_table,
    versus_cell,
    without_empty_columns,
)
from taskgan.page.style import blank_figure, draw_mapping, method_style, save_figure, set_heading
from taskgan.report.load import Comparison, EvaluationFolder
from taskgan.stats import Interval, exact_rate, subject_means

Array = NDArray[np.float64]
SHRINKAGE, SLOPE, RANKS, RETRIEVAL, FLIPS = "shrinkage", "slope", "rank_correlation", "retrieval", "flips"
_MEASURES = {SHRINKAGE: shrinkage, RANKS: rank_correlation, RETRIEVAL: retrieval}
_SLICES = "slice and over the middle slices"
_MAX_CASES = 300  # cases: every draw of the bootstrap ranks all pairs of them
_FEWEST_CASES = 3
_SUBSET_SUBJECTS = 120  # subjects of more cases


@dataclass(frozen=True)
class MethodMapping:
    """One mapping and whose it is.

    Attributes:
        method: ``input`` or a restoring method.
        seed: Of the training; None where unknown.
        labels: (N,) of the cases, NaN where unknown.
        mapping: Positions in standardised features.
    """

    method: str
    seed: float | None
    labels: Array
    mapping: FeatureMapping


@dataclass(frozen=True)
class MappingGeometry:
    """Everything that the table and the figure show.

    Attributes:
        methods: ``input`` and the restoring methods.
        mapped_runs: Mappings of the evaluations that hold features.
        measures: Per method, those of the five that are known.
        notes: What is missing, a sentence each.
    """

    methods: tuple[str, ...]
    mapped_runs: tuple[MethodMapping, ...]
    measures: dict[str, dict[str, Interval]]
    notes: tuple[str, ...]

    def mappings(self, method: str) -> list[FeatureMapping]:
        """The mappings of a method, one a training run."""
        return [run.mapping for run in self.mapped_runs if run.method == method]


def mapping_geometry(comparison: Comparison) -> MappingGeometry:
    """Read the features of all evaluations and measure the mappings.

    Raises:
        UserError: If a features file is damaged.
    """
    methods = (*comparison.references, *comparison.methods)
    if len(comparison.cases) < _FEWEST_CASES:
        few = f"There are {len(comparison.cases)} cases, too few for distances between them."
        return MappingGeometry(methods, (), {method: {} for method in methods}, (few,))
    held = [(one, read_features(one.folder)) for one in comparison.evaluations]
    selected = _case_subset(comparison)
    if selected is not None:
        held = [(one, None if features is None else _subset(features, selected)) for one, features in held]
    runs = _runs(comparison, [(one, features) for one, features in held if features is not None])
    measures = {method: _measure(comparison, method, runs) for method in methods}
    without = [display_name(str(one.record.get("method"))) for one, features in held if features is None]
    notes = []
    if without:
        listed = ", ".join(dict.fromkeys(without))
        notes.append(report_texts("geometry")["notes"]["missing"].format(len(without), len(held), listed))
    if selected is not None:
        notes.append(report_texts("geometry")["notes"]["subset"].format(len(comparison.cases), len(selected)))
    return MappingGeometry(methods, runs, measures, tuple(notes))


def _case_subset(comparison: Comparison) -> frozenset[str] | None:
    """Where there are many cases, the first one of each of some subjects; None for all."""
    if len(comparison.cases) <= _MAX_CASES:
        return None
    clean = comparison.rows("clean").sort_values(["subject", "case"], kind="stable").drop_duplicates("subject")
    places = np.unique(np.linspace(0, len(clean) - 1, min(_SUBSET_SUBJECTS, len(clean))).round().astype(int))
    return frozenset(str(case) for case in clean["case"].iloc[places])


def _subset(features: Features, selected: frozenset[str]) -> Features:
    places = [k for k, case in enumerate(features.cases) if str(case) in selected]
    images = {name: values[places] for name, values in features.images.items()}
    return Features(tuple(features.cases[k] for k in places), images)


def _runs(comparison: Comparison, held: Sequence[tuple[EvaluationFolder, Features]]) -> tuple[MethodMapping, ...]:
    mapped_runs: list[MethodMapping] = []
    cases: set[str] = set()  # cases whose degraded image is there: all evaluations of a cohort share it
    for one, features in held:
        if "input" in features.images and not cases.issuperset(features.cases):
            cases.update(features.cases)
            mapped_runs.append(_run(comparison, features, "input", "input", None))
        seed = one.record.get("seed")
        method = str(one.record.get("method"))
        mapped_runs.append(_run(comparison, features, "restored", method, None if seed is None else float(seed)))
    return tuple(mapped_runs)


def _run(comparison: Comparison, features: Features, image: str, method: str, seed: float | None) -> MethodMapping:
    rows = comparison.rows("clean").set_index("case").reindex(list(features.cases))
    clean = features.images["clean"]
    mapping = FeatureMapping(
        standardise(features.images[image], clean), standardise(clean, clean), tuple(map(str, rows["subject"]))
    )
    return MethodMapping(method, seed, rows["label"].to_numpy(dtype=np.float64), mapping)


def _measure(comparison: Comparison, method: str, runs: Sequence[MethodMapping]) -> dict[str, Interval]:
    mappings = [run.mapping for run in runs if run.method == method]
    measures = {name: measure(mappings) for name, measure in _MEASURES.items()} if mappings else {}
    rows, clean = comparison.rows(method), comparison.rows("clean")
    measures[SLOPE] = summary.suvr_agreement(rows).slope
    reader = _reader(comparison)
    known = rows[rows[f"{reader}_decision"].notna()]
    turned = summary.flipped_rows(known, clean, reader).to_numpy(dtype=np.float64)
    shares, _ = subject_means(turned, list(known["subject"]))
    measures[FLIPS] = exact_rate(float(shares.sum()), len(shares))
    return {name: interval for name, interval in measures.items() if not math.isnan(interval.estimate)}


def _reader(comparison: Comparison) -> str:
    """The judge, or the SUVR where there is no judge."""
    return "judge" if comparison.rows("clean")["judge_decision"].notna().any() else "suvr"


def geometry_table(comparison: Comparison, geometry: MappingGeometry) -> Table:
    """The five measures of every method with their intervals."""
    by = "judge" if _reader(comparison) == "judge" else "SUVR"
    chance = max((len(set(run.mapping.subjects)) for run in geometry.mapped_runs), default=0)
    columns = text_columns("geometry", reader=by, chance=f"; {1 / chance:.2f} by chance" if chance else "")
    rows: list[tuple[Cell, ...]] = []
    for method in geometry.methods:
        measures = geometry.measures[method]
        if measures:
            count = len(geometry.mappings(method))
            name = name_cell(method, tone="strong")
            cells = (_cell(measures.get(c.key), c.key) for c in columns[2:])
            rows.append((name, Cell(str(count) if method != "input" else "–", "", count), *cells))
    if comparison.photos:
        columns, rows = without_empty_columns(columns, rows)
    photos = comparison.photos
    image, images, whose = ("photo", "photos", "people") if photos else (_SLICES, "images", "subjects")
    empty = report_texts("geometry")["notes"]["photos" if photos else "volumes"]
    words = {"image": image, "images": images, "whose": whose, "notes": " ".join(geometry.notes), "empty": empty}
    return text_table("geometry", columns, rows, **words)


def _cell(interval: Interval | None, measure: str) -> Cell:
    if interval is None:
        return Cell("–", "", Interval(math.nan, math.nan, math.nan))
    tone = "worse" if measure in (SHRINKAGE, SLOPE) and interval.excludes(1.0) else ""
    return estimate_cell(interval, 2, tone=tone)


def geometry_paired(comparison: Comparison, geometry: MappingGeometry) -> Table:
    """Paired differences of the measures that are taken on features, to the baseline and to the input."""
    pairs = [(m, comparison.baseline) for m in comparison.compared_methods]
    if comparison.references and comparison.baseline != "input":
        pairs += [(m, "input") for m in comparison.methods]
    rows = []
    for method, baseline in pairs:
        ours, theirs = geometry.mappings(method), geometry.mappings(baseline)
        if not ours or not theirs:
            continue
        values = {name: measure(ours, against=theirs) for name, measure in _MEASURES.items()}
        plainly = difference_cell(values[SHRINKAGE], 2, better=1)
        tone = "none" if plainly.tone == "none" else "strong"
        text = number(values[SHRINKAGE].estimate, 2, sign=True)
        rows.append(
            (
                versus_cell(method, baseline),
                Cell(text, plainly.small, plainly.value, tone),
                *(difference_cell(values[name], 2, better=1) for name in (RANKS, RETRIEVAL)),
            )
        )
    return text_table("geometry-paired", text_columns("geometry-paired"), rows)


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

    Those of all methods look alike: what tells them apart is measured above. None where nothing is known.
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
