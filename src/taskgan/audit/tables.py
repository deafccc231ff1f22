"""Tables of the audit page: who said what, who flipped, how values agree."""

from taskgan.audit.outcome import AuditResult
from taskgan.audit.tables_of_certainty import coverage_table, judges_table, share, shift_table
from taskgan.audit.words import UNIT, p_number
from taskgan.judges.metrics import ReaderMetrics
from taskgan.judges.readings import CLEAN
from taskgan.report.cells import Cell, Column, Table, estimate, number, plain, rate
from taskgan.report.names import name_cell, shown


def all_tables(outcome: AuditResult) -> list[Table]:
    """Opinions, by class or label, flipped cases, McNemar, values, masks, coverage, exchangeability, judges."""
    return [
        opinions_table(outcome),
        outputs_table(outcome),
        flipped_table(outcome),
        contrast_table(outcome),
        agreement_table(outcome),
        overlap_table(outcome),
        coverage_table(outcome),
        shift_table(outcome),
        judges_table(outcome),
    ]


def opinions_table(outcome: AuditResult) -> Table:
    """A row a judge and kind of image."""
    kinds = [outcome.readings.about(judge) for judge in outcome.opinions]
    several = any(about.several for about in kinds)
    directed = any(about.kind != "multi_class" for about in kinds)
    single = not all(about.several for about in kinds)
    rows = []
    for judge, by_image in outcome.opinions.items():
        fit = outcome.fitness[judge].fit
        about = outcome.readings.about(judge)
        for image, found in by_image.items():
            name = Cell(judge if fit else f"{judge} (no judge)", "", judge, "strong" if fit else "muted")
            clean = image == CLEAN
            ways = [
                Cell("–") if clean or about.kind == "multi_class" else Cell(str(n), "", n)
                for n in _ways(found)
            ]
            rows.append(
                (
                    name,
                    name_cell(image, tone="" if fit else "muted"),
                    Cell("–") if clean else rate(found.flips, found.flipped, found.subjects),
                    *(ways if directed else ()),
                    share(found.error),
                    *((share(found.sensitivity), share(found.specificity)) if single else ()),
                    estimate(found.balanced_accuracy, 2),
                    estimate(found.auc, 2),
                )
            )
    ways_columns = (
        Column("to_positive", "neg → pos", "Negative on the clean image, positive here."),
        Column("to_negative", "pos → neg", "Positive on the clean image, negative here."),
    )
    halves = (
        Column("sensitivity", "Sensitivity", "Right among the positive."),
        Column("specificity", "Specificity", "Right among the negative."),
    )
    columns = (
        Column("judge", "Judge"),
        Column("image", "Images"),
        Column("flips", "Flips", "Subjects whom the judge decides otherwise than on their clean image."),
        *(ways_columns if directed else ()),
        Column("errors", "Errors", "Share of subjects decided otherwise than their label."),
        *(halves if single else ()),
        *_accuracies(several),
    )
    note = (
        "Flips are relative to the same judge’s reading of the clean image; errors are against the label. Intervals "
        f"are exact (Clopper–Pearson), of balanced accuracy by its posterior. {UNIT}"
    )
    title = "Every judge on every kind of image"
    note = note if rows else "What the judges decide on each image."
    return Table("opinions", title, note, columns, tuple(rows), _undecided(outcome), grouped=True)


def _accuracies(several: bool) -> tuple[Column, Column]:
    """Headings of what one decision, or several together, are measured by."""
    if several:
        mean = "Mean over classes, or over the positive and negative of every label; always giving one answer gets "
        return (
            Column("balanced_accuracy", "Balanced acc.", f"{mean}one over their number."),
            Column("auc", "AUC", "Mean over classes or labels, each against the rest."),
        )
    return (
        Column(
            "balanced_accuracy", "Balanced acc.", "Mean of the two; always answering “negative” gives 0.50."
        ),
        Column("auc", "AUC", "Of the judge’s score, DeLong’s interval."),
    )


def _undecided(outcome: AuditResult) -> str:
    """Why the table is empty, and what is reported instead."""
    if outcome.main.kind == "regression":
        return (
            "The property is a value without a cut: nothing is decided, so nobody can flip and McNemar’s test has "
            "nothing to count. Bias, limits of agreement and slope are reported instead; a cut in the recipe "
            "(task.cut) makes decisions of it."
        )
    if outcome.main.kind == "segmentation":
        return "Masks are drawn, not decided: overlap and volumes are reported instead."
    return "Nobody decides."


def _ways(found: ReaderMetrics) -> tuple[int, int]:
    return found.to_positive, found.to_negative


def outputs_table(outcome: AuditResult) -> Table:
    """A row a judge, class or label, and restored kind of image."""
    rows = []
    for judge, by_output in outcome.outputs.items():
        found = outcome.fitness[judge]
        for output, by_image in by_output.items():
            read = found.fit and output not in found.unread
            clean = by_image[CLEAN]
            for image in [r.method for r in outcome.inputs.all]:
                one = by_image[image]
                rows.append(
                    (
                        plain(judge, tone="strong" if found.fit else "muted"),
                        Cell(output, "" if read else "not read", output, "" if read else "muted"),
                        name_cell(image),
                        rate(one.flips, one.flipped, one.subjects),
                        *(Cell(str(n), "", n) for n in _ways(one)),
                        share(clean.sensitivity),
                        share(one.sensitivity),
                        share(clean.specificity),
                        share(one.specificity),
                        estimate(one.auc, 2),
                    )
                )
    classes = any(outcome.readings.about(judge).kind == "multi_class" for judge in outcome.outputs)
    columns = (
        Column("judge", "Judge"),
        Column("output", "Class" if classes else "Label"),
        Column("image", "Images"),
        Column("flips", "Flips", "Subjects in whom this one changes against the clean image."),
        Column("to_positive", "Came", "Not called so on the clean image, but here."),
        Column("to_negative", "Went", "Called so on the clean image, not here."),
        Column("sensitivity_clean", "Sens., clean", "Right among those who have it, clean images."),
        Column("sensitivity", "Sens., here"),
        Column("specificity_clean", "Spec., clean", "Right among those who do not, clean images."),
        Column("specificity", "Spec., here"),
        Column("auc", "AUC here", "Against the rest, DeLong’s interval."),
    )
    note = f"Each by itself, against the rest. Grey: the judge cannot read it in clean images. {UNIT}"
    title = "By class" if classes else "By label"
    empty = "The property has one decision: see above."
    return Table("outputs", title, note, columns, tuple(rows), empty, grouped=True)


def flipped_table(outcome: AuditResult) -> Table:
    """A row a flipped case."""
    deciders = outcome.readings.deciders
    rows = []
    for _, one in outcome.flipped.iterrows():
        cells = [plain(str(one["case"]), tone="strong"), plain(str(one["label"]))]
        for judge in deciders:
            before, after = float(one[f"{judge}_clean"]), float(one[f"{judge}_restored"])
            digits = outcome.readings.about(judge).digits
            text = f"{number(before, digits)} → {number(after, digits)}"
            output = one.get(f"{judge}_output")
            text = f"{output}: {text}" if isinstance(output, str) and output else text
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
        *(Column(judge, judge) for judge in deciders),
    )
    note = f"Score of the clean → of the restored image ({_scores(outcome)}). Everything is in flips.csv."
    empty = (
        "No judge decides otherwise on any restored image than on the clean one."
        if deciders
        else "Nothing is decided, so nobody can flip: see the values."
    )
    return Table("flipped-cases", "Who flipped", note, columns, tuple(rows), empty)


def _scores(outcome: AuditResult) -> str:
    """What the scores of the list are, and their cuts, kind by kind."""
    told = {
        "binary": "mean probability of “positive”, cut 0.5",
        "multi_class": "mean probability of the class that the restored image is given; the most probable one is "
        "decided",
        "multi_label": "mean probability of the label named, cut 0.5",
    }
    found = []
    for about in dict.fromkeys(outcome.readings.about(name) for name in outcome.readings.deciders):
        if about.kind == "observer":
            found.append(f"the observer’s SUVR, cut {about.cut:g}")
        elif about.kind == "regression":
            found.append(f"mean {about.outputs[0]} over the slices, cut {about.cut:g}")
        else:
            found.append(told[about.kind])
    return "; ".join(dict.fromkeys(found))


def contrast_table(outcome: AuditResult) -> Table:
    """A row a judge, other method and measure."""
    rows = []
    for c in outcome.contrasts:
        tone = "none" if c.corrected >= 0.05 else "better" if c.only_audited < c.only_other else "worse"
        counts = [Cell(str(n), "", n) for n in (c.subjects, c.only_audited, c.only_other)]
        ps = Cell(p_number(c.p), "", c.p), Cell(p_number(c.corrected), "", c.corrected, tone)
        rows.append((plain(c.judge, tone="strong"), name_cell(c.other), plain(c.measure), *counts, *ps))
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
    note = f"Subjects that flip, or are read wrongly, with one method and not with the other. {UNIT}"
    empty = (
        "Nothing is decided, so there is nothing for McNemar’s test to count."
        if outcome.inputs.against
        else "No other method was named (--against)."
    )
    return Table("against", "Against other methods", note, columns, tuple(rows), empty)


def agreement_table(outcome: AuditResult) -> Table:
    """A row a value and kind of image."""
    rows = []
    every = [(name, image, one) for name, by in outcome.agreements.items() for image, one in by.items()]
    for name, image, found in every:
        fit = outcome.fitness[outcome.judge_of(name)].fit
        limits = f"{number(found.low, 3, sign=True)} to {number(found.high, 3, sign=True)}"
        rows.append(
            (
                Cell(name if fit else f"{name} (no judge)", "", name, "strong" if fit else "muted"),
                name_cell(image),
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
    note = "The same reader’s value of the image against its value of the clean image" + _readers(outcome)
    empty = "Nobody reads a value: the networks decide, and the table names no cortex and reference masks."
    return Table("agreement", title_of_values(outcome), note, columns, tuple(rows), empty, grouped=True)


def title_of_values(outcome: AuditResult) -> str:
    """What the values are, where they are all of one thing."""
    units = {outcome.readings.about(name).unit for name in outcome.readings.values}
    called = {"SUVR": "Composite SUVR", "volume, ml": "Volumes"}
    unit = units.pop() if len(units) == 1 else ""
    return f"{called.get(unit, unit or 'Values')} against the clean image"


def _readers(outcome: AuditResult) -> str:
    """Who reads the values: networks, the observer, or both."""
    names = outcome.readings.values
    networks = [name for name in names if outcome.readings.about(name).kind != "observer"]
    told = []
    if networks:
        unit = outcome.readings.about(networks[0]).unit
        told.append(
            f"{', '.join(networks)} {'have' if len(networks) > 1 else 'has'} learnt to read it ({unit})"
        )
    if len(networks) < len(names):
        told.append("the SUVR is not learned: mean uptake of the cortex over that of the reference region")
    return f"; {'; '.join(told)}." if told else "."


def overlap_table(outcome: AuditResult) -> Table:
    """A row a mask and kind of image."""
    rows = []
    for name, by_image in outcome.overlaps.items():
        fit = outcome.fitness[outcome.judge_of(name)].fit
        for image, found in by_image.items():
            rows.append(
                (
                    Cell(name if fit else f"{name} (no judge)", "", name, "strong" if fit else "muted"),
                    name_cell(image),
                    Cell(str(found.subjects), "", found.subjects),
                    estimate(found.kept, 3),
                    estimate(found.right, 3),
                )
            )
    columns = (
        Column("judge", "Drawn by"),
        Column("image", "Images"),
        Column("subjects", "Subjects"),
        Column("kept", "Dice with clean", "With the same judge’s mask of the clean image; 1 keeps it."),
        Column("right", "Dice with truth", "With the table’s mask."),
    )
    note = "Mean over subjects with bootstrap intervals, in the slices that judges read."
    return Table("overlap", "Masks", note, columns, tuple(rows), "Nobody draws masks.", grouped=True)
