"""Tables of the audit page: conformal coverage, exchangeability, and the networks that judged."""

from taskgan.audit.calibration import CoverageResult
from taskgan.audit.outcome import AuditResult
from taskgan.page.cells import Cell, Column, Table, number, number_cell, text_cell
from taskgan.stats import Interval


def share_cell(interval: Interval) -> Cell:
    """A rate in per cent above its interval."""
    if interval.estimate != interval.estimate:
        return Cell("–")
    return Cell(
        f"{number(100 * interval.estimate, 0)} %",
        f"[{number(100 * interval.low, 0)} %, {number(100 * interval.high, 0)} %]",
        interval,
    )


def coverage_table(outcome: AuditResult) -> Table:
    """A row a calibration."""
    rows = []
    every = outcome.conformal.coverage
    pairs = any(len(m.by_label) == 2 for m in every)
    more = any(len(m.by_label) > 2 for m in every)
    wide = any(m.calibration.kind == "interval" for m in every)
    sets = any(m.calibration.kind == "labels" for m in every)
    for m in every:
        c = m.calibration
        unit = outcome.readings.property_of(c.judge).unit
        kind = f"interval of the {unit}" if c.kind == "interval" else "set of labels"
        width = "all" if m.width == float("inf") else number(m.width, 3)
        both = [m.by_label.get(k) if len(m.by_label) == 2 else None for k in (0, 1)]
        rows.append(
            (
                text_cell(c.target, tone="strong"),
                text_cell(kind),
                Cell(", ".join(str(len(s)) for s in c.scores.values()), "", c.subjects),
                Cell(f"{100 * (1 - c.alpha):g} %", "", 1 - c.alpha),
                share_cell(m.coverage),
                *((Cell("–") if one is None else share_cell(one) for one in both) if pairs else ()),
                *((_lowest_coverage(m),) if more else ()),
                *((Cell(width, "", m.width),) if wide else ()),
                *((share_cell(m.abstained), share_cell(m.wrong)) if sets else ()),
            )
        )
    sides = (Column("coverage_negative", "negatives"), Column("coverage_positive", "positives"))
    undecided = (
        Column("abstained", "No decision", "The set is not a single label."),
        Column("wrong", "Wrong of decided"),
    )
    columns = (
        Column("judge", "From"),
        Column("kind", "What"),
        Column("calibrated", "Calibrated on", "Subjects (for sets: of each label)."),
        Column("promised", "Promised"),
        Column(
            "coverage",
            "Covered",
            "Test subjects whose truth was inside; exact interval. Several cases of a subject share its count.",
        ),
        *(sides if pairs else ()),
        *((Column("coverage_least", "Least covered", "The class with the lowest coverage."),) if more else ()),
        *((Column("width", "Mean width"),) if wide else ()),
        *(undecided if sets else ()),
    )
    source = outcome.conformal.source
    call = "interval(value)" if all(m.calibration.kind == "interval" for m in every) else "labels(probability)"
    note = (
        (f"Calibrated on {source}. " if source else "")
        + (f"{outcome.conformal.selection_warning}. " if outcome.conformal.selection_warning else "")
        + f"Of a new restored image, conformal.yaml gives the same: ConformalCalibration.load(…).{call}."
    )
    return Table(
        "conformal", "How sure can one be of a restored image?", note, columns, tuple(rows), "Not calibrated."
    )


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
    rows = [
        (
            text_cell(s.name, tone="strong"),
            number_cell(s.calibration, 3),
            number_cell(s.test, 3),
            number_cell(s.p, 3),
            Cell(
                number(s.adjusted, 3),
                "told apart" if s.is_significant else "",
                s.adjusted,
                "worse" if s.is_significant else "none",
            ),
        )
        for s in outcome.conformal.shifts
    ]
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
    return Table(
        "exchangeability",
        "Are the test subjects like the calibration subjects?",
        note,
        columns,
        tuple(rows),
        "Not tested.",
    )


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
                text_cell(str(description.get("network", "–"))),
                text_cell(str(description.get("seed", "–"))),
                text_cell(str(description.get("training_subjects", "–"))),
                text_cell(str(description.get("checksum", "–"))[:16]),
                Cell(fit, "", fit, "none" if fitness.fit else "worse"),
            )
        )
    kind = outcome.main_property.kind
    needed = {
        "regression": "A correlation of at least .8 with the label on the audited clean images.",
        "segmentation": "A Dice of at least .7 with the table’s masks on the audited clean images.",
    }
    columns = (
        Column("judge", "Judge"),
        Column("network", "Network"),
        Column("seed", "Seed"),
        Column("training_subjects", "Learnt from", "Subjects, clean images only; none is audited."),
        Column("checksum", "Checksum"),
        Column(
            "fit",
            "A judge",
            needed.get(kind, "AUC of at least .8 and better than chance on the audited clean images."),
        ),
    )
    return Table(
        "judges",
        "Networks that judged",
        "None shares weights with the restorer’s task network.",
        columns,
        tuple(rows),
        "No network judged.",
    )
