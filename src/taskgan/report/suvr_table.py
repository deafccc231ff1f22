"""The SUVR table: bias, limits of agreement, slope and flips of every method."""

import pandas as pd

from taskgan.evaluate import summary
from taskgan.page.cells import Cell, Column, Table, estimate_cell, number, range_text
from taskgan.page.names import name_cell
from taskgan.report.flips import flips_cell
from taskgan.report.load import Comparison
from taskgan.stats import Interval, mean_interval


def suvr_table(comparison: Comparison) -> Table:
    """Agreement of composite SUVR with that of the clean image, and of all of them with the true uptake."""
    frame = comparison.frame
    known = frame["suvr_true"].notna().any()
    columns = (
        Column("method", "Images"),
        Column("cases", "Cases", "Cases × seeds."),
        Column("bias", "Bias", "Mean of image − clean SUVR, interval by subject."),
        Column(
            "limits_low",
            "LoA from",
            "Lower 95 % limit of agreement of a single case (Bland–Altman), with its own interval.",
        ),
        Column("limits_high", "LoA to", "Upper limit, likewise."),
        Column("slope", "Slope", "Image on clean SUVR; below 1 pulls subjects together (Figure 4’s shrinking)."),
        Column("concordance", "Concordance", "Lin’s: 1 only if every image gives the SUVR of the clean one."),
        Column("flips", "Flips", f"Subjects on the other side of {comparison.suvr_cut:g} than on their clean image."),
        Column("wrong", "Against label", "Decisions that differ from the label."),
        Column("true", "Bias to true uptake", "Mean of image − simulated SUVR: what reconstruction does is in it."),
    )
    rows = [_row(comparison, m) for m in ("clean", "input", *comparison.methods)]
    return Table(
        "suvr",
        "Agreement with the clean image",
        f"Composite SUVR, cortex over reference region; positive from {comparison.suvr_cut:g}. Bias and "
        "slope are marked "
        "where their intervals exclude 0 and 1.",
        columns if known else columns[:-1],
        tuple(row if known else row[:-1] for row in rows if row),
        "The cohort names no cortex and reference masks (columns cortex and reference of pairs.csv).",
    )


def _row(comparison: Comparison, method: str) -> tuple[Cell, ...]:
    mine = comparison.rows(method)
    agreement, read = (summary.suvr_agreement(mine), summary.reader_summary(mine, comparison.rows("clean"), "suvr"))
    if not agreement.count:
        return ()
    wrong = Cell(f"{read.wrong}/{read.decisions}", "", read.wrong)
    if method == "clean":
        nothing = (Cell("–"),) * 6
        return (_name(method), _count(agreement.count), *nothing, wrong, _bias(_to_truth(mine), marked=False))
    slope = estimate_cell(agreement.slope, 2)
    tone = "worse" if agreement.slope.excludes(1.0) else ""
    return (
        _name(method),
        _count(agreement.count),
        _bias(agreement.bias),
        _signed(agreement.limit_low),
        _signed(agreement.limit_high),
        Cell(slope.text, slope.small, slope.value, tone),
        estimate_cell(agreement.concordance, 3),
        flips_cell(read),
        wrong,
        _bias(_to_truth(mine), marked=False),
    )


def _name(method: str) -> Cell:
    return name_cell(method, tone="strong")


def _count(count: int) -> Cell:
    return Cell(str(count), "", count)


def _to_truth(rows: pd.DataFrame) -> Interval:
    return mean_interval(rows["suvr_restored"] - rows["suvr_true"], list(rows["subject"]))


def _bias(interval: Interval, *, marked: bool = True) -> Cell:
    return _signed(interval, "worse" if marked and interval.excludes(0.0) else "")


def _signed(interval: Interval, tone: str = "") -> Cell:
    return Cell(number(interval.estimate, 3, sign=True), range_text(interval, 3, sign=True), interval, tone)
