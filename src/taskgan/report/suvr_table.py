"""The SUVR table: bias, limits of agreement, slope and flips of every method."""

from dataclasses import replace

import pandas as pd

from taskgan.evaluate import cases as summary
from taskgan.page.cells import Cell, Column, Table, estimate_cell, number, number_cell, range_text
from taskgan.page.names import name_cell
from taskgan.report.flips import flips_cell
from taskgan.report.load import Comparison
from taskgan.report.metrics import CENTILOIDS, QIBA_VARIATION
from taskgan.stats import Interval, mean_interval


def suvr_table(comparison: Comparison) -> Table:
    """Agreement of composite SUVR with that of the clean image, and of all of them with the true uptake.

    A method with a calibration line has a second row, of its values after that line.
    """
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
        Column("deviation", "SD", "Of a single case’s difference; green within, red beyond QIBA’s 1.94 % of SUVR."),
        Column("centiloids", "SD, CL", "SD × 153.4 (18F-florbetaben); green within 8, red beyond 16."),
        Column("correlation", "r", "Pearson’s; no line changes it."),
        Column("concordance", "Concordance", "Lin’s: 1 only if every image gives the SUVR of the clean one."),
        Column("flips", "Flips", f"Subjects on the other side of {comparison.suvr_cut:g} than on their clean image."),
        Column("wrong", "Against label", "Decisions that differ from the label."),
        Column("true", "Bias to true uptake", "Mean of image − simulated SUVR: what reconstruction does is in it."),
    )
    rows = []
    for method in ("clean", "input", *comparison.methods):
        own = comparison.rows(method)
        rows += [_row(comparison, method, own), _row(comparison, method, summary.calibrated(own), after=True)]
    return Table(
        "suvr",
        "Agreement with the clean image",
        f"Composite SUVR, cortex over reference region; positive from {comparison.suvr_cut:g}. Bias and "
        "slope are marked "
        "where their intervals exclude 0 and 1. Another resolution puts SUVRs on a line: after it, fitted on "
        "validation subjects, there is a row more.",
        columns if known else columns[:-1],
        tuple(row if known else row[:-1] for row in rows if row),
        "The cohort names no cortex and reference masks (columns cortex and reference of pairs.csv).",
    )


def _row(comparison: Comparison, method: str, mine: pd.DataFrame, *, after: bool = False) -> tuple[Cell, ...]:
    agreement, read = (summary.suvr_agreement(mine), summary.reader_summary(mine, comparison.rows("clean"), "suvr"))
    if not agreement.count:
        return ()
    wrong = Cell(f"{read.wrong}/{read.decisions}", "", read.wrong)
    if method == "clean":
        nothing = (Cell("–"),) * 9
        return (_name(method), _count(agreement.count), *nothing, wrong, _bias(_to_truth(mine), marked=False))
    slope = estimate_cell(agreement.slope, 2)
    tone = "worse" if agreement.slope.excludes(1.0) else ""
    name, units = _name(method), agreement.deviation * CENTILOIDS
    near = agreement.deviation <= QIBA_VARIATION * float(mine["suvr_reference"].mean())
    tones = ("better" if near else "worse", "better" if units <= 8 else "worse" if units > 16 else "none")
    return (
        replace(name, text=f"{name.text}, after its line", value=f"{name.value}, after its line") if after else name,
        _count(agreement.count),
        _bias(agreement.bias),
        _signed(agreement.limit_low),
        _signed(agreement.limit_high),
        Cell(slope.text, slope.small, slope.value, tone),
        replace(number_cell(agreement.deviation, 3), tone=tones[0]),
        replace(number_cell(units, 1), tone=tones[1]),
        estimate_cell(agreement.correlation, 3),
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
