"""Labels, classes and masks one by one, where the property is more than one number: how far off, and what flips."""

import pandas as pd

from taskgan.evaluate.statistics import mean_interval
from taskgan.judges.metrics import reader_metrics
from taskgan.judges.readings import CLEAN, INPUT, READINGS, read_readings
from taskgan.report.cells import Cell, Column, Table, estimate_cell, rate_cell, text_cell
from taskgan.report.flips import flips_cell
from taskgan.report.load import Comparison
from taskgan.report.names import name_cell

_READERS = {"task": "T (task network)", "judge": "Judge (independent network)"}


def outputs_tables(comparison: Comparison) -> list[Table]:
    """A table with a row for each reader, output and method; none where the property is one number."""
    if comparison.kind in ("binary", "regression"):
        return []
    frames = [
        read_readings(one.folder) for one in comparison.evaluations if (one.folder / READINGS).is_file()
    ]
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
        for reader in _READERS
        for output in frame["output"].drop_duplicates()
        for method in (CLEAN, INPUT, *comparison.methods)
        if len(rows := _of(frame, reader, output, method))
    ]
    columns = (
        Column("reader", "Reader"),
        Column("output", "Output", "A label, a class, the mask of a class, or the identity."),
        Column("method", "Images"),
        Column(
            "error",
            "Error",
            "Mean |prediction − target|, interval by subject; of masks 1 − Dice, of an identity 1 − the cosine of "
            "the descriptors of image and clean image.",
        ),
        Column(
            "wrong",
            "Wrong",
            "Decisions that differ from the truth; exact interval, n = number of subjects. Of an identity: further "
            "from the clean image than two images of one person may be.",
        ),
        Column(
            "flips",
            "Flips",
            "Subjects with a decision that differs from the same reader's on the clean image.",
        ),
    )
    return [
        Table(
            "outputs",
            "One by one",
            "What each reader makes of every part of the property. A flip towards the truth counts too.",
            columns,
            tuple(rows),
            grouped=True,
        )
    ]


def _of(frame: pd.DataFrame, reader: str, output: str, image: str) -> pd.DataFrame:
    wanted = (frame["judge"] == reader) & (frame["output"] == output) & (frame["image"] == image)
    return frame[wanted]


def _row(reader: str, output: str, method: str, rows: pd.DataFrame, clean: pd.DataFrame) -> tuple[Cell, ...]:
    masks = rows[["dice", "dice_clean"]].notna().any(axis=None)
    off = 1 - rows["dice"] if masks else (rows["prediction"] - rows["target"]).abs()
    read = reader_metrics(rows, clean)
    return (
        text_cell(_READERS[reader]),
        text_cell(output),
        name_cell(method, tone="strong"),
        estimate_cell(mean_interval(off, list(rows["subject"])), 3),
        rate_cell(read.error, read.wrong, read.decisions) if read.decisions else Cell("–"),
        flips_cell(read) if method != CLEAN and rows["decision"].notna().any() else Cell("–"),
    )
