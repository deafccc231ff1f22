"""Agreement of restored with clean images: the cases whose reading flips, and composite SUVR in a table and charts."""

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from taskgan.evaluate import cases as summary
from taskgan.evaluate.cases import flipped_rows
from taskgan.judges.metrics import Flips, reader_metrics
from taskgan.judges.readings import CLEAN, INPUT, READINGS, read_readings
from taskgan.page.cells import (
    Cell,
    Table,
    count_cell,
    display_name,
    estimate_cell,
    join_methods,
    join_phrases,
    name_cell,
    number,
    number_cell,
    range_text,
    rate_cell,
    text_cell,
    text_columns,
    text_table,
)
from taskgan.page.style import method_style, panel_axes, save_figure
from taskgan.report.load import Comparison
from taskgan.report.metrics import CENTILOIDS, QIBA_VARIATION, REPEATABLE
from taskgan.report.study import VerificationStudy, reader_title
from taskgan.stats import LEVEL, Interval, mean_interval
from taskgan.stats.bootstrap import two_sided_quantile

SCORES = {"suvr": "suvr_restored", "task": "task_probability", "judge": "judge_probability"}


def flips_of(comparison: Comparison, method: str) -> pd.DataFrame:
    """Rows of a method in which a reader decides otherwise than on the clean image, one flag a reader."""
    rows, clean = comparison.rows(method), comparison.rows("clean")
    flags = pd.DataFrame({reader: flipped_rows(rows, clean, reader) for reader in SCORES}, index=rows.index)
    return rows.join(flags.add_prefix("flip_"))[flags.any(axis=1)]


def flips_cell(flips: Flips) -> Cell:
    """Subjects with a flip of all that were read, and the cases where they are more."""
    cases = f"{flips.flipped_cases}/{flips.cases} cases" if flips.cases > flips.subjects else ""
    return Cell(f"{flips.flipped}/{flips.subjects}", cases, flips.flipped)


def flips_table(comparison: Comparison) -> Table:
    """One row a case, method and seed with at least one flip."""
    clean = comparison.rows("clean").drop_duplicates("case").set_index("case")
    readers = clean[[f"{reader}_decision" for reader in SCORES]].notna().any(axis=None)
    binary = bool(clean["label"].dropna().isin((0.0, 1.0)).all())
    rows = []
    for method in comparison.methods:
        for _, row in flips_of(comparison, method).iterrows():
            before = clean.loc[row["case"]]
            seed = "–" if math.isnan(row["seed"]) else f"{row['seed']:.0f}"
            label = "unknown" if math.isnan(row["label"]) else _decision_text(row["label"], binary)
            cells = [text_cell(str(row["case"]), tone="strong"), name_cell(method), text_cell(seed), text_cell(label)]
            for reader, score in SCORES.items():
                cells.append(_reading_cell(before, row, reader, score, binary))
            rows.append(tuple(cells))
    said = "No reader decides otherwise on any restored image than on the clean one."
    return text_table("flips", text_columns("flips"), rows, empty=said if readers else "There was no reader.")


def _decision_text(decision: float, binary: bool) -> str:
    if not binary:
        return f"class {decision:.0f}"
    return "positive" if decision > 0.5 else "negative"


def _reading_cell(before: pd.Series, after: pd.Series, reader: str, score: str, binary: bool) -> Cell:
    decision = f"{reader}_decision"
    if math.isnan(after[decision]) or math.isnan(before[decision]):
        return Cell("–")
    text = f"{number(float(before[score]), 2)} → {number(float(after[score]), 2)}"
    if math.isnan(before[score]):  # classes have no one number behind them
        text = f"{before[decision]:.0f} → {after[decision]:.0f}"
    binary = binary or reader == "suvr"
    small = f"{_decision_text(before[decision], binary)} → {_decision_text(after[decision], binary)}"
    turned = bool(after[f"flip_{reader}"])
    return Cell(
        text,
        small if turned else _decision_text(after[decision], binary),
        f"{text} ({small})",
        "worse" if turned else "none",
    )


def outputs_tables(comparison: Comparison) -> list[Table]:
    """A table with a row for each reader, output and method; none where the property is one number."""
    if comparison.kind in ("binary", "regression"):
        return []
    frames = [read_readings(one.folder) for one in comparison.evaluations if (one.folder / READINGS).is_file()]
    known = [table for table in frames if len(table)]
    if not known:
        return []
    frame = pd.concat(known, ignore_index=True)
    own = frame["image"].isin((CLEAN, INPUT))
    key = ["case", "image", "judge", "output"]
    frame = pd.concat([frame[own].drop_duplicates(key), frame[~own]], ignore_index=True)
    frame = frame.set_index(["case", "output"], drop=False)
    rows = [
        _output_row(reader, output, method, rows, _of(frame, reader, output, CLEAN))
        for reader in ("task", "judge")
        for output in frame["output"].drop_duplicates()
        for method in (CLEAN, INPUT, *comparison.methods)
        if len(rows := _of(frame, reader, output, method))
    ]
    return [text_table("outputs", text_columns("outputs"), rows)]


def _of(frame: pd.DataFrame, reader: str, output: str, image: str) -> pd.DataFrame:
    wanted = (frame["judge"] == reader) & (frame["output"] == output) & (frame["image"] == image)
    return frame[wanted]


def _output_row(reader: str, output: str, method: str, rows: pd.DataFrame, clean: pd.DataFrame) -> tuple[Cell, ...]:
    masks = rows[["dice", "dice_clean"]].notna().any(axis=None)
    off = 1 - rows["dice"] if masks else (rows["prediction"] - rows["target"]).abs()
    read = reader_metrics(rows, clean)
    return (
        text_cell(reader_title(reader)),
        text_cell(output),
        name_cell(method, tone="strong"),
        estimate_cell(mean_interval(off, list(rows["subject"])), 3),
        rate_cell(read.error, read.wrong, read.decisions) if read.decisions else Cell("–"),
        flips_cell(read) if method != CLEAN and rows["decision"].notna().any() else Cell("–"),
    )


def flip_sentences(comparison: Comparison, study: VerificationStudy | None) -> Iterable[str]:
    """Whose decisions flipped, a sentence a method; of identities, whose pairs are taken for others."""
    clean = comparison.rows("clean")
    readers = {
        r: phrase
        for r, phrase in (
            ("suvr", "moves across the SUVR cut"),
            ("judge", "turns the judge on"),
            ("task", "turns T on"),
        )
        if clean[f"{r}_decision"].notna().any()
    }
    if not readers and study is not None:  # the verification says whether the person is recognised
        return
    if not readers and comparison.frame["judge_mae"].notna().any():
        yield "The readers give no single decision that could flip: see what they make of each part of the property."
        return
    if not readers:
        if not comparison.photos:  # which mostly have no property: the verdict's sentences say it once
            yield "No reader was at hand, so that nothing can be said about whether the diagnosis is kept."
        return
    if comparison.references:
        before = flips_of(comparison, "input")
        who = {"suvr": "by the SUVR", "judge": "by the judge", "task": "by T"}
        counts = [f"{int(before[f'flip_{reader}'].sum())} {who[reader]}" for reader in readers]
        yield f"Of {len(clean)} cases the degraded input itself flips the reading of {join_phrases(counts)}."
    steady = []
    for method in comparison.methods:
        several = " with one of its seeds at least," if comparison.rows(method)["seed"].nunique() > 1 else ""
        rows = flips_of(comparison, method)
        turned = []
        for reader, phrase in readers.items():
            cases = [str(c) for c in dict.fromkeys(rows[rows[f"flip_{reader}"]]["case"])]
            if cases:
                turned.append(f"{phrase} {_shortened(cases)}")
        if turned:
            yield f"Compared with the clean image,{several} {display_name(method)} {'; '.join(turned)}."
        else:
            steady.append(display_name(method))
    if steady:
        yield f"{join_methods(steady)} flip{'s' * (len(steady) == 1)} the reading of no case."


def _shortened(cases: list[str], most: int = 6) -> str:
    return join_phrases(cases) if len(cases) <= most else f"{', '.join(cases[:most])} and {len(cases) - most} more"


def suvr_table(comparison: Comparison) -> Table:
    """Agreement of composite SUVR with that of the clean image, and of all of them with the true uptake.

    A method with a calibration line has a second row, of its values after that line.
    """
    frame = comparison.frame
    known = frame["suvr_true"].notna().any()
    columns = text_columns("suvr", cut=comparison.suvr_cut)
    rows: list[tuple[Cell, ...]] = []
    for method in ("clean", "input", *comparison.methods):
        own = comparison.rows(method)
        rows += [_row(comparison, method, own), _row(comparison, method, summary.calibrated(own), after=True)]
    if not known:
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return text_table("suvr", columns, [row for row in rows if row], cut=comparison.suvr_cut)


def _row(comparison: Comparison, method: str, mine: pd.DataFrame, *, after: bool = False) -> tuple[Cell, ...]:
    agreement, read = (summary.suvr_agreement(mine), summary.reader_summary(mine, comparison.rows("clean"), "suvr"))
    if not agreement.count:
        return ()
    name = name_cell(method, tone="strong")
    wrong = Cell(f"{read.wrong}/{read.decisions}", "", read.wrong)
    if method == "clean":
        nothing = (Cell("–"),) * 9
        return (name, count_cell(agreement.count), *nothing, wrong, _bias(_to_truth(mine), marked=False))
    tone = "worse" if agreement.slope.excludes(1.0) else ""
    units = two_sided_quantile(LEVEL) * agreement.deviation * CENTILOIDS  # as a repeatability coefficient counts
    near = agreement.deviation <= QIBA_VARIATION * float(mine["suvr_reference"].mean())
    repeatable = "better" if units <= REPEATABLE[0] else "worse" if units > REPEATABLE[1] else "none"
    tones = ("better" if near else "worse", repeatable)
    return (
        replace(name, text=f"{name.text}, after its line", value=f"{name.value}, after its line") if after else name,
        count_cell(agreement.count),
        _bias(agreement.bias),
        estimate_cell(agreement.limit_low, 3, sign=True),
        estimate_cell(agreement.limit_high, 3, sign=True),
        estimate_cell(agreement.slope, 2, tone=tone),
        replace(number_cell(agreement.deviation, 3), tone=tones[0]),
        replace(number_cell(units, 1), tone=tones[1]),
        estimate_cell(agreement.correlation, 3),
        estimate_cell(agreement.concordance, 3),
        flips_cell(read),
        wrong,
        _bias(_to_truth(mine), marked=False),
    )


def _to_truth(rows: pd.DataFrame) -> Interval:
    return mean_interval(rows["suvr_restored"] - rows["suvr_true"], list(rows["subject"]))


def _bias(interval: Interval, *, marked: bool = True) -> Cell:
    return estimate_cell(interval, 3, sign=True, tone="worse" if marked and interval.excludes(0.0) else "")


def _suvr_methods(comparison: Comparison) -> list[str]:
    return [m for m in ("input", *comparison.methods) if comparison.rows(m)["suvr_restored"].notna().any()]


def suvr_scatter(comparison: Comparison, path: Path) -> Path | None:
    """Restored against clean SUVR, with identity, regression line, cut lines and the flipping quadrants."""
    methods = _suvr_methods(comparison)
    if not methods:
        return None
    values = comparison.frame[["suvr_reference", "suvr_restored"]].to_numpy()
    low, high = float(np.nanmin(values)) - 0.06, float(np.nanmax(values)) + 0.06
    cut = comparison.suvr_cut
    with panel_axes(len(methods), (2.9, 3.3), sharey=True, sharex=True) as (figure, axes):
        for axis, method in zip(axes, methods, strict=True):
            rows = comparison.rows(method)
            agreement = summary.suvr_agreement(rows)
            colour, marker = method_style(method, comparison.methods)
            axis.fill_between([low, cut], cut, high, color="#f3e3d9", linewidth=0)
            axis.fill_between([cut, high], low, cut, color="#f3e3d9", linewidth=0)
            axis.plot([low, high], [low, high], color="#444444", linewidth=0.8)
            axis.axhline(cut, color="#444444", linewidth=0.8, linestyle=(0, (4, 3)))
            axis.axvline(cut, color="#444444", linewidth=0.8, linestyle=(0, (4, 3)))
            _by_label(axis, rows, rows["suvr_reference"], rows["suvr_restored"], colour, marker)
            mean_x, mean_y = rows["suvr_reference"].mean(), rows["suvr_restored"].mean()
            ends = np.array([rows["suvr_reference"].min(), rows["suvr_reference"].max()])
            axis.plot(ends, mean_y + agreement.slope.estimate * (ends - mean_x), color=colour, linewidth=1.6)
            axis.set_title(
                f"{display_name(method)}: slope {number(agreement.slope.estimate, 2)} {range_text(agreement.slope, 2)}"
            )
            axis.set_xlim(low, high)
            axis.set_ylim(low, high)
            axis.set_aspect("equal")
            axis.set_xlabel("SUVR of the clean image")
        axes[0].set_ylabel("SUVR of the image")
        axes[0].legend(loc="upper left")
        return save_figure(figure, path)


def bland_altman(comparison: Comparison, path: Path) -> Path | None:
    """Restored − clean SUVR against their mean, with bias and limits of agreement."""
    methods = _suvr_methods(comparison)
    if not methods:
        return None
    with panel_axes(len(methods), (2.9, 2.7), sharey=True, sharex=True) as (figure, axes):
        for axis, method in zip(axes, methods, strict=True):
            rows = comparison.rows(method)
            agreement = summary.suvr_agreement(rows)
            colour, marker = method_style(method, comparison.methods)
            axis.axhline(0, color="#444444", linewidth=0.8)
            middle = (rows["suvr_reference"] + rows["suvr_restored"]) / 2
            _by_label(axis, rows, middle, rows["suvr_bias"], colour, marker)
            axis.axhline((agreement.low + agreement.high) / 2, color=colour, linewidth=1.6)
            for limit in (agreement.low, agreement.high):
                if np.isfinite(limit):
                    axis.axhline(limit, color=colour, linewidth=1.2, linestyle=(0, (4, 3)))
            limits = f"[{number(agreement.low, 2, sign=True)}, {number(agreement.high, 2, sign=True)}]"
            axis.set_title(
                f"{display_name(method)}: {number(agreement.bias.estimate, 3, sign=True)}, LoA {limits}", fontsize=9
            )
            axis.set_xlabel("Mean of the two SUVR")
        axes[0].set_ylabel("Image − clean")
        return save_figure(figure, path)


def _by_label(axis: Any, rows: Any, x: Any, y: Any, colour: str, marker: str) -> None:
    """Filled markers for positives, hollow for negatives, so that colour is never the only sign."""
    positive = rows["label"] > 0.5
    edge = {"markeredgecolor": colour, "markersize": 5.5, "linestyle": "none", "marker": marker}
    axis.plot(x[positive], y[positive], markerfacecolor=colour, label="positive", **edge)
    hollow = {**edge, "marker": "o"} if marker == "x" else edge
    axis.plot(x[~positive], y[~positive], markerfacecolor="white", label="negative", **hollow)
