"""One conformal calibration: made of calibration subjects, and what it was worth on others."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from taskgan.audit.conformal import ConformalCalibration
from taskgan.audit.settings import AuditSettings
from taskgan.evaluate.statistics import Interval, exact_rate, subject_means
from taskgan.judges.readings import CLEAN, Readings


@dataclass(frozen=True)
class CoverageResult:
    """One calibration on the subjects that it is measured on.

    Attributes:
        calibration: The calibration.
        subjects: Test subjects.
        coverage: Share whose truth the interval or set holds, exact interval; of a subject with several cases the
            share of its cases.
        by_label: The same among the subjects of each label (label sets).
        width: Mean width of the intervals; NaN for label sets, infinite where too few calibrated.
        abstained: Share of label sets that are no single label, likewise.
        wrong: Among the others, share whose label is wrong, likewise.
        rows: One row a subject: ``case, low, high`` or ``case, set``, ``value`` and ``truth``.
    """

    calibration: ConformalCalibration
    subjects: int
    coverage: Interval
    by_label: dict[int, Interval]
    width: float
    abstained: Interval
    wrong: Interval
    rows: pd.DataFrame = field(repr=False)


def first_cases(rows: pd.DataFrame, cases: Sequence[str], by: Sequence[str] = ("subject",)) -> pd.DataFrame:
    """One row a subject, the first of its cases: two cases of one subject are not exchangeable with a third's.

    Where each label is calibrated by itself, one a subject and label.
    """
    return rows[rows["case"].isin(list(cases))].drop_duplicates(list(by))


def _restored_and_clean(readings: Readings, judge: str, output: str, method: str) -> pd.DataFrame:
    """Score of the restored and of the clean image, and the truth: ``case, subject, truth, value, clean``."""
    after = pd.concat([readings.select(judge, method, output, split) for split in ("test", "val")])
    before = pd.concat([readings.select(judge, CLEAN, output, split) for split in ("test", "val")])
    rows = after[["subject", "truth"]].assign(
        value=after["prediction"], clean=before["prediction"].reindex(after.index)
    )
    return rows.dropna(subset=["value", "clean"]).reset_index()


def _class_probabilities(readings: Readings, judge: str, method: str) -> pd.DataFrame:
    """Probability of every class of the restored image: ``case, subject, truth`` (a number) and 0, 1, …."""
    names = readings.outputs(judge)
    rows = pd.concat([readings.select(judge, method, split=split) for split in ("test", "val")])
    probabilities = rows["prediction"].unstack("output")[names].set_axis(range(len(names)), axis=1)
    right = rows["truth"].unstack("output")[names].set_axis(range(len(names)), axis=1)
    who = rows["subject"].groupby(level="case", sort=False).first()
    truth = right.idxmax(axis=1).where(right.eq(1).any(axis=1))
    known = probabilities.assign(subject=who, truth=truth).dropna()
    return known.reindex([case for case in who.index if case in known.index]).reset_index(names="case")


def fit_calibrations(
    readings: Readings, judge: str, method: str, pool: Sequence[str], settings: AuditSettings
) -> list[ConformalCalibration]:
    """One calibration a judge; of several labels or masks one for each that the judge can read.

    Args:
        readings: All opinions.
        judge: Its name.
        method: Whose restored images.
        pool: Calibration cases.
        settings: Level, and whether each label is calibrated by itself.
    """
    prop, names = readings.property_of(judge), readings.outputs(judge)
    alpha, by_class = settings.alpha, settings.by_class
    if prop.kind == "multi_class":
        rows = first_cases(_class_probabilities(readings, judge, method), pool, _grouping(by_class))
        p = rows[list(range(len(names)))]
        provenance = {"judge": judge, "classes": names, "subjects": int(rows["subject"].nunique())}
        return [
            ConformalCalibration.from_labels(
                p, rows["truth"], alpha=alpha, target=judge, by_class=by_class, **provenance
            )
        ]
    calibrations = []
    for name in names:
        both = _restored_and_clean(readings, judge, name, method)
        origin: dict[str, Any] = {"target": judge} if len(names) == 1 else {"target": f"{judge} {name}"}
        origin |= {} if len(names) == 1 else {"judge": judge, "output": name}
        if prop.is_value:
            rows = first_cases(both, pool)
            calibrations.append(
                ConformalCalibration.from_values(rows["value"], rows["clean"], alpha=alpha, **origin)
            )
        elif readings.select(judge, CLEAN, output=name)["decision"].notna().any():
            rows = first_cases(both.dropna(subset=["truth"]), pool, _grouping(by_class))
            calibrations.append(
                ConformalCalibration.from_labels(
                    rows["value"], rows["truth"], alpha=alpha, by_class=by_class, **origin
                )
            )
    return calibrations


def _grouping(by_class: bool) -> tuple[str, ...]:
    return ("subject", "truth") if by_class else ("subject",)


def measure_coverage(
    readings: Readings, calibration: ConformalCalibration, method: str, cases: Sequence[str]
) -> CoverageResult:
    """Apply a calibration to test cases.

    Args:
        readings: All opinions.
        calibration: Of a judge in them.
        method: Whose restored images.
        cases: Those that did not calibrate.
    """
    if calibration.kind == "interval":
        return _interval_coverage(readings, calibration, method, cases)
    judge = calibration.judge
    if readings.property_of(judge).kind == "multi_class":
        rows = _class_probabilities(readings, judge, method)
        count = len(readings.outputs(judge))
        probabilities = list(rows[list(range(count))].to_numpy())
    else:
        output = calibration.provenance.get("output") or readings.outputs(judge)[0]
        rows = _restored_and_clean(readings, judge, str(output), method).dropna(subset=["truth"])
        count, probabilities = 2, list(rows["value"])
    sets = [calibration.labels(p) for p in probabilities]
    truth = [round(y) for y in rows["truth"]]
    rows = rows.assign(
        set=[" ".join(str(y) for y in sorted(s)) for s in sets],
        truth=truth,
        inside=[y in s for y, s in zip(truth, sets, strict=True)],
        single=[len(s) == 1 for s in sets],
    )
    rows = rows[rows["case"].isin(list(cases))].drop_duplicates(["subject", "truth"])
    by = {k: _event_rate(rows[rows["truth"] == k], "inside") for k in range(count)}
    decided = rows[rows["single"]].assign(wrong=lambda one: ~one["inside"].astype(bool))
    return CoverageResult(
        calibration,
        int(rows["subject"].nunique()),
        _event_rate(rows, "inside"),
        by,
        math.nan,
        _event_rate(rows.assign(open=~rows["single"].astype(bool)), "open"),
        _event_rate(decided, "wrong"),
        rows,
    )


def _interval_coverage(
    readings: Readings, calibration: ConformalCalibration, method: str, cases: Sequence[str]
) -> CoverageResult:
    output = calibration.provenance.get("output") or readings.outputs(calibration.judge)[0]
    rows = first_cases(_restored_and_clean(readings, calibration.judge, str(output), method), cases)
    ends = [calibration.interval(v) for v in rows["value"]]
    rows = rows.assign(low=[a for a, _ in ends], high=[b for _, b in ends], truth=rows["clean"])
    rows["inside"] = (rows["low"] <= rows["truth"]) & (rows["truth"] <= rows["high"])
    width = float((rows["high"] - rows["low"]).mean()) if len(rows) else math.nan
    nothing = exact_rate(0, 0)
    return CoverageResult(
        calibration, len(rows), _event_rate(rows, "inside"), {}, width, nothing, nothing, rows
    )


def _event_rate(rows: pd.DataFrame, event: str) -> Interval:
    """Share of subjects with the event; several rows of a subject share its count of one."""
    shares, _ = subject_means(rows[event].astype(float), list(rows["subject"]))
    return exact_rate(float(shares.sum()), len(shares))
