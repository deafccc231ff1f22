"""Every measure of every method against the baseline: the table of tests, and badges with the sentences on them."""

import math
from collections.abc import Iterable, Mapping, Sequence

from taskgan.evaluate.cases import reader_summary
from taskgan.page.cells import (
    MISSING,
    Cell,
    Column,
    Table,
    difference_cell,
    display_name,
    join_phrases,
    number,
    range_text,
    text_cell,
    text_columns,
    text_table,
    versus_cell,
    without_empty_columns,
)
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


def p_cell(p: float) -> Cell:
    """A p-value in a column that says so."""
    return Cell(p_text(p).removeprefix("p ").removeprefix("= ") or MISSING, "", p)


def other_seeds_cell(one: MetricComparison, digits: int, *, claimed: bool = True) -> Cell:
    """The interval with another training run in mind; grey where zero is inside, or nothing may be claimed."""
    ends = range_text(one.crossed, digits, sign=True)
    tone = "" if claimed and one.crossed.excludes(0.0) else "none"
    return Cell(ends or MISSING, f"{one.seeds} seeds" if ends else "", one.crossed, tone)


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
    """One row a measure and method; ``extra`` are differences to the baseline in measures that have no column."""
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
    columns = text_columns("comparisons", p=_CORRECTED[comparison.inference.correction])
    left_out = {"other_seeds": not seeds, "equivalence": not margins}
    columns = tuple(column for column in columns if not left_out.get(column.key))
    return text_table("comparisons", columns, rows, baseline=display_name(baseline))


def _row(one: MetricComparison, *, seeds: bool, margins: bool) -> tuple[Cell, ...]:
    metric, digits = one.metric, one.metric.digits
    claimed = one.verdict != "none"
    cells = [
        text_cell(metric.heading),
        versus_cell(one.method, one.baseline),
        difference_cell(one.interval, digits, better=metric.better, significant=claimed),
        p_cell(one.p),
    ]
    if seeds:
        cells.append(other_seeds_cell(one, digits))
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
    smallest = detectable_flips(table.count, other=min(first, second)) - min(first, second)
    text = MISSING if math.isnan(smallest) else f"{100 * smallest:.0f} %"
    known = p >= ALPHA and first != second
    counts = f"{table.only_method} : {table.only_baseline}"
    return (
        text_cell(heading),
        versus_cell(method, comparison.baseline),
        Cell(counts, f"of {table.count}", first - second, "none" if p >= ALPHA else ""),
        p_cell(p),
        *(Cell(MISSING),) * (seeds + margins),
        Cell(text, "", smallest),
        *(_count(subjects_for_flips(first, second, power=power), "> 20 000", known) for power in POWERS),
    )


WORDS = {"better": "better", "worse": "worse", "none": "not shown"}
Groups = Mapping[str, Sequence[MetricComparison]]


def by_verdict(compared: Iterable[MetricComparison]) -> dict[str, list[MetricComparison]]:
    """Measures of one method by what interval and corrected p say: ``better``, ``worse`` or ``none``."""
    groups: dict[str, list[MetricComparison]] = {word: [] for word in WORDS}
    for one in compared:
        if not math.isnan(one.interval.estimate):
            groups[one.verdict].append(one)
    return groups


def sides_text(method: str, baseline: str, groups: Groups) -> str:
    """In what a method is better and worse than another, and in what no difference is shown; without a full stop."""
    parts = [
        f"{word} in {join_phrases(c.metric.phrase for c in groups[word])}"
        for word in ("better", "worse")
        if groups[word]
    ]
    if not parts:
        return f"No difference between {display_name(method)} and {display_name(baseline)} is shown in any measure"
    none = f"; no difference shown in {join_phrases(c.metric.phrase for c in groups['none'])}" * bool(groups["none"])
    return f"{display_name(method)} against {display_name(baseline)}: {', '.join(parts)}{none}"


def reading_sentence(comparison: Comparison, to_input: Sequence[MetricComparison]) -> str:
    """What the images of the focus method mean: by the judge's flips, else by its differences to the input, if any."""
    focus = display_name(comparison.focus)
    read = reader_summary(comparison.rows(comparison.focus), comparison.rows("clean"), "judge")
    if read.decisions:
        return (
            f"The judge decides {read.flipped} of {read.subjects} subjects otherwise by {focus} than by clean images."
        )
    groups = by_verdict(to_input)
    if any(groups.values()):
        return f"{sides_text(comparison.focus, 'input', groups)}."
    if comparison.rows(comparison.focus)["judge_mae"].notna().any():
        return "The readers mark or measure and decide nothing: their errors, and no flips, say what the images mean."
    return "No reader decided anything, so that nothing is said of what the images mean."


def basis_sentence(comparison: Comparison, warnings: int) -> str:
    """What the two sentences before rest on."""
    subjects = comparison.rows("clean")["subject"].nunique()
    seeds = comparison.rows(comparison.focus)["seed"].nunique()
    runs = f" and {seeds} training run{'s' * (seeds != 1)} of {display_name(comparison.focus)}" * bool(seeds)
    read = f"; {warnings} remark{'s' * (warnings != 1)} below say what weakens it" * bool(warnings)
    return f"This rests on {subjects} test subject{'s' * (subjects != 1)}{runs}{read}."


def badge_table(against: Mapping[tuple[str, str], Sequence[MetricComparison]], error: str) -> Table:
    """Better, worse or not shown: a row a method and what it is set against, a column a measure."""
    metrics = {one.metric.key: one.metric for compared in against.values() for one in compared}
    headings = {key: with_reader_error(metric, error).heading for key, metric in metrics.items()}
    columns = (*text_columns("badges"), *(Column(key, text) for key, text in headings.items()))
    rows = []
    for pair, compared in against.items():
        cells = {one.metric.key: _badge(one) for one in compared}
        rows.append((versus_cell(*pair), *(cells.get(key, Cell(MISSING)) for key in headings)))
    columns, rows = without_empty_columns(columns, rows)
    return text_table("badges", columns, rows if len(columns) > 1 else ())


def _badge(one: MetricComparison) -> Cell:
    if math.isnan(one.interval.estimate):
        return Cell(MISSING)
    size = number(one.interval.estimate, one.metric.digits, sign=True)
    return Cell(WORDS[one.verdict], size, WORDS[one.verdict], f"badge {one.verdict}")
