"""``readings.csv``: every output of every reader for every image, where a property is more than one number.

One row an output: a label of several, a class, a class's Dice, whether the identity is the clean image's. Like
``cases.csv`` it has the methods ``input`` and ``clean`` too, so that a decision that differs from the same reader's
on the clean image (a flip) can be found for each label.
"""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from taskgan.core.tables import read_frame
from taskgan.evaluate.cases import as_text
from taskgan.files import atomic

FILE = "readings.csv"
_TEXT = ("case", "subject", "method", "reader", "output")
COLUMNS = (*_TEXT, "prediction", "target", "decision")


def write_outputs(folder: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write the table atomically, or remove that of an earlier evaluation where there are no rows.

    Args:
        folder: The evaluation.
        rows: One mapping an output, with all of ``COLUMNS``.
    """
    listed = list(rows)
    if not listed:
        (folder / FILE).unlink(missing_ok=True)
        return
    with atomic(folder / FILE) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, fieldnames=COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: as_text(row[key]) for key in COLUMNS} for row in listed)


def read_outputs(folder: Path) -> pd.DataFrame:
    """Read an evaluation's table; without rows where the property is one number.

    Raises:
        UserError: If it is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return pd.DataFrame(columns=list(COLUMNS))
    return read_frame(path, COLUMNS, _TEXT)


def flipped_outputs(outputs: pd.DataFrame) -> pd.DataFrame:
    """The outputs that a reader decides otherwise than on the same case's clean image.

    Args:
        outputs: As :func:`read_outputs` gives them.

    Returns:
        Their rows, with the decision on the clean image as ``before``.
    """
    key = ["case", "reader", "output"]
    clean = outputs[outputs["method"] == "clean"].set_index(key)["decision"].rename("before")
    joined = outputs[outputs["method"] != "clean"].join(clean, on=key)
    known = joined["decision"].notna() & joined["before"].notna()
    return joined[known & (joined["decision"] != joined["before"])]
