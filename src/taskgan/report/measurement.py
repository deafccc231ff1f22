"""What a measurement is worth: repeatability over noise realisations, linearity over dose, recovery of findings.

Each is a table and a figure where the evaluations have its columns: ``repeat`` and ``dose`` of ``cases.csv``,
``recovery.csv``. Definitions and sources: ``docs/statistics.md``.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from taskgan.evaluate.cases import RECOVERED, calibrated, read_recovery, suvr_agreement
from taskgan.page import cells
from taskgan.page.cells import Cell, Column, Table
from taskgan.page.style import axes_figure, method_style, save_figure
from taskgan.report.load import Comparison
from taskgan.report.metrics import CENTILOIDS, QIBA_VARIATION
from taskgan.stats import Interval, Repeatability, mean_interval, repeatability

TABLES = ("repeatability", "doses", "recovery")
"""Those of this module."""
CLAIM_LEVEL = 0.9  # whose upper end is the one-sided 95 % limit that a claim of conformance asks for
# Between the diameters of the simulator's lesions (8 to 24 mm) and of NEMA NU 2's spheres (10 to 37 mm).
_DIAMETERS = (0.0, 9.0, 11.0, 14.5, 20.0, 26.0, 33.0, math.inf)
_CONTRASTS = (0.0, 1.75, 2.5, 3.5, math.inf)
Series = Mapping[str, Sequence[tuple[float, Interval]]]


def measurement_tables(comparison: Comparison) -> list[Table]:
    """The tables of :data:`TABLES` whose columns are there."""
    every = (_repeat_table(comparison), _dose_table(comparison), _recovery_table(comparison))
    return [table for table in every if table.rows]


@dataclass(frozen=True)
class _Values:
    """SUVRs of one method at one dose (NaN: unknown), as read or after the method's line."""

    method: str
    dose: float
    rows: pd.DataFrame
    after: bool

    def name_cell(self) -> Cell:
        """The method, and whether its line has been applied."""
        name = cells.name_cell(self.method, tone="strong")
        return Cell(f"{name.text}, after its line", "", f"{name.value}, after its line") if self.after else name


def _values(comparison: Comparison, methods: Sequence[str]) -> Iterator[_Values]:
    for method in methods:
        own = comparison.rows(method)
        for after, rows in ((False, own), (True, calibrated(own))):
            known = rows[rows["suvr_restored"].notna()]
            for _, part in known.groupby("dose", dropna=False):
                yield _Values(method, float(part["dose"].iloc[0]), part, after)


def _repeated(comparison: Comparison) -> list[tuple[_Values, list[Repeatability]]]:
    """Values of repeats with their repeatability by training seed: seeds restore the same noise, and add none."""
    repeated = []
    for one in _values(comparison, ("clean", "input", *comparison.methods)):
        rows = one.rows[one.rows["repeat"] != ""]
        keyed = rows.assign(who=rows["subject"] + "\n" + rows["condition"])
        parts = [part for _, part in keyed.groupby(rows["seed"].fillna(-1))]
        by_seed = [repeatability(p["suvr_restored"], list(p["who"]), level=CLAIM_LEVEL) for p in parts]
        if by_seed and all(each.subjects for each in by_seed):
            repeated.append((one, by_seed))
    return repeated


def pooled(intervals: Sequence[Interval]) -> Interval:
    """Root mean square over training seeds of a within-subject SD or CV, with the interval that one seed has."""
    first = max(intervals, key=lambda one: one.estimate)
    root = float(np.sqrt(np.mean([one.estimate**2 for one in intervals])))
    scale = root / first.estimate if first.estimate else 1.0
    return Interval(root, first.low * scale, first.high * scale)


def _times(interval: Interval, factor: float) -> Interval:
    return Interval(interval.estimate * factor, interval.low * factor, interval.high * factor)


def _repeat_table(comparison: Comparison) -> Table:
    rows = []
    for one, by_seed in _repeated(comparison):
        names = ("deviation", "coefficient", "variation", "relative_coefficient")
        spread, coefficient, variation, relative = (pooled([getattr(s, name) for s in by_seed]) for name in names)
        holds = variation.high <= QIBA_VARIATION
        tone = "better" if holds else "worse" if variation.estimate > QIBA_VARIATION else "none"
        counts = by_seed[0].subjects, by_seed[0].freedom + by_seed[0].subjects
        own = [one.name_cell(), _dose_cell(one.dose), *map(cells.count_cell, counts)]
        own += [cells.estimate_cell(_times(variation, 100), 2, tone=tone), cells.estimate_cell(spread, 4)]
        own += [cells.estimate_cell(coefficient, 3), cells.estimate_cell(_times(coefficient, CENTILOIDS), 1)]
        rows.append((*own, cells.estimate_cell(_times(relative, 100), 1)))
    columns, rows = cells.without_empty_columns(cells.text_columns("repeatability", margin=100 * QIBA_VARIATION), rows)
    return cells.text_table("repeatability", columns, rows)


def _dose_cell(dose: float) -> Cell:
    return Cell("–") if math.isnan(dose) else Cell(f"{dose:g} %", "", dose)


def _dosed(comparison: Comparison) -> list[list[_Values]]:
    """The values of each method with several doses, by dose."""
    known = [one for one in _values(comparison, ("input", *comparison.methods)) if not math.isnan(one.dose)]
    groups: dict[tuple[str, bool], list[_Values]] = {}
    for one in known:
        groups.setdefault((one.method, one.after), []).append(one)
    return [group for group in groups.values() if len(group) > 1]


def dose_trend(rows: pd.DataFrame) -> Interval:
    """How much the SUVR's bias grows with ten times the dose: slope on log₁₀ dose in each subject, mean over them."""
    slopes, subjects = [], []
    for subject, mine in rows.groupby("subject", sort=False):
        by_dose = mine.groupby("dose")["suvr_bias"].mean().dropna()
        if len(by_dose) > 1:
            slopes.append(float(np.polyfit(np.log10(by_dose.index.to_numpy(dtype=float)), by_dose.to_numpy(), 1)[0]))
            subjects.append(subject)
    return mean_interval(slopes, subjects)


def _dose_table(comparison: Comparison) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for group in _dosed(comparison):
        for one in group:
            line = suvr_agreement(one.rows)
            bent, off = line.slope.excludes(1.0), line.bias.excludes(0.0)
            own = [one.name_cell(), _dose_cell(one.dose), cells.count_cell(int(one.rows["subject"].nunique()))]
            own += [cells.estimate_cell(line.slope, 2, tone="worse" * bent), cells.estimate_cell(line.correlation, 3)]
            own += [cells.estimate_cell(line.bias, 3, sign=True, tone="worse" * off)]
            rows.append((*own, cells.number_cell(line.deviation, 3), Cell("")))
        trend = dose_trend(pd.concat([one.rows for one in group]))
        shown = cells.estimate_cell(trend, 3, sign=True, tone="worse" if trend.excludes(0.0) else "none")
        rows.append((group[0].name_cell(), cells.text_cell("all"), *(Cell(""),) * 5, shown))
    return cells.text_table("doses", cells.text_columns("doses"), rows)


def recovered(comparison: Comparison) -> pd.DataFrame:
    """``recovery.csv`` of all evaluations, rows of the cohort's own images once; empty where there is none."""
    tables = [read_recovery(one.folder) for one in comparison.evaluations if (one.folder / RECOVERED).is_file()]
    if not tables:
        return pd.DataFrame()
    frame = pd.concat(tables, ignore_index=True).drop_duplicates(["case", "method", "seed", "fold", "finding"])
    frame["size"] = pd.cut(frame["diameter_mm"], _DIAMETERS, right=False, labels=False)
    frame["hot"] = pd.cut(frame["contrast"], _CONTRASTS, right=False, labels=False)
    return frame


def _band(edges: Sequence[float], index: int, unit: str = "") -> str:
    low, high = edges[index], edges[index + 1]
    if low == 0:
        return f"< {high:g}{unit}"
    return f"≥ {low:g}{unit}" if math.isinf(high) else f"{low:g} to {high:g}{unit}"


def _recovery_table(comparison: Comparison) -> Table:
    frame = recovered(comparison)
    if frame.empty:
        return cells.text_table("recovery", cells.text_columns("recovery"), ())
    contrasts = sorted({int(hot) for hot in frame["hot"].dropna()})
    contrasts = contrasts if len(contrasts) > 1 else []
    rows = []
    for method in ("clean", "input", *comparison.methods):
        for _, part in frame[frame["method"] == method].groupby("size"):
            once = part.drop_duplicates(["case", "finding"])
            own = [
                cells.name_cell(method, tone="strong"),
                cells.text_cell(_band(_DIAMETERS, int(part["size"].iloc[0]), " mm")),
            ]
            own += [cells.count_cell(len(once)), cells.count_cell(int(once["subject"].nunique())), _recovery_cell(part)]
            rows.append((*own, *(_recovery_cell(part[part["hot"] == hot]) for hot in contrasts)))
    headings = [Column(f"contrast_{hot}", f"Contrast {_band(_CONTRASTS, hot)}") for hot in contrasts]
    return cells.text_table("recovery", [*cells.text_columns("recovery"), *headings], rows)


def _recovery_cell(part: pd.DataFrame) -> Cell:
    return cells.estimate_cell(mean_interval(part["recovery"], list(part["subject"])), 2)


def repeatability_chart(comparison: Comparison, path: Path) -> Path | None:
    """Within-subject CV of each method with its interval, and QIBA's claim."""
    series: dict[str, list[tuple[float, Interval]]] = {}
    labels = []
    for place, (one, by_seed) in enumerate(_repeated(comparison)):
        interval = _times(pooled([each.variation for each in by_seed]), 100)
        series.setdefault(one.method, []).append((place, interval))
        dose = "" if math.isnan(one.dose) else f"\n{one.dose:g} %"
        labels.append(f"{one.name_cell().text}{dose}".replace(", after", ",\nafter"))
    return _chart(comparison, path, series, ("", "Within-subject CV (%)"), 100 * QIBA_VARIATION, labels)


def dose_chart(comparison: Comparison, path: Path) -> Path | None:
    """Bias of the SUVR as read over dose."""
    series = {
        group[0].method: [(one.dose, suvr_agreement(one.rows).bias) for one in group]
        for group in _dosed(comparison)
        if not group[0].after
    }
    return _chart(comparison, path, series, ("Dose (% of the standard)", "Bias of the SUVR"), 0.0)


def recovery_chart(comparison: Comparison, path: Path) -> Path | None:
    """Recovery coefficient over diameter."""
    frame = recovered(comparison)
    series = {
        method: [
            (float(part["diameter_mm"].mean()), mean_interval(part["recovery"], list(part["subject"])))
            for _, part in frame[frame["method"] == method].groupby("size")
        ]
        for method in (("clean", "input", *comparison.methods) if len(frame) else ())
    }
    return _chart(comparison, path, series, ("Diameter (mm)", "Recovery coefficient"), 1.0)


def _chart(
    comparison: Comparison, path: Path, series: Series, names: tuple[str, str], aim: float, ticks: Sequence[str] = ()
) -> Path | None:
    """Estimates with their intervals by method, and the line that is aimed at; x logarithmic where it is a number."""
    series = {method: points for method, points in series.items() if points}
    if not series:
        path.unlink(missing_ok=True)  # of a report that this one replaces
        return None
    with axes_figure(1, 1, (max(5.2, 0.95 * len(ticks) + 1.5), 3.2)) as (figure, grid):
        axis = grid[0][0]
        axis.axhline(aim, color="#444444", linewidth=0.8, linestyle=(0, (4, 3)))
        for method, points in series.items():
            colour, marker = method_style(method, comparison.methods)
            x, middle, low, high = np.array([(at, one.estimate, one.low, one.high) for at, one in points]).T
            name = cells.display_name(method)
            axis.plot(x, middle, marker, color=colour, linestyle="" if ticks else "-", label=name)
            axis.vlines(x, low, high, color=colour)
        if ticks:
            axis.set_xticks(range(len(ticks)), ticks, fontsize=8)
        else:
            axis.set_xscale("log")
            axis.set_xticks(sorted({round(place, 1) for points in series.values() for place, _ in points}))
            axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axis.xaxis.set_minor_formatter(lambda *_: "")
            axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
        axis.set(xlabel=names[0], ylabel=names[1])
        return save_figure(figure, path)
