"""``cases.csv``: one row a case and method, the only input of tables, figures and statistics.

Methods ``input`` (the degraded image) and ``clean`` (the reference itself, for what readers make of clean
images) are rows like any other. An empty field is a value that the cohort gives no means to know.

``task_*`` and ``judge_*`` speak of the property that the recipe names (``taskgan.recipe.Target``): ``_mae`` is its
error per case, ``_probability`` the probability or value where it is one number, ``_decision`` the decision where it
is one, and ``label`` what that should be (without such a decision the cohort's own ``label``). These columns and
those of the SUVR come from ``readings.csv``, which has every output of every reader.

Columns of ``OPTIONAL`` are in the file where any row has a value: ``condition`` says which of several images of a
subject a row is about (a contrast), ``repeat`` which noise realisation, ``psnr_colour`` is over red, green and blue of
photos (all else sees luminance), the others are what observers measure, most of them by masks
(``docs/mr-evaluation.md``); ``suvr_calibrated`` is the SUVR after the method's calibration line. ``back_projection`` is
what an image, degraded again, contradicts of its input (``docs/faces.md``).
"""

import csv
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from taskgan.core.errors import UserError
from taskgan.core.files import atomic, csv_cell, write_rows
from taskgan.core.tables import read_frame
from taskgan.judges.metrics import ReaderMetrics, flip_indicator, reader_metrics
from taskgan.judges.readings import to_plain
from taskgan.metrics.regions import Agreement, agreement
from taskgan.stats import Interval, mean_interval

QUALITY_METRICS = ("psnr", "ssim", "rmse", "rmse_relative")
READER_NAMES = ("task", "judge", "suvr")
_PATHS = ("degraded", "clean", "restored", "cortex", "reference")
TEXT_COLUMNS = ("case", "subject", "method", "condition", "repeat", *_PATHS, "brain", "lesions")
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
OPTIONAL_COLUMNS = ("condition", "repeat", "psnr_colour", *CALIBRATED_COLUMNS, *OBSERVER_COLUMNS, "brain", "lesions")
RECOVERED = "recovery.csv"
RECOVERY_COLUMNS = ("case", "subject", "method", "seed", "fold", "finding", "diameter_mm", "contrast", "recovery")
"""A row a case, image and inserted finding (:func:`taskgan.evaluate.observers.findings`)."""
_INFINITE = ("psnr", "psnr_head", "psnr_colour")  # of an image against itself


def write_case_table(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write the table atomically. NaN and None become empty, numbers keep six significant digits or more.

    Missing columns are left empty, optional ones that are empty in all rows left out.
    """
    listed = [{key: csv_text(row.get(key)) for key in (*CASE_COLUMNS, *OPTIONAL_COLUMNS)} for row in rows]
    columns = [*CASE_COLUMNS, *(key for key in OPTIONAL_COLUMNS if any(row[key] for row in listed))]
    with atomic(path) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, fieldnames=columns, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(listed)


def write_recovery(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write ``recovery.csv`` of rows of cases, whose ``findings`` hold its further columns; no file without any."""
    every = ({**row, **one} for row in rows for one in row.get("findings", ()))
    listed = [{key: value for key, value in one.items() if value is not None and value == value} for one in every]
    path.unlink(missing_ok=True)
    if listed:
        write_rows(path, RECOVERY_COLUMNS, listed)


def read_recovery(folder: Path) -> pd.DataFrame:
    """An evaluation's ``recovery.csv``.

    Raises:
        UserError: If a column is missing or not numeric.
    """
    return read_frame(folder / RECOVERED, RECOVERY_COLUMNS, ("case", "subject", "method"))


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


def quality_intervals(rows: pd.DataFrame, *, seed: int = 0) -> dict[str, Interval]:
    """Mean and interval by subject of every image metric, frame and head, of one method's rows."""
    return {
        name: mean_of(rows, name, seed=seed) for name in (*QUALITY_METRICS, *(f"{q}_head" for q in QUALITY_METRICS))
    }


def finite_values(values: pd.Series) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Values with infinity (PSNR of an image with itself) as NaN, so that it is left out of means."""
    array = values.to_numpy(dtype=np.float64)
    return np.where(np.isfinite(array), array, np.nan)


def mean_of(rows: pd.DataFrame, column: str, factor: float = 1.0, *, seed: int = 0) -> Interval:
    """Mean and interval by subject of a column of one method's rows, times a factor."""
    return mean_interval(finite_values(rows[column]) * factor, list(rows["subject"]), seed=seed)


def readings_of(rows: pd.DataFrame, reader: str) -> pd.DataFrame:
    """What ``task``, ``judge`` or ``suvr`` read, from a method's rows, as :mod:`taskgan.judges.metrics` takes it."""
    truth, suvr = rows["label"], reader == "suvr"
    if suvr and not truth.dropna().isin((0.0, 1.0)).all():  # its decision answers no other question
        truth = truth * math.nan
    return pd.DataFrame(
        {
            "case": rows["case"],
            "output": reader,
            "subject": rows["subject"],
            "prediction": rows["suvr_restored" if suvr else f"{reader}_probability"],
            "truth": truth,
            "decision": rows[f"{reader}_decision"],
            "error": math.nan if suvr else rows[f"{reader}_mae"],
        }
    ).set_index(["case", "output"])


def reader_summary(rows: pd.DataFrame, clean: pd.DataFrame, reader: str, *, seed: int = 0) -> ReaderMetrics:
    """Summarise one reader's decisions on one method's rows, see :class:`~taskgan.judges.metrics.ReaderMetrics`."""
    return reader_metrics(readings_of(rows, reader), readings_of(clean, reader), seed=seed)


def flipped_rows(rows: pd.DataFrame, clean: pd.DataFrame, reader: str) -> pd.Series:
    """Which rows a reader decides otherwise than on the same case's clean image; False where unknown."""
    flips = flip_indicator(readings_of(rows, reader), readings_of(clean, reader))
    return pd.Series(flips.to_numpy(), index=rows.index)


def suvr_agreement(rows: pd.DataFrame, *, seed: int = 0) -> Agreement:
    """Agreement of one method's SUVR with the clean images' (see :func:`taskgan.metrics.regions.agreement`)."""
    return agreement(rows["suvr_restored"], rows["suvr_reference"], list(rows["subject"]), seed=seed)


def calibrated(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows whose SUVR is the one after the method's calibration line; without rows where it has none."""
    if "suvr_calibrated" not in rows or not rows["suvr_calibrated"].notna().any():
        return rows.iloc[:0]
    value, decision = rows["suvr_calibrated"], rows["suvr_calibrated_decision"]
    return rows.assign(suvr_restored=value, suvr_bias=value - rows["suvr_reference"], suvr_decision=decision)


def observer_intervals(rows: pd.DataFrame, *, seed: int = 0) -> dict[str, Interval]:
    """Mean and interval by subject of what observers measured of one method's images; empty without masks."""
    return {
        name: mean_of(rows, name, seed=seed) for name in OBSERVER_COLUMNS if name in rows and rows[name].notna().any()
    }


def condition_names(frame: pd.DataFrame) -> list[str]:
    """The conditions of a table, in the order of its rows; empty where there is one kind of image."""
    return [str(name) for name in frame.get("condition", pd.Series(dtype=str)).drop_duplicates() if name]


def _method_summary(rows: pd.DataFrame, clean: pd.DataFrame) -> dict[str, Any]:
    intervals, after = observer_intervals(rows), calibrated(rows)
    line = {"suvr": suvr_agreement(after), "reader": reader_summary(after, clean, "suvr")}
    return {
        "cases": len(rows),
        "subjects": int(rows["subject"].nunique()),
        "quality": quality_intervals(rows),
        "readers": {name: reader_summary(rows, clean, name) for name in READER_NAMES},
        "suvr": suvr_agreement(rows),
        **({"calibrated": line} if len(after) else {}),
        **({"observed": intervals} if intervals else {}),
    }


def summarise(frame: pd.DataFrame) -> dict[str, Any]:
    """All of the above for every method of a table, as plain values for ``summary.json`` (None for unknown).

    Where rows have conditions, a method's own ``conditions`` hold the same for each of them.
    """
    clean = frame[frame["method"] == "clean"]
    by_method: dict[str, Any] = {}
    for method in frame["method"].drop_duplicates():
        rows = frame[frame["method"] == method]
        by_method[str(method)] = _method_summary(rows, clean)
        own = {name: _method_summary(rows[rows["condition"] == name], clean) for name in condition_names(rows)}
        if own:
            by_method[str(method)]["conditions"] = own
    summary: dict[str, Any] = to_plain(by_method)
    return summary
