"""``cases.csv``: one row a case and method, the only input of tables, figures and statistics.

Methods ``input`` (the degraded image) and ``clean`` (the reference itself, for what readers make of clean
images) are rows like any other. An empty field is a value that the cohort gives no means to know.

``task_*`` and ``judge_*`` speak of the property that the recipe names (``taskgan.recipe.Target``): ``_mae`` is its
error per case, ``_probability`` the probability or value where it is one number, ``_decision`` the decision where it
is one, and ``label`` what that should be (without such a decision the cohort's own ``label``). These columns and
those of the SUVR come from ``readings.csv``, which has every output of every reader.

Columns of ``OPTIONAL`` are in the file where any row has a value: ``condition`` says which of several images of a
subject a row is about (a contrast), ``psnr_colour`` is over red, green and blue of photos (all else sees luminance),
the others are what observers measure, most of them by masks (``docs/mr-evaluation.md``); ``suvr_calibrated`` is the
SUVR after the method's calibration line. ``back_projection`` is what an image, degraded again, contradicts of its
input (``docs/faces.md``).
"""

import csv
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from taskgan.core.errors import UserError
from taskgan.core.files import atomic, csv_cell
from taskgan.core.tables import read_frame

QUALITY_METRICS = ("psnr", "ssim", "rmse", "rmse_relative")
READER_NAMES = ("task", "judge", "suvr")
_PATHS = ("degraded", "clean", "restored", "cortex", "reference")
TEXT_COLUMNS = ("case", "subject", "method", "condition", *_PATHS, "brain", "lesions")
CASE_COLUMNS = (
    *("case", "subject", "label", "method", "seed", "fold"),
    *(f"{name}{where}" for where in ("", "_head") for name in QUALITY_METRICS),
    *(f"{reader}_{what}" for reader in ("task", "judge") for what in ("mae", "probability", "decision")),
    *("suvr_reference", "suvr_restored", "suvr_bias", "suvr_decision", "suvr_true", "dose"),
    *_PATHS,
)
OBSERVER_COLUMNS = (
    *(f"{tissue}_white{part}" for tissue in ("grey", "csf", "lesion") for part in ("", "_error")),
    *("lesion_auc", "lesion_snr", "lesions_true", "lesions_found", "lesions_false"),
    *(f"{name}{part}" for name in ("rim", "checkerboard", "recovery", "recovery_small") for part in ("", "_error")),
    "suvr_cv",
    "back_projection",
)
CALIBRATED_COLUMNS = ("suvr_calibrated", "suvr_calibrated_decision")
OPTIONAL_COLUMNS = ("condition", "psnr_colour", *CALIBRATED_COLUMNS, *OBSERVER_COLUMNS, "brain", "lesions")
_INFINITE = ("psnr", "psnr_head", "psnr_colour")  # of an image against itself


def write_case_table(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write the table atomically. NaN and None become empty, numbers keep six significant digits or more.

    Args:
        path: The file.
        rows: One mapping a row; missing columns are left empty, optional ones that are empty in all rows left out.
    """
    listed = [{key: csv_text(row.get(key)) for key in (*CASE_COLUMNS, *OPTIONAL_COLUMNS)} for row in rows]
    columns = [*CASE_COLUMNS, *(key for key in OPTIONAL_COLUMNS if any(row[key] for row in listed))]
    with atomic(path) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, fieldnames=columns, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(listed)


def read_case_table(folder: Path) -> pd.DataFrame:
    """Read an evaluation folder's table: text columns as text, all others as numbers (NaN where empty).

    Optional columns that the file does not have are empty.

    Raises:
        UserError: If there is no table, it has no rows, or a column is missing or not numeric.
    """
    path = folder / "cases.csv"
    if not path.is_file():
        raise UserError(f"{folder} holds no cases.csv; expected a folder that taskgan evaluate made")
    return read_frame(path, CASE_COLUMNS, TEXT_COLUMNS, optional=OPTIONAL_COLUMNS, infinite=_INFINITE)


def csv_text(value: object) -> str:
    """A value as the table has it: NaN and None are empty, floats have eight digits."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.8g}" if isinstance(value, float) else str(csv_cell(str(value)))
