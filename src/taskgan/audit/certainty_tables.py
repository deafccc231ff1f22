"""Tables of the audit page: conformal coverage, exchangeability, and the networks that judged."""

from collections.abc import Mapping

from taskgan.audit.coverage import CoverageResult
from taskgan.audit.outcome import AuditResult
from taskgan.page.cells import Cell, Column, Table, number, number_cell, text_cell
from taskgan.stats import Interval


def share_cell(interval: Interval, digits: int = 0) -> Cell:
    """A rate in per cent above its interval."""
    if interval.estimate != interval.estimate:
        return Cell("–")
    estimate, low, high = (number(100 * v, digits) for v in (interval.estimate, interval.low, interval.high))
    return Cell(f"{estimate} %", f"[{low} %, {high} %]", interval)


def selected_columns(
    columns: tuple[Column, ...], rows: list[tuple[Cell, ...]], shown: Mapping[str, bool]
) -> tuple[tuple[Column, ...], list[tuple[Cell, ...]]]:
    """A table's columns and rows without the columns that ``shown``, by key, says are not."""
    kept = [i for i, column in enumerate(columns) if shown.get(column.key, True)]
    return tuple(columns[i] for i in kept), [tuple(row[i] for i in kept) for row in rows]


def coverage_table(outcome: AuditResult) -> Table:
    """A row a calibration."""
    rows = []
    every = outcome.conformal.coverage
    for m in every:
        c = m.calibration
        unit = outcome.readings.property_of(c.judge).unit
        kind = f"interval of the {unit}" if c.kind == "interval" else "set of labels"
        width = "all" if m.width == float("inf") else number(m.width, 3)
        both = [share_cell(m.by_label[k]) if len(m.by_label) == 2 else Cell("–") for k in (0, 1)]
        rows.append(
            (
                text_cell(c.target, tone="strong"),
                text_cell(kind),
                Cell(", ".join(str(len(s)) for s in c.scores.values()), "", c.subjects),
                Cell(f"{100 * (1 - c.alpha):g} %", "", 1 - c.alpha),
                share_cell(m.coverage),
                *both,
                _lowest_coverage(m),
                Cell(width, "", m.width),
                share_cell(m.abstained),
                share_cell(m.wrong),
            )
        )
    covered = "Test subjects whose truth was inside; exact interval."
    columns: tuple[Column, ...] = (
        Column("judge", "From"),
        Column("kind", "What"),
        Column("calibrated", "Calibrated on", "Subjects (for sets: of each label)."),
        Column("promised", "Promised"),
        Column("coverage", "Covered", f"{covered} Several cases of a subject share its count."),
        Column("coverage_negative", "negatives"),
        Column("coverage_positive", "positives"),
        Column("coverage_least", "Least covered", "The class with the lowest coverage."),
        Column("width", "Mean width"),
        Column("abstained", "No decision", "The set is not a single label."),
        Column("wrong", "Wrong of decided"),
    )
    pairs = any(len(m.by_label) == 2 for m in every)
    shown = dict.fromkeys(("coverage_negative", "coverage_positive"), pairs)
    shown |= dict.fromkeys(("abstained", "wrong"), any(m.calibration.kind == "labels" for m in every))
    shown["coverage_least"] = any(len(m.by_label) > 2 for m in every)
    shown["width"] = any(m.calibration.kind == "interval" for m in every)
    columns, rows = selected_columns(columns, rows, shown)
    source = outcome.conformal.source
    call = "interval(value)" if all(m.calibration.kind == "interval" for m in every) else "labels(probability)"
    note = (
        (f"Calibrated on {source}. " if source else "")
        + (f"{outcome.conformal.selection_warning}. " if outcome.conformal.selection_warning else "")
        + f"Of a new restored image, conformal.yaml gives the same: ConformalCalibration.load(…).{call}."
    )
    return Table("conformal", "How sure can one be of a restored image?", note, columns, tuple(rows), "Not calibrated.")


def _lowest_coverage(measured: CoverageResult) -> Cell:
    """The class that is covered least."""
    known = {k: v for k, v in measured.by_label.items() if v.estimate == v.estimate}
    if len(measured.by_label) <= 2 or not known:
        return Cell("–")
    worst = min(known, key=lambda k: known[k].estimate)
    coverage = share_cell(known[worst])
    name = measured.calibration.label_name(worst)
    return Cell(f"{name}: {coverage.text}", coverage.small, f"{name}: {coverage.text} {coverage.small}")


def shift_table(outcome: AuditResult) -> Table:
    """A row a statistic of the degraded images."""
    rows = []
    for s in outcome.conformal.shifts:
        apart, tone = ("told apart", "worse") if s.is_significant else ("", "none")
        numbers = [number_cell(value, 3) for value in (s.calibration, s.test, s.p)]
        holm = Cell(number(s.adjusted, 3), apart, s.adjusted, tone)
        rows.append((text_cell(s.name, tone="strong"), *numbers, holm))
    columns = (
        Column("statistic", "Degraded image"),
        Column("calibration", "Calibration", "Median over subjects."),
        Column("test", "Test"),
        Column("p", "p", "Kolmogorov–Smirnov, two samples."),
        Column("adjusted", "Holm", "Corrected for the number of statistics."),
    )
    note = (
        "The promise holds for subjects like those that calibrated. A large p is no proof that they are: few "
        "subjects show only gross differences."
    )
    title = "Are the test subjects like the calibration subjects?"
    return Table("exchangeability", title, note, columns, tuple(rows), "Not tested.")


def judges_table(outcome: AuditResult) -> Table:
    """A row a network."""
    rows = []
    for judge in outcome.judges:
        description = judge.description()
        fitness = outcome.fitness[judge.name]
        fit = "no" if not fitness.fit else f"all but {', '.join(fitness.unread)}" if fitness.unread else "yes"
        rows.append(
            (
                text_cell(judge.name, tone="strong"),
                *(text_cell(str(description.get(key, "–"))) for key in ("network", "seed", "training_subjects")),
                text_cell(str(description.get("checksum", "–"))[:16]),
                Cell(fit, "", fit, "none" if fitness.fit else "worse"),
            )
        )
    needed = {
        "regression": "A correlation of at least .8 with the label on the audited clean images.",
        "segmentation": "A Dice of at least .7 with the table’s masks on the audited clean images.",
    }.get(outcome.main_property.kind, "AUC of at least .8 and better than chance on the audited clean images.")
    columns = (
        Column("judge", "Judge"),
        Column("network", "Network"),
        Column("seed", "Seed"),
        Column("training_subjects", "Learnt from", "Subjects, clean images only; none is audited."),
        Column("checksum", "Checksum"),
        Column("fit", "A judge", needed),
    )
    note = "None shares weights with the restorer’s task network."
    return Table("judges", "Networks that judged", note, columns, tuple(rows), "No network judged.")
