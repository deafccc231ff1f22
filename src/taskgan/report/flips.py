"""The cases whose diagnosis a restoration changes, with what every reader said before and after."""

import math
from collections.abc import Iterable

import pandas as pd

from taskgan.evaluate.summary import flipped_rows
from taskgan.judges.metrics import Flips, reader_metrics
from taskgan.judges.readings import CLEAN, INPUT, READINGS, read_readings
from taskgan.page.cells import (
    Cell,
    Table,
    display_name,
    estimate_cell,
    join_methods,
    join_phrases,
    name_cell,
    number,
    rate_cell,
    text_cell,
    text_columns,
    text_table,
)
from taskgan.report.load import Comparison
from taskgan.report.study import VerificationStudy, reader_title
from taskgan.stats import mean_interval

SCORES = {"suvr": "suvr_restored", "task": "task_probability", "judge": "judge_probability"}


def flips_of(comparison: Comparison, method: str) -> pd.DataFrame:
    """Rows of a method in which a reader decides otherwise than on the clean image, one flag a reader."""
    rows, clean = comparison.rows(method), comparison.rows("clean")
    flags = pd.DataFrame({reader: flipped_rows(rows, clean, reader) for reader in SCORES}, index=rows.index)
    return rows.join(flags.add_prefix("flip_"))[flags.any(axis=1)]


def flips_cell(found: Flips) -> Cell:
    """Subjects with a flip of all that were read, and the cases where they are more."""
    cases = f"{found.flipped_cases}/{found.cases} cases" if found.cases > found.subjects else ""
    return Cell(f"{found.flipped}/{found.subjects}", cases, found.flipped)


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
        _row(reader, output, method, rows, _of(frame, reader, output, CLEAN))
        for reader in ("task", "judge")
        for output in frame["output"].drop_duplicates()
        for method in (CLEAN, INPUT, *comparison.methods)
        if len(rows := _of(frame, reader, output, method))
    ]
    return [text_table("outputs", text_columns("outputs"), rows)]


def _of(frame: pd.DataFrame, reader: str, output: str, image: str) -> pd.DataFrame:
    wanted = (frame["judge"] == reader) & (frame["output"] == output) & (frame["image"] == image)
    return frame[wanted]


def _row(reader: str, output: str, method: str, rows: pd.DataFrame, clean: pd.DataFrame) -> tuple[Cell, ...]:
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
