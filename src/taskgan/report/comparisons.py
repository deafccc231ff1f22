"""The table of tests: every measure against the baseline, with corrected p, equivalence and subjects needed."""

import math
from collections.abc import Sequence

from taskgan.page.cells import MISSING, Cell, Column, Table, difference_cell, number, range_text, text_cell
from taskgan.page.names import display_name, versus_cell
from taskgan.report.load import Comparison
from taskgan.report.metrics import ALPHA, AUCS, OBSERVED, QUALITY, READINGS, Metric, with_reader_error
from taskgan.report.paired import Discordance, MetricComparison, compare_methods, deciding_readers, discordance
from taskgan.stats import (
    Difference,
    adjusted_p_values,
    detectable_auc,
    detectable_flips,
    detectable_mean,
    subjects_for_auc,
    subjects_for_flips,
    subjects_for_mean,
)

POWERS = (0.8, 0.9)
_ERRORS = {"task": "T: errors", "judge": "Judge: errors", "suvr": "SUVR: errors"}
_CORRECTED = {"holm": "p (Holm)", "benjamini-hochberg": "p (BH)", "none": "p"}


def p_text(p: float) -> str:
    """A p-value in words; small ones are not shown as zero."""
    if math.isnan(p):
        return ""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def subjects_needed(difference: Difference, metric: Metric, power: float) -> int | None:
    """Subjects with which the observed difference would be seen with the power; None where no number is."""
    estimate = difference.interval.estimate
    if math.isnan(difference.error) or math.isnan(estimate):
        return None
    if metric.scores:
        return subjects_for_auc(estimate, difference.error, difference.count, power=power)
    return subjects_for_mean(estimate, difference.deviation, power=power)


def detectable_difference(difference: Difference, metric: Metric, power: float) -> float:
    """Smallest difference that the present subjects would have shown with the power."""
    if math.isnan(difference.error):
        return math.nan
    if metric.scores:
        return detectable_auc(difference.error, power=power)
    return detectable_mean(difference.deviation, difference.count, power=power)


def comparisons_table(comparison: Comparison, extra: Sequence[MetricComparison] = ()) -> Table:
    """One row a measure and method: difference, test, other seeds, equivalence, and what it would take.

    Args:
        comparison: What is compared.
        extra: Differences to the same baseline in measures that are not in its rows.
    """
    frame, baseline = comparison.frame, comparison.baseline
    areas = AUCS.values() if comparison.kind == "binary" else ()  # of two classes only
    candidates = (with_reader_error(m, comparison.reader_error[0]) for m in (*QUALITY, *READINGS, *areas, *OBSERVED))
    metrics = [m for m in candidates if frame[m.column].notna().any()]
    # An AUC needs both labels, which a cohort may lack.
    results = [one for m in metrics for one in compare_methods(comparison, m, baseline).values()]
    results = [one for one in (*results, *extra) if not math.isnan(one.interval.estimate)]
    seeds = any(not math.isnan(one.crossed.low) for one in results)
    margins = bool(comparison.inference.margins)
    rows = [_row(one, seeds=seeds, margins=margins) for one in results]
    rows += _errors(comparison, seeds=seeds, margins=margins)
    columns = [
        Column("measure", "Measure"),
        Column("difference", "Difference"),
        Column("estimate", "Estimate", "Over subjects: bootstrap of the mean, DeLong for an AUC; seeds averaged."),
        Column(
            "p",
            _CORRECTED[comparison.inference.correction],
            "Paired t by subject, DeLong or exact McNemar; corrected over the methods of the same measure.",
        ),
        Column(
            "other_seeds",
            "With other seeds",
            "The same difference with an interval for other subjects and another training run.",
        ),
        Column(
            "equivalence",
            "Equivalent?",
            "Two one-sided tests against the margin that was stated; “not worse” is one of the two alone.",
        ),
        Column("detectable", "Could have shown", "Smallest difference that these subjects show with 80 % power."),
        Column(
            "subjects_80",
            "Subjects, 80 %",
            "How many would be needed to see a difference of the observed size, were it true, with 80 % power at "
            "α = .05 (not corrected over methods).",
        ),
        Column("subjects_90", "90 %", "Likewise with 90 % power."),
    ]
    present = {"other_seeds": seeds, "equivalence": margins}
    return Table(
        "comparisons",
        f"Every comparison with {display_name(baseline)}",
        "Each measure against the baseline. Where no difference is shown, the last columns say what the study was "
        "able to show: no difference found is no proof of none, which is what a margin of equivalence is for "
        "(taskgan compare … --margin psnr=0.5).",
        tuple(c for c in columns if present.get(c.key, True)),
        tuple(rows),
        f"No method is set against {display_name(baseline)}.",
        grouped=True,
    )


def _row(one: MetricComparison, *, seeds: bool, margins: bool) -> tuple[Cell, ...]:
    metric, digits = one.metric, one.metric.digits
    claimed = one.verdict != "none"
    cells = [
        text_cell(metric.heading),
        versus_cell(one.method, one.baseline),
        difference_cell(one.interval, digits, better=metric.better, significant=claimed),
        Cell(p_text(one.p).removeprefix("p ").removeprefix("= ") or MISSING, "", one.p),
    ]
    if seeds:
        ends = range_text(one.crossed, digits, sign=True)
        small = f"{one.seeds} seeds" if ends else ""
        cells.append(Cell(ends or MISSING, small, one.crossed, "" if one.crossed.excludes(0.0) else "none"))
    if margins:
        cells.append(_equivalence(one))
    smallest = detectable_difference(one.difference, metric, POWERS[0])
    cells.append(Cell(number(smallest, digits), "", smallest))
    known = not claimed and one.interval.estimate != 0 and not math.isnan(smallest)
    return (*cells, *(_count(subjects_needed(one.difference, metric, power), "> 100 000", known) for power in POWERS))


def equivalence_word(one: MetricComparison) -> str:
    """``equivalent``, ``not worse``, ``not shown``, or empty without a margin or a test."""
    if one.equivalence is None or math.isnan(one.p_equivalent):
        return ""
    if one.p_equivalent < ALPHA:
        return "equivalent"
    return "not worse" if one.p_noninferior < ALPHA else "not shown"


def _equivalence(one: MetricComparison) -> Cell:
    word = equivalence_word(one)
    if one.equivalence is None or not word:
        return Cell(MISSING)
    p = one.p_noninferior if word == "not worse" else one.p_equivalent
    tone = "none" if word == "not shown" else ""
    here = "; these seeds only" if word == "equivalent" and one.equivalent_for_trained_seeds else ""
    return Cell(word, f"±{one.equivalence.margin:g}, {p_text(p)}{here}", word, tone)


def _count(count: int | None, beyond: str, known: bool) -> Cell:
    # Where the difference is shown, the subjects were enough: a number would only invite to misread it.
    if not known:
        return Cell(MISSING, tone="muted")
    return Cell(beyond, "", None, "muted") if count is None else Cell(f"{count}", "", count)


def _errors(comparison: Comparison, *, seeds: bool, margins: bool) -> list[tuple[Cell, ...]]:
    rows = []
    for reader, heading in _ERRORS.items():
        if reader not in deciding_readers(comparison):
            continue
        tables = [discordance(comparison, reader, m, comparison.baseline) for m in comparison.compared_methods]
        ps = adjusted_p_values([t.p for t in tables], comparison.inference.correction)
        for method, table, p in zip(comparison.compared_methods, tables, ps, strict=True):
            if table.count:
                rows.append(_flips(comparison, heading, method, table, p, seeds=seeds, margins=margins))
    return rows


def _flips(
    comparison: Comparison, heading: str, method: str, table: Discordance, p: float, *, seeds: bool, margins: bool
) -> tuple[Cell, ...]:
    first, second = table.only_method / table.count, table.only_baseline / table.count
    smallest = detectable_flips(table.count, other=min(first, second))
    smallest -= min(first, second)
    text = MISSING if math.isnan(smallest) else f"{100 * smallest:.0f} %"
    known = p >= ALPHA and first != second
    return (
        text_cell(heading),
        versus_cell(method, comparison.baseline),
        Cell(
            f"{table.only_method} : {table.only_baseline}",
            f"of {table.count}",
            first - second,
            "none" if p >= ALPHA else "",
        ),
        Cell(p_text(p).removeprefix("p ").removeprefix("= "), "", p),
        *(Cell(MISSING),) * (seeds + margins),
        Cell(text, "", smallest),
        *(_count(subjects_for_flips(first, second, power=power), "> 20 000", known) for power in POWERS),
    )
