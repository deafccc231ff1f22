"""The cases whose diagnosis a restoration changes, with what every reader said before and after."""

import math

import pandas as pd

from taskgan.evaluate.summary import flipped_rows
from taskgan.judges.metrics import Flips
from taskgan.report.cells import Cell, Column, Table, number, text_cell
from taskgan.report.load import Comparison
from taskgan.report.names import name_cell

SCORES = {"suvr": "suvr_restored", "task": "task_probability", "judge": "judge_probability"}
_HEADINGS = {"suvr": "SUVR", "task": "T", "judge": "Judge"}


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
            cells = [
                text_cell(str(row["case"]), tone="strong"),
                name_cell(method),
                text_cell(seed),
                text_cell(label),
            ]
            for reader, score in SCORES.items():
                cells.append(_reading_cell(before, row, reader, score, binary))
            rows.append(tuple(cells))
    columns = (
        Column("case", "Case"),
        Column("method", "Restored by"),
        Column("seed", "Seed"),
        Column("label", "Label", "The truth that the cohort gives."),
        *(Column(reader, _HEADINGS[reader]) for reader in SCORES),
    )
    return Table(
        "flips",
        "Cases whose reading changes",
        "What every reader makes of the clean image → of the restored one (SUVR, or mean probability); marked "
        "where the decision flips. A flip towards the label counts too: the image was changed all the same.",
        columns,
        tuple(rows),
        "No reader decides otherwise on any restored image than on the clean one."
        if readers
        else "There was no reader.",
    )


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
