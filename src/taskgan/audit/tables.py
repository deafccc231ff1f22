"""Tables of the audit page: who said what, who flipped, how values agree."""

from taskgan.audit.certainty_tables import coverage_table, judges_table, selected_columns, share_cell, shift_table
from taskgan.audit.flips import UNIT, p_value_text, score_change
from taskgan.audit.outcome import AuditResult
from taskgan.judges.readings import CLEAN
from taskgan.page.cells import (
    MISSING,
    Cell,
    Column,
    Table,
    display_name,
    estimate_cell,
    name_cell,
    number,
    rate_cell,
    text_cell,
    without_empty_columns,
)


def all_tables(outcome: AuditResult) -> list[Table]:
    """Opinions, by class or label, flipped cases, McNemar, values, masks, coverage, exchangeability, judges."""
    audited = (judge_metrics_table, outputs_table, flipped_table, contrast_table, agreement_table, overlap_table)
    return [table(outcome) for table in (*audited, coverage_table, shift_table, judges_table)]


def _judge_cell(outcome: AuditResult, name: str) -> Cell:
    """Who reads: a judge, or of several masks judge and class."""
    fit = outcome.fitness[outcome.judge_of(name)].fit
    return Cell(name if fit else f"{name} (no judge)", "", name, "strong" if fit else "muted")


def _count_cells(*counts: int) -> list[Cell]:
    return [Cell(str(count), "", count) for count in counts]


_BADGES = {"flips": "Flips", "errors": "Errors", "bias": "Bias", "slope": "Shrinking or stretching"}


def badge_table(outcome: AuditResult) -> Table:
    """A row a judge who can read: whether the restorations change what it says."""
    rows = []
    for name in outcome.fit:
        said: dict[str, tuple[str, bool]] = {}
        if name in outcome.metrics:
            after, clean = (outcome.metrics[name][image] for image in (outcome.method, CLEAN))
            more = after.error.low > clean.error.high
            said["flips"] = f"{after.flipped or 'none'} of {after.subjects}", after.flipped > 0
            said["errors"] = f"more than on clean{'' if more else ' not shown'}", more
        values = [by[outcome.method] for n, by in outcome.agreements.items() if outcome.judge_of(n) == name]
        for key, aim in (("bias", 0.0), ("slope", 1.0)) if values else ():
            off = any(getattr(one, key).excludes(aim) for one in values)
            said[key] = "shown" if off else "not shown", off
        badges = {k: Cell(text, "", text, f"badge {'worse' if bad else 'none'}") for k, (text, bad) in said.items()}
        rows.append((text_cell(name, tone="strong"), *(badges.get(key, Cell(MISSING)) for key in _BADGES)))
    columns = (Column("judge", "Judge"), *(Column(key, heading) for key, heading in _BADGES.items()))
    note = (
        "Errors: whether the interval on restored images lies above that on clean ones. Bias and shrinking: whether "
        "the interval leaves out 0, or a slope of 1."
    )
    columns, rows = without_empty_columns(columns, rows)
    return Table("badges", "What is shown", note, columns, tuple(rows))


def judge_metrics_table(outcome: AuditResult) -> Table:
    """A row a judge and kind of image."""
    kinds = [outcome.readings.property_of(judge) for judge in outcome.metrics]
    directed = any(prop.kind != "multi_class" for prop in kinds)
    single = not all(prop.has_several_outputs for prop in kinds)
    accuracy_note = "Mean of the two; always answering “negative” gives 0.50."
    auc_note = "Of the judge’s score, DeLong’s interval."
    if any(prop.has_several_outputs for prop in kinds):
        accuracy_note = (
            "Mean over classes, or over the positive and negative of every label; always giving one answer gets one "
            "over their number."
        )
        auc_note = "Mean over classes or labels, each against the rest."
    rows = []
    for judge, by_image in outcome.metrics.items():
        fit = outcome.fitness[judge].fit
        prop = outcome.readings.property_of(judge)
        for image, metrics in by_image.items():
            clean = image == CLEAN
            ways = _count_cells(metrics.to_positive, metrics.to_negative)
            ways = [Cell("–")] * 2 if clean or prop.kind == "multi_class" else ways
            rows.append(
                (
                    _judge_cell(outcome, judge),
                    name_cell(image, tone="" if fit else "muted"),
                    Cell("–") if clean else rate_cell(metrics.flips, metrics.flipped, metrics.subjects),
                    *ways,
                    share_cell(metrics.error),
                    share_cell(metrics.sensitivity),
                    share_cell(metrics.specificity),
                    estimate_cell(metrics.balanced_accuracy, 2),
                    estimate_cell(metrics.auc, 2),
                )
            )
    columns: tuple[Column, ...] = (
        Column("judge", "Judge"),
        Column("image", "Images"),
        Column("flips", "Flips", "Subjects whom the judge decides otherwise than on their clean image."),
        Column("to_positive", "neg → pos", "Negative on the clean image, positive here."),
        Column("to_negative", "pos → neg", "Positive on the clean image, negative here."),
        Column("errors", "Errors", "Share of subjects decided otherwise than their label."),
        Column("sensitivity", "Sensitivity", "Right among the positive."),
        Column("specificity", "Specificity", "Right among the negative."),
        Column("balanced_accuracy", "Balanced acc.", accuracy_note),
        Column("auc", "AUC", auc_note),
    )
    note = (
        "Flips are relative to the same judge’s reading of the clean image; errors are against the label. Intervals "
        f"are exact (Clopper–Pearson), of balanced accuracy by its posterior. {UNIT}"
    )
    shown = {"to_positive": directed, "to_negative": directed, "sensitivity": single, "specificity": single}
    columns, rows = selected_columns(columns, rows, shown)
    title, note = "Every judge on every kind of image", note if rows else "What the judges decide on each image."
    return Table("opinions", title, note, columns, tuple(rows), _no_decisions_text(outcome), grouped=True)


def _no_decisions_text(outcome: AuditResult) -> str:
    """Why the table is empty, and what is reported instead."""
    if outcome.main_property.kind == "regression":
        return (
            "The property is a value without a cut: nothing is decided, so nobody can flip and McNemar’s test has "
            "nothing to count. Bias, limits of agreement and slope are reported instead; a cut in the recipe "
            "(task.cut) makes decisions of it."
        )
    if outcome.main_property.kind == "segmentation":
        return "Masks are drawn, not decided: overlap and volumes are reported instead."
    return "Nobody decides."


def outputs_table(outcome: AuditResult) -> Table:
    """A row a judge, class or label, and restored kind of image."""
    rows = []
    for judge, by_output in outcome.outputs.items():
        fitness = outcome.fitness[judge]
        for output, by_image in by_output.items():
            read = fitness.fit and output not in fitness.unread
            clean = by_image[CLEAN]
            for image, one in ((r.method, by_image[r.method]) for r in outcome.inputs.restorations):
                rows.append(
                    (
                        text_cell(judge, tone="strong" if fitness.fit else "muted"),
                        Cell(output, "" if read else "not read", output, "" if read else "muted"),
                        name_cell(image),
                        rate_cell(one.flips, one.flipped, one.subjects),
                        *_count_cells(one.to_positive, one.to_negative),
                        share_cell(clean.sensitivity),
                        share_cell(one.sensitivity),
                        share_cell(clean.specificity),
                        share_cell(one.specificity),
                        estimate_cell(one.auc, 2),
                    )
                )
    classes = any(outcome.readings.property_of(judge).kind == "multi_class" for judge in outcome.outputs)
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
    deciders = outcome.readings.deciding_judges
    rows = []
    for _, one in outcome.flipped.iterrows():
        cells = [text_cell(str(one["case"]), tone="strong"), text_cell(str(one["label"]))]
        for judge in deciders:
            text = score_change(outcome.readings, judge, one, ": ")
            turned = str(one[f"{judge}_direction"])
            fit = outcome.fitness[judge].fit
            cells.append(
                Cell(text, turned or "kept", f"{text} {turned}".strip(), "worse" if turned and fit else "none")
            )
        rows.append(tuple(cells))
    columns = (
        Column("case", "Case"),
        Column("label", "Label", "The truth that the table gives."),
        *(Column(judge, judge) for judge in deciders),
    )
    note = f"Score of the clean → of the restored image ({_score_text(outcome)}). Everything is in flips.csv."
    empty = (
        "No judge decides otherwise on any restored image than on the clean one."
        if deciders
        else "Nothing is decided, so nobody can flip: see the values."
    )
    return Table("flipped-cases", "Who flipped", note, columns, tuple(rows), empty)


def _score_text(outcome: AuditResult) -> str:
    """What the scores of the list are, and their cuts, kind by kind."""
    by_kind = {
        "binary": "mean probability of “positive”, cut 0.5",
        "multi_class": "mean probability of the class that the restored image is given; the most probable one is "
        "decided",
        "multi_label": "mean probability of the label named, cut 0.5",
    }
    texts = []
    for prop in dict.fromkeys(outcome.readings.property_of(name) for name in outcome.readings.deciding_judges):
        if prop.kind == "observer":
            texts.append(f"the observer’s SUVR, cut {prop.cut:g}")
        elif prop.kind == "regression":
            texts.append(f"mean {prop.outputs[0]} over the slices, cut {prop.cut:g}")
        else:
            texts.append(by_kind[prop.kind])
    return "; ".join(dict.fromkeys(texts))


def contrast_table(outcome: AuditResult) -> Table:
    """A row a judge, other method and measure."""
    rows = []
    for c in outcome.contrasts:
        tone = "none" if c.corrected >= 0.05 else "better" if c.only_audited < c.only_other else "worse"
        counts = _count_cells(c.subjects, c.only_audited, c.only_other)
        ps = Cell(p_value_text(c.p), "", c.p), Cell(p_value_text(c.corrected), "", c.corrected, tone)
        rows.append((text_cell(c.judge, tone="strong"), name_cell(c.other), text_cell(c.measure), *counts, *ps))
    columns = (
        Column("judge", "Judge"),
        Column("other", "Against"),
        Column("measure", "Of"),
        Column("subjects", "Subjects"),
        Column("only_audited", f"Only {display_name(outcome.method)}"),
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
    for name, image, agreement in every:
        limits = f"{number(agreement.low, 3, sign=True)} to {number(agreement.high, 3, sign=True)}"
        rows.append(
            (
                _judge_cell(outcome, name),
                name_cell(image),
                estimate_cell(agreement.bias, 3),
                text_cell(limits),
                estimate_cell(agreement.slope, 2),
                estimate_cell(agreement.concordance, 2),
            )
        )
    columns = (
        Column("judge", "Read by"),
        Column("image", "Images"),
        Column("bias", "Bias", "Mean of image − clean over subjects."),
        Column("limits", "Limits of agreement", "Bias ± 1.96 SD: where the difference of a single case lies."),
        Column("slope", "Slope", "Of image on clean: 1 keeps the differences between subjects, less shrinks them."),
        Column("concordance", "Concordance", "Lin’s; 1 is the same value for every subject."),
    )
    note = "The same reader’s value of the image against its value of the clean image" + _reader_text(outcome)
    empty = "Nobody reads a value: the networks decide, and the table names no cortex and reference masks."
    units = {outcome.readings.property_of(name).unit for name in outcome.readings.value_judges}
    unit = units.pop() if len(units) == 1 else ""  # what the values are, where they are all of one thing
    called = {"SUVR": "Composite SUVR", "volume, ml": "Volumes", "": "Values"}.get(unit, unit)
    title = f"{called} against the clean image"
    return Table("agreement", title, note, columns, tuple(rows), empty, grouped=True)


def _reader_text(outcome: AuditResult) -> str:
    """Who reads the values: networks, the observer, or both."""
    names = outcome.readings.value_judges
    networks = [name for name in names if outcome.readings.property_of(name).kind != "observer"]
    parts = []
    if networks:
        unit = outcome.readings.property_of(networks[0]).unit
        parts.append(f"{', '.join(networks)} {'have' if len(networks) > 1 else 'has'} learnt to read it ({unit})")
    if len(networks) < len(names):
        parts.append("the SUVR is not learned: mean uptake of the cortex over that of the reference region")
    return f"; {'; '.join(parts)}." if parts else "."


def overlap_table(outcome: AuditResult) -> Table:
    """A row a mask and kind of image."""
    rows = []
    for name, by_image in outcome.overlaps.items():
        for image, overlap in by_image.items():
            dice = (estimate_cell(overlap.kept, 3), estimate_cell(overlap.right, 3))
            rows.append((_judge_cell(outcome, name), name_cell(image), *_count_cells(overlap.subjects), *dice))
    columns = (
        Column("judge", "Drawn by"),
        Column("image", "Images"),
        Column("subjects", "Subjects"),
        Column("kept", "Dice with clean", "With the same judge’s mask of the clean image; 1 keeps it."),
        Column("right", "Dice with truth", "With the table’s mask."),
    )
    note = "Mean over subjects with bootstrap intervals, in the slices that judges read."
    return Table("overlap", "Masks", note, columns, tuple(rows), "Nobody draws masks.", grouped=True)
