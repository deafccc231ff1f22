"""What a reader sees first: three sentences, and a table of badges (better, worse, not shown)."""

import math
from collections.abc import Iterable, Mapping, Sequence

from taskgan.evaluate.cases import reader_summary
from taskgan.page.cells import MISSING, Cell, Column, Table, join_phrases, number, without_empty_columns
from taskgan.page.names import display_name, versus_cell
from taskgan.report.load import Comparison
from taskgan.report.metrics import with_reader_error
from taskgan.report.paired import MetricComparison

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
    """What the images of the focus method mean: by the judge's flips, else by its differences to the input.

    Args:
        comparison: What is compared.
        to_input: The focus method against the input; empty where the input has no rows.
    """
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
    subjects, seeds = (
        comparison.rows("clean")["subject"].nunique(),
        comparison.rows(comparison.focus)["seed"].nunique(),
    )
    runs = f" and {seeds} training run{'s' * (seeds != 1)} of {display_name(comparison.focus)}" * bool(seeds)
    read = f"; {warnings} remark{'s' * (warnings != 1)} below say what weakens it" * bool(warnings)
    return f"This rests on {subjects} test subject{'s' * (subjects != 1)}{runs}{read}."


def badge_table(against: Mapping[tuple[str, str], Sequence[MetricComparison]], error: str) -> Table:
    """Better, worse or not shown: a row a difference, a column a measure.

    Args:
        against: Differences by method and what it is set against, in all measures of the verdict.
        error: What the readers' error is called.
    """
    metrics = {one.metric.key: one.metric for compared in against.values() for one in compared}
    headings = {key: with_reader_error(metric, error).heading for key, metric in metrics.items()}
    columns = (Column("difference", "Difference"), *(Column(key, text) for key, text in headings.items()))
    rows = []
    for pair, compared in against.items():
        cells = {one.metric.key: _badge(one) for one in compared}
        rows.append((versus_cell(*pair), *(cells.get(key, Cell(MISSING)) for key in headings)))
    note = (
        "First against second: better or worse where the 95 % interval excludes zero and the p, corrected over the "
        "methods, is below .05."
    )
    columns, rows = without_empty_columns(columns, rows)
    return Table("badges", "Better, worse or not shown", note, columns, tuple(rows) if len(columns) > 1 else ())


def _badge(one: MetricComparison) -> Cell:
    if math.isnan(one.interval.estimate):
        return Cell(MISSING)
    size = number(one.interval.estimate, one.metric.digits, sign=True)
    return Cell(WORDS[one.verdict], size, WORDS[one.verdict], f"badge {one.verdict}")
