"""Figures of one method from its rows of ``cases.csv``: image quality, readings, SUVR."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from taskgan.evaluate.cases import OBSERVED, QUALITY, READERS
from taskgan.evaluate.statistics import Interval, auc, exact_rate, mean_interval, subject_means
from taskgan.metrics.suvr import Agreement, agreement


@dataclass(frozen=True)
class Reading:
    """How well one reader does on one method's images (Table 3).

    Attributes:
        decisions: Decisions with a known label (cases × seeds).
        wrong: How many of them differ from the label.
        error: Error rate over subjects, Clopper–Pearson interval with n = number of subjects.
        sensitivity: Share of positives read as positive, likewise.
        specificity: Share of negatives read as negative, likewise.
        balanced_accuracy: Mean of the two (Brodersen 2010): always answering "negative" gives 1/2.
        auc: Area under the ROC curve of the reader's score; no interval, because at the value 1, which small test
            sets often give, every resample gives 1 too.
        mae: Slice-wise MAE with its bootstrap interval by subject (NaN for the SUVR).
        flips: Decisions that differ from the same reader's on the clean image.
    """

    decisions: int
    wrong: int
    error: Interval
    sensitivity: Interval
    specificity: Interval
    balanced_accuracy: float
    auc: float
    mae: Interval
    flips: int


def quality(rows: pd.DataFrame, *, seed: int = 0) -> dict[str, Interval]:
    """Mean and interval by subject of every image metric, frame and head, of one method's rows."""
    return {
        name: mean_interval(finite(rows[name]), list(rows["subject"]), seed=seed)
        for name in (*QUALITY, *(f"{q}_head" for q in QUALITY))
    }


def finite(values: pd.Series) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Values with infinity (PSNR of an image with itself) as NaN, so that it is left out of means."""
    array = values.to_numpy(dtype=np.float64)
    return np.where(np.isfinite(array), array, np.nan)


def flipped(rows: pd.DataFrame, clean: pd.DataFrame, reader: str) -> pd.Series:
    """Which rows a reader decides otherwise than on the same case's clean image.

    Args:
        rows: Rows of one method.
        clean: Rows of the method ``clean``.
        reader: ``task``, ``judge`` or ``suvr``.

    Returns:
        Boolean, indexed like ``rows``; False where either decision is unknown.
    """
    column = f"{reader}_decision"
    before = rows["case"].map(clean.drop_duplicates("case").set_index("case")[column])
    known = rows[column].notna() & before.notna()
    return known & (rows[column] != before)


def reading(rows: pd.DataFrame, clean: pd.DataFrame, reader: str, *, seed: int = 0) -> Reading:
    """Summarise one reader's decisions on one method's rows; see :class:`Reading`."""
    known = rows[rows[f"{reader}_decision"].notna() & rows["label"].notna()]
    binary = bool(known["label"].isin((0.0, 1.0)).all())
    if reader == "suvr" and not binary:  # its decision answers no other question
        known = known[:0]
    wrong = known["label"] != known[f"{reader}_decision"]
    # Sensitivity is a word for two classes only.
    two = known if binary else known[:0]
    truth, said = two["label"] > 0.5, two[f"{reader}_decision"] > 0.5
    score = two["suvr_restored" if reader == "suvr" else f"{reader}_probability"]
    sensitivity = _rate(two[truth], said[truth])
    specificity = _rate(two[~truth], ~said[~truth])
    slices = rows["task_mae" if reader == "suvr" else f"{reader}_mae"].to_numpy(dtype=np.float64)
    if reader == "suvr":
        slices = np.full(len(rows), np.nan)
    return Reading(
        decisions=len(known),
        wrong=int(wrong.sum()),
        error=_rate(known, wrong),
        sensitivity=sensitivity,
        specificity=specificity,
        balanced_accuracy=(sensitivity.estimate + specificity.estimate) / 2,
        auc=auc(score, truth) if len(known) else math.nan,
        mae=mean_interval(slices, list(rows["subject"]), seed=seed),
        flips=int(flipped(rows, clean, reader).sum()),
    )


def _rate(rows: pd.DataFrame, event: pd.Series) -> Interval:
    shares, _ = subject_means(event.to_numpy(dtype=np.float64), list(rows["subject"]))
    return exact_rate(float(shares.sum()), len(shares))


def suvr(rows: pd.DataFrame, *, seed: int = 0) -> Agreement:
    """Agreement of one method's SUVR with the clean images' (see :func:`taskgan.metrics.suvr.agreement`)."""
    return agreement(rows["suvr_restored"], rows["suvr_reference"], list(rows["subject"]), seed=seed)


def observed(rows: pd.DataFrame, *, seed: int = 0) -> dict[str, Interval]:
    """Mean and interval by subject of what observers measured of one method's images; empty without masks."""
    return {
        name: mean_interval(finite(rows[name]), list(rows["subject"]), seed=seed)
        for name in OBSERVED
        if name in rows and rows[name].notna().any()
    }


def conditions(frame: pd.DataFrame) -> list[str]:
    """The conditions of a table, in the order of its rows; empty where there is one kind of image."""
    return [str(name) for name in frame.get("condition", pd.Series(dtype=str)).drop_duplicates() if name]


def _figures(rows: pd.DataFrame, clean: pd.DataFrame) -> dict[str, Any]:
    seen = observed(rows)
    return {
        "cases": len(rows),
        "subjects": int(rows["subject"].nunique()),
        "quality": {k: asdict(v) for k, v in quality(rows).items()},
        "readers": {r: asdict(reading(rows, clean, r)) for r in READERS},
        "suvr": asdict(suvr(rows)),
        **({"observed": {k: asdict(v) for k, v in seen.items()}} if seen else {}),
    }


def summarise(frame: pd.DataFrame) -> dict[str, Any]:
    """All of the above for every method of a table, as plain values for ``summary.json`` (None for unknown).

    Where rows have conditions, a method's own ``conditions`` hold the same for each of them.
    """
    clean = frame[frame["method"] == "clean"]
    found: dict[str, Any] = {}
    for method in frame["method"].drop_duplicates():
        rows = frame[frame["method"] == method]
        found[str(method)] = _figures(rows, clean)
        own = {name: _figures(rows[rows["condition"] == name], clean) for name in conditions(rows)}
        if own:
            found[str(method)]["conditions"] = own
    told: dict[str, Any] = plain(found)
    return told


def plain(value: Any) -> Any:
    """Values for JSON: None for every number that is NaN or infinite, in mappings at any depth."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
