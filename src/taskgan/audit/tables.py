"""Tables of the audit page."""

from taskgan.audit.flips import Opinion
from taskgan.audit.outcome import Outcome
from taskgan.audit.readings import CLEAN, INPUT
from taskgan.evaluate.statistics import Interval
from taskgan.report.cells import Cell, Column, Table, estimate, figure, number, plain, rate
from taskgan.report.load import shown


def all_tables(outcome: Outcome) -> list[Table]:
    """Opinions, flipped cases, McNemar, SUVR, coverage, exchangeability, judges."""
    return [
        opinions_table(outcome),
        flipped_table(outcome),
        contrast_table(outcome),
        suvr_table(outcome),
        coverage_table(outcome),
        shift_table(outcome),
        judges_table(outcome),
    ]


def opinions_table(outcome: Outcome) -> Table:
    """A row a judge and kind of image."""
    rows = []
    for judge, by_image in outcome.opinions.items():
        fit = outcome.fitness[judge].fit
        for image, found in by_image.items():
            name = Cell(judge if fit else f"{judge} (no judge)", "", judge, "strong" if fit else "muted")
            rows.append((name, plain(shown(image), tone="" if fit else "muted"), *_figures(found, image)))
    columns = (
        Column("judge", "Judge"),
        Column("image", "Images"),
        Column(
            "flips",
            "Flips",
            "Subjects whom the judge decides otherwise than on their clean image, whoever is right.",
        ),
        Column("to_positive", "neg → pos", "Negative on the clean image, positive here."),
        Column("to_negative", "pos → neg", "Positive on the clean image, negative here."),
        Column("errors", "Errors", "Share of subjects decided otherwise than their label."),
        Column("sensitivity", "Sensitivity", "Right among the positive."),
        Column("specificity", "Specificity", "Right among the negative."),
        Column(
            "balanced_accuracy", "Balanced acc.", "Mean of the two; always answering “negative” gives 0.50."
        ),
        Column("auc", "AUC", "Of the judge’s score, DeLong’s interval."),
    )
    note = (
        "Flips are relative to the same judge’s reading of the clean image; errors are against the label. Intervals "
        "are exact (Clopper–Pearson) by subject, of balanced accuracy by its posterior."
    )
    return Table("opinions", "Every judge on every kind of image", note, columns, tuple(rows), grouped=True)


def _figures(found: Opinion, image: str) -> tuple[Cell, ...]:
    clean = image == CLEAN
    return (
        Cell("–") if clean else rate(found.flips, found.flipped, found.subjects),
        Cell("–") if clean else Cell(str(found.to_positive), "", found.to_positive),
        Cell("–") if clean else Cell(str(found.to_negative), "", found.to_negative),
        _share(found.errors),
        _share(found.sensitivity),
        _share(found.specificity),
        estimate(found.balanced_accuracy, 2),
        estimate(found.auc, 2),
    )


def _share(interval: Interval) -> Cell:
    if interval.estimate != interval.estimate:
        return Cell("–")
    return Cell(
        f"{number(100 * interval.estimate, 0)} %",
        f"[{number(100 * interval.low, 0)} %, {number(100 * interval.high, 0)} %]",
        interval,
    )


def flipped_table(outcome: Outcome) -> Table:
    """A row a flipped case."""
    rows = []
    for _, one in outcome.flipped.iterrows():
        label = one["label"]
        truth = "unknown" if label != label else "positive" if label > 0.5 else "negative"
        cells = [plain(str(one["case"]), tone="strong"), plain(truth)]
        for judge in outcome.readings.deciders:
            before, after = float(one[f"{judge}_clean"]), float(one[f"{judge}_restored"])
            text = f"{number(before, 2)} → {number(after, 2)}"
            turned = str(one[f"{judge}_direction"])
            fit = outcome.fitness[judge].fit
            cells.append(
                Cell(
                    text, turned or "kept", f"{text} {turned}".strip(), "worse" if turned and fit else "none"
                )
            )
        rows.append(tuple(cells))
    columns = (
        Column("case", "Case"),
        Column("label", "Label", "The truth that the table gives."),
        *(Column(judge, judge) for judge in outcome.readings.deciders),
    )
    note = (
        "Score of the clean → of the restored image (mean probability of “positive”, cut 0.5; the observer’s SUVR, "
        "its own cut). Everything is in flips.csv."
    )
    empty = "No judge decides otherwise on any restored image than on the clean one."
    return Table("flipped-cases", "Who flipped", note, columns, tuple(rows), empty)


def contrast_table(outcome: Outcome) -> Table:
    """A row a judge, other method and measure."""
    rows = []
    for c in outcome.contrasts:
        tone = "none" if c.corrected >= 0.05 else "better" if c.only_audited < c.only_other else "worse"
        counts = [Cell(str(n), "", n) for n in (c.subjects, c.only_audited, c.only_other)]
        ps = Cell(f"{c.p:.2g}", "", c.p), Cell(f"{c.corrected:.2g}", "", c.corrected, tone)
        rows.append((plain(c.judge, tone="strong"), plain(shown(c.other)), plain(c.measure), *counts, *ps))
    columns = (
        Column("judge", "Judge"),
        Column("other", "Against"),
        Column("measure", "Of"),
        Column("subjects", "Subjects"),
        Column("only_audited", f"Only {shown(outcome.method)}"),
        Column("only_other", "Only the other"),
        Column("p", "p", "McNemar’s exact test on the subjects in whom the two differ."),
        Column("corrected", "p, corrected", "Holm, over all rows: judges, methods, flips and errors."),
    )
    note = "Subjects that flip, or are read wrongly, with one method and not with the other."
    return Table(
        "against",
        "Against other methods",
        note,
        columns,
        tuple(rows),
        "No other method was named (--against).",
    )


def suvr_table(outcome: Outcome) -> Table:
    """A row a kind of image."""
    rows = []
    every = [(judge, image, one) for judge, by in outcome.agreements.items() for image, one in by.items()]
    for judge, image, found in every:
        limits = f"{number(found.low, 3, sign=True)} to {number(found.high, 3, sign=True)}"
        rows.append(
            (
                plain(judge, tone="strong"),
                plain(shown(image)),
                estimate(found.bias, 3),
                plain(limits),
                estimate(found.slope, 2),
                estimate(found.concordance, 2),
            )
        )
    columns = (
        Column("judge", "Read by"),
        Column("image", "Images"),
        Column("bias", "Bias", "Mean of image − clean over subjects."),
        Column(
            "limits", "Limits of agreement", "Bias ± 1.96 SD: where the difference of a single case lies."
        ),
        Column(
            "slope",
            "Slope",
            "Of image on clean: 1 keeps the differences between subjects, less shrinks them.",
        ),
        Column("concordance", "Concordance", "Lin’s; 1 is the same value for every subject."),
    )
    note = "The observer that is not learned: mean uptake of the cortex over that of the reference region."
    empty = "The table names no cortex and reference masks, so there is no observer."
    return Table("suvr", "Composite SUVR against the clean image", note, columns, tuple(rows), empty)


def coverage_table(outcome: Outcome) -> Table:
    """A row a calibration."""
    rows = []
    for m in outcome.conformal.measured:
        c = m.calibration
        kind = "interval of the SUVR" if c.kind == "interval" else "set of labels"
        width = "all" if m.width == float("inf") else number(m.width, 3)
        rows.append(
            (
                plain(c.target, tone="strong"),
                plain(kind),
                Cell(", ".join(str(len(s)) for s in c.scores.values()), "", c.subjects),
                Cell(f"{100 * (1 - c.alpha):g} %", "", 1 - c.alpha),
                _share(m.coverage),
                *(_share(m.by_label[k]) if k in m.by_label else Cell("–") for k in (0, 1)),
                Cell(width, "", m.width),
                _share(m.abstained),
                _share(m.wrong),
            )
        )
    columns = (
        Column("judge", "From"),
        Column("kind", "What"),
        Column("calibrated", "Calibrated on", "Subjects (for sets: negatives, positives)."),
        Column("promised", "Promised"),
        Column("coverage", "Covered", "Test subjects whose truth was inside; exact interval."),
        Column("coverage_negative", "negatives"),
        Column("coverage_positive", "positives"),
        Column("width", "Mean width"),
        Column("abstained", "No decision", "The set is not a single label."),
        Column("wrong", "Wrong of decided"),
    )
    source = outcome.conformal.source
    note = (
        (f"Calibrated on {source}. " if source else "")
        + "Of a new restored image, conformal.yaml gives the same: ConformalCalibration.load(…).interval(value)."
    )
    return Table(
        "conformal", "How sure can one be of a restored image?", note, columns, tuple(rows), "Not calibrated."
    )


def shift_table(outcome: Outcome) -> Table:
    """A row a statistic of the degraded images."""
    rows = [
        (
            plain(s.name, tone="strong"),
            figure(s.calibration, 3),
            figure(s.test, 3),
            figure(s.p, 3),
            Cell(
                number(s.adjusted, 3),
                "told apart" if s.found else "",
                s.adjusted,
                "worse" if s.found else "none",
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


def judges_table(outcome: Outcome) -> Table:
    """A row a network."""
    rows = []
    for judge in outcome.judges:
        told = judge.description()
        fit = outcome.fitness[judge.name]
        rows.append(
            (
                plain(judge.name, tone="strong"),
                plain(str(told.get("network", "–"))),
                plain(str(told.get("seed", "–"))),
                plain(str(told.get("training_subjects", "–"))),
                plain(str(told.get("checksum", "–"))[:16]),
                Cell(
                    "yes" if fit.fit else "no", "", "yes" if fit.fit else "no", "none" if fit.fit else "worse"
                ),
            )
        )
    columns = (
        Column("judge", "Judge"),
        Column("network", "Network"),
        Column("seed", "Seed"),
        Column("training_subjects", "Learnt from", "Subjects, clean images only; none is audited."),
        Column("checksum", "Checksum"),
        Column("fit", "A judge", "AUC of at least .8 and better than chance on the audited clean images."),
    )
    return Table(
        "judges",
        "Networks that judged",
        "None shares weights with the restorer’s task network.",
        columns,
        tuple(rows),
        "No network judged.",
    )


def order(outcome: Outcome) -> list[str]:
    """Kinds of images as figures show them."""
    return [INPUT, *(r.method for r in outcome.inputs.all)]
