"""Labels, classes and masks one by one, where the property is more than one number: how far off, and what flips."""

import pandas as pd

from taskgan.evaluate.outputs import flipped_outputs, read_outputs
from taskgan.evaluate.statistics import exact_rate, mean_interval, subject_means
from taskgan.report.cells import Cell, Column, Table, estimate, plain, rate
from taskgan.report.load import Comparison
from taskgan.report.names import name_cell

_READERS = {"task": "T (task network)", "judge": "Judge (independent network)"}


def outputs_tables(comparison: Comparison) -> list[Table]:
    """A table with a row for each reader, output and method; none where the property is one number."""
    found = [read_outputs(one.folder) for one in comparison.evaluations]
    known = [outputs for outputs in found if len(outputs)]
    if not known:
        return []
    frame = pd.concat(known, ignore_index=True)
    own = frame["method"].isin(("clean", "input"))
    key = ["case", "method", "reader", "output"]
    frame = pd.concat([frame[own].drop_duplicates(key), frame[~own]], ignore_index=True)
    flips = flipped_outputs(frame)
    rows = [
        _row(reader, output, method, rows, flips)
        for reader in _READERS
        for output in frame["output"].drop_duplicates()
        for method in ("clean", "input", *comparison.methods)
        if len(rows := frame[_is(frame, reader, output, method)])
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
        Column("flips", "Flips", "Decisions that differ from the same reader's on the clean image."),
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


def _is(frame: pd.DataFrame, reader: str, output: str, method: str) -> pd.Series:
    return (frame["reader"] == reader) & (frame["output"] == output) & (frame["method"] == method)


def _row(reader: str, output: str, method: str, rows: pd.DataFrame, flips: pd.DataFrame) -> tuple[Cell, ...]:
    off = mean_interval((rows["prediction"] - rows["target"]).abs(), list(rows["subject"]))
    known = rows[rows["decision"].notna() & rows["target"].notna()]
    wrong = known["decision"] != known["target"]
    shares, _ = subject_means(wrong.to_numpy(dtype=float), list(known["subject"]))
    error = exact_rate(float(shares.sum()), len(shares))
    told = rate(error, int(wrong.sum()), len(known)) if len(known) else Cell("–")
    turned = int(_is(flips, reader, output, method).sum())
    flipped = (
        Cell(str(turned), "", turned) if method != "clean" and rows["decision"].notna().any() else Cell("–")
    )
    return (
        plain(_READERS[reader]),
        plain(output),
        name_cell(method, tone="strong"),
        estimate(off, 3),
        told,
        flipped,
    )
