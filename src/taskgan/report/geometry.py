"""The geometry of the mapping: shrinking, twisting and retrieval of every method (Figure 4, measured)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from taskgan.evaluate import cases as summary
from taskgan.evaluate.features import Features, read_features
from taskgan.metrics.geometry import FeatureMapping, rank_correlation, retrieval, shrinkage, standardise
from taskgan.page.cells import Cell, Column, Table, difference_cell, number, range_text, without_empty_columns
from taskgan.page.names import display_name, name_cell, versus_cell
from taskgan.report.load import Comparison, EvaluationFolder
from taskgan.stats import Interval, exact_rate, subject_means

Array = NDArray[np.float64]
SHRINKAGE, SLOPE, RANKS, RETRIEVAL, FLIPS = "shrinkage", "slope", "rank_correlation", "retrieval", "flips"
_MEASURES = {SHRINKAGE: shrinkage, RANKS: rank_correlation, RETRIEVAL: retrieval}
_NOTE = (
    "Distances in the judge’s features (last stage, averaged over each slice and over the middle slices, each "
    "feature on the scale of the clean images’ standard deviation), between different subjects. "
)
_NOTE_OF_PHOTOS = (
    "Distances in the judge’s features (last stage, averaged over each photo, each feature on the scale of the clean "
    "photos’ standard deviation), between different people. "
)
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
        notes.append(
            f"{len(without)} of {len(held)} evaluations ({listed}) hold no features of a judge; where the cohort has "
            "one, evaluate them again."
        )
    if selected is not None:
        notes.append(
            f"Of {len(comparison.cases)} cases the first one of {len(selected)} subjects, evenly spaced "
            "by name: pairs "
            "of all of them would be too many."
        )
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
    columns: tuple[Column, ...] = (
        Column("method", "Images"),
        Column("runs", "Runs", "Training runs (seeds, folds) whose features are there."),
        Column(
            SHRINKAGE,
            "Shrinkage",
            "Mean distance between images over that between clean ones. Below 1 shrinks the differences between "
            "subjects, above 1 adds to them.",
        ),
        Column(SLOPE, "SUVR slope", "Image on clean SUVR; below 1 shrinks. No network is asked."),
        Column(RANKS, "Rank correlation", "Spearman, of the distances between images with those between clean ones."),
        Column(
            RETRIEVAL,
            "Retrieval",
            "Share of images whose nearest clean image is their own"
            + (f"; {1 / chance:.2f} by chance." if chance else "."),
        ),
        Column(FLIPS, "Flips", f"Share of cases that the {by} reads otherwise than their clean image."),
    )
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
    return Table(
        "geometry",
        "Figure 4 in figures",
        (_NOTE_OF_PHOTOS if comparison.photos else _NOTE)
        + "Shrinkage and slope are marked where their intervals exclude 1. "
        + " ".join(geometry.notes),
        columns,
        tuple(rows),
        "No evaluation holds features of a judge."
        if comparison.photos
        else "The cohort has neither a judge nor masks for the SUVR.",
    )


def _cell(interval: Interval | None, measure: str) -> Cell:
    if interval is None:
        return Cell("–", "", Interval(math.nan, math.nan, math.nan))
    tone = "worse" if measure in (SHRINKAGE, SLOPE) and interval.excludes(1.0) else ""
    return Cell(number(interval.estimate, 2), range_text(interval, 2), interval, tone)


def geometry_paired(comparison: Comparison, geometry: MappingGeometry) -> Table:
    """Paired differences of the measures that are taken on features, to the baseline and to the input."""
    columns = (
        Column("difference", "Difference"),
        Column(SHRINKAGE, "Shrinkage", "Neither sign is better by itself: 1 is the aim."),
        Column(RANKS, "Rank correlation"),
        Column(RETRIEVAL, "Retrieval"),
    )
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
    return Table(
        "geometry-paired",
        "Paired differences in geometry",
        "First minus second, on the subjects of both. ▲ better, ▼ worse: the 95 % interval excludes zero.",
        columns,
        tuple(rows),
        "No two methods hold features of a judge.",
    )
