"""Every headline measure by group, with the worst one named; and precision without a gold standard."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from taskgan.core.errors import UserError
from taskgan.core.parse import quoted
from taskgan.core.tables import csv_rows
from taskgan.page import cells
from taskgan.page.cells import Cell, Column, Table
from taskgan.report.load import Comparison
from taskgan.report.metrics import HEADLINE, Metric
from taskgan.report.paired import by_case
from taskgan.stats import FEWEST, Interval, mean_interval, no_gold_standard, subject_means
from taskgan.stats.no_gold_standard import FEWEST_METHODS

_OWN = ("dose", "label", "condition", "repeat")
_MOST = 20
_COLUMNS = ("ranks", "slopes", "intercepts", "noise", "noise_to_slope")  # in the order of the table's
Strata = dict[tuple[str, str], Comparison]


def stratified(comparison: Comparison, columns: Sequence[str]) -> Strata:
    """The same comparison of each group by itself, by column and value, in the order of the values.

    Args:
        columns: Of ``cases.csv`` (dose, label, condition, repeat) or of the cohort's table. Rows without a value are of
            no group.

    Raises:
        UserError: If a table is not there, lacks a column, or holds more values than groups have.
    """
    groups: Strata = {}
    for column in columns:
        values = comparison.frame["case"].map(_values(comparison, column))
        kinds = sorted({str(v) for v in values.dropna() if v != ""}, key=_order)
        if not 0 < len(kinds) <= _MOST:
            raise UserError(f"--strata {column}: found {len(kinds)} values, expected 1 to {_MOST} groups")
        for kind in kinds:
            groups[column, kind] = replace(comparison, frame=comparison.frame[values == kind])
    return groups


def _values(comparison: Comparison, column: str) -> dict[str, str]:
    """By case."""
    if column in _OWN:
        known = comparison.frame[comparison.frame["method"] == "clean"].set_index("case")[column]
        return {str(k): v if isinstance(v, str) else "" if math.isnan(v) else f"{v:g}" for k, v in known.items()}
    values: dict[str, str] = {}
    for one in comparison.evaluations:
        if "table" not in one.record:
            raise UserError(
                f"--strata {column}: {one.folder} does not name its cohort's table, expected one with {column}"
            )
        rows = csv_rows((one.folder / str(one.record["table"])).resolve(), ("case", column))
        values |= {row["case"]: row[column] or "" for _, row in rows}
    return values


def _order(kind: str) -> tuple[float, str]:
    try:
        return float(kind), kind
    except ValueError:
        return math.inf, kind


def _mean(part: Comparison, method: str, metric: Metric) -> Interval:
    values = by_case(part, method, metric)
    return mean_interval(values, [str(part.cases["subject"][case]) for case in values.index])


def strata_table(comparison: Comparison, strata: Strata) -> tuple[Table, str]:
    """A row a column, method and group, and one that names the worst group in each measure; the worst in a sentence.

    The sentence is of the focus method: over all columns the group in which each measure is worst.
    """
    metrics = [metric for metric in HEADLINE if comparison.frame[metric.column].notna().any()]
    rows: list[tuple[Cell, ...]] = []
    phrases = []
    for column in dict.fromkeys(column for column, _ in strata):
        parts = {kind: part for (name, kind), part in strata.items() if name == column}
        for method in (*comparison.references, *comparison.methods):
            means = {kind: [_mean(part, method, metric) for metric in metrics] for kind, part in parts.items()}
            who, worst = (cells.text_cell(column), cells.name_cell(method, tone="strong")), []
            for kind, intervals in means.items():
                count = cells.count_cell(int(parts[kind].rows(method)["subject"].nunique()))
                shown = (cells.estimate_cell(one, m.digits) for one, m in zip(intervals, metrics, strict=True))
                rows.append((*who, cells.text_cell(kind), count, *shown))
            for k, m in enumerate(metrics):
                kind = _worst(m, {kind: intervals[k] for kind, intervals in means.items()})
                worst.append(cells.text_cell(kind))
                if kind and method == comparison.focus:
                    value = cells.interval_text(means[kind][k], m.digits, unit=m.unit)
                    phrases.append(f"{m.phrase} at {column} {kind} ({value})")
            rows.append((*who, cells.text_cell("worst", tone="strong"), Cell(""), *worst))
    columns = [*cells.text_columns("strata"), *(Column(m.key, m.heading) for m in metrics)]
    of = f"Worst of {len(strata)} groups, by {cells.display_name(comparison.focus)}: {cells.join_phrases(phrases)}"
    sentence = f"{of}. Some group is always the worst: no interval here allows for this choice."
    return cells.text_table("strata", columns, rows), sentence


def _worst(metric: Metric, means: dict[str, Interval]) -> str:
    """The group with the worst mean; empty where less than two are known."""
    known = {kind: one.estimate * metric.better for kind, one in means.items() if not math.isnan(one.estimate)}
    return min(known, key=lambda kind: known[kind]) if len(known) > 1 else ""


def parse_bounds(text: str) -> tuple[float, float]:
    """``LOW,HIGH`` of ``--precision``.

    Raises:
        UserError: If it is not two increasing numbers.
    """
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = math.nan
    if not -math.inf < low < high < math.inf:
        raise UserError(f"--precision: found {quoted(text)}, expected LOW,HIGH of the true values, e.g. 1.0,2.2")
    return low, high


def precision_table(comparison: Comparison, bounds: tuple[float, float]) -> Table:
    """Slope, bias and noise of each method's SUVR without the clean one's, most precise first.

    Raises:
        UserError: If there are fewer than three methods (the input counts) or six subjects that all have.
    """
    values = {}
    for method in (*comparison.references, *comparison.methods):
        mine = comparison.rows(method)
        means, subjects = subject_means(mine["suvr_restored"], list(mine["subject"]))
        if len(means):
            values[method] = pd.Series(means, index=subjects)
    table = pd.DataFrame(values).dropna()
    if len(values) < FEWEST_METHODS or len(table) < FEWEST:
        raise UserError(
            f"--precision: found {len(values)} methods with a SUVR, {len(table)} subjects that all of them have, "
            f"expected at least {FEWEST_METHODS} and {FEWEST}"
        )
    fit = no_gold_standard(table.to_numpy().T, bounds)
    rows = []
    for m in np.argsort(fit.noise_to_slope):
        rank, *own = (fit.intervals[name][m] for name in _COLUMNS)
        shown = [cells.estimate_cell(one, digits) for one, digits in zip(own, (2, 2, 4, 4), strict=True)]
        name = cells.name_cell(list(values)[m], tone="strong")
        place = Cell(f"{rank.estimate:.0f}", cells.range_text(rank, 0), rank)
        rows.append((name, place, *shown, cells.estimate_cell(fit.ratios[m], 2)))
    words: dict[str, Any] = {"low": bounds[0], "high": bounds[1], "subjects": len(table)}
    words["first"] = cells.display_name(next(iter(values)))
    return cells.text_table("precision", cells.text_columns("precision", **words), rows, **words)
