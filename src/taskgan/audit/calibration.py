"""One conformal calibration: made of calibration subjects, and what it was worth on others."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage, stats

from taskgan.audit.settings import AuditSettings
from taskgan.judges.readings import CLEAN, Readings
from taskgan.stats import Interval, adjusted_p_values, exact_rate, subject_means
from taskgan.stats.conformal import ConformalCalibration


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
    """One calibration a judge, of the cases in ``pool``; of several labels or masks one for each that it can read."""
    prop, names = readings.property_of(judge), readings.outputs(judge)
    alpha, by_class = settings.alpha, settings.by_class
    grouping = ("subject", "truth") if by_class else ("subject",)
    if prop.kind == "multi_class":
        rows = first_cases(_class_probabilities(readings, judge, method), pool, grouping)
        p = rows[list(range(len(names)))]
        origin: dict[str, Any] = {"target": judge, "judge": judge, "classes": names}
        origin["subjects"] = int(rows["subject"].nunique())
        return [ConformalCalibration.from_labels(p, rows["truth"], alpha=alpha, by_class=by_class, **origin)]
    calibrations = []
    for name in names:
        both = _restored_and_clean(readings, judge, name, method)
        one = {"target": judge}
        origin = one if len(names) == 1 else {"target": f"{judge} {name}", "judge": judge, "output": name}
        if prop.is_value:
            rows = first_cases(both, pool)
            calibrations.append(ConformalCalibration.from_values(rows["value"], rows["clean"], alpha=alpha, **origin))
        elif readings.select(judge, CLEAN, output=name)["decision"].notna().any():
            rows = first_cases(both.dropna(subset=["truth"]), pool, grouping)
            score = rows["value"]
            calibrations.append(
                ConformalCalibration.from_labels(score, rows["truth"], alpha=alpha, by_class=by_class, **origin)
            )
    return calibrations


def measure_coverage(
    readings: Readings, calibration: ConformalCalibration, method: str, cases: Sequence[str]
) -> CoverageResult:
    """Apply a calibration of a judge to ``cases``, those that did not calibrate."""
    judge = calibration.judge
    if readings.property_of(judge).kind == "multi_class":
        rows = _class_probabilities(readings, judge, method)
        count = len(readings.outputs(judge))
        probabilities = list(rows[list(range(count))].to_numpy())
    else:
        output = calibration.provenance.get("output") or readings.outputs(judge)[0]
        rows = _restored_and_clean(readings, judge, str(output), method)
        if calibration.kind == "interval":
            return _interval_coverage(calibration, first_cases(rows, cases))
        rows = rows.dropna(subset=["truth"])
        count, probabilities = 2, list(rows["value"])
    sets = [calibration.labels(p) for p in probabilities]
    truth = [round(y) for y in rows["truth"]]
    inside = [y in s for y, s in zip(truth, sets, strict=True)]
    rows = rows.assign(set=[" ".join(map(str, sorted(s))) for s in sets], truth=truth, inside=inside)
    rows["single"] = [len(s) == 1 for s in sets]
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


def _interval_coverage(calibration: ConformalCalibration, rows: pd.DataFrame) -> CoverageResult:
    ends = [calibration.interval(v) for v in rows["value"]]
    rows = rows.assign(low=[a for a, _ in ends], high=[b for _, b in ends], truth=rows["clean"])
    rows["inside"] = (rows["low"] <= rows["truth"]) & (rows["truth"] <= rows["high"])
    width = float((rows["high"] - rows["low"]).mean()) if len(rows) else math.nan
    nothing = exact_rate(0, 0)
    return CoverageResult(calibration, len(rows), _event_rate(rows, "inside"), {}, width, nothing, nothing, rows)


def _event_rate(rows: pd.DataFrame, event: str) -> Interval:
    """Share of subjects with the event; several rows of a subject share its count of one."""
    shares, _ = subject_means(rows[event].astype(float), list(rows["subject"]))
    return exact_rate(float(shares.sum()), len(shares))


Array = NDArray[np.float32]
STATISTICS = ("noise", "scale", "smoothness", "extent")
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class ImageShift:
    """A statistic whose distribution differs, or not, between calibration and test subjects.

    Attributes:
        name: Of the statistic.
        calibration: Its median among calibration subjects.
        test: Among test subjects.
        p: Of the two-sample Kolmogorov–Smirnov test.
        adjusted: The same after Holm's correction for the number of statistics.
    """

    name: str
    calibration: float
    test: float
    p: float
    adjusted: float

    @property
    def is_significant(self) -> bool:
        """Whether the two sets are told apart at the level of 5 %."""
        return self.adjusted < SIGNIFICANCE


def image_statistics(image: Array, voxel_size: tuple[float, float, float], scale: float) -> dict[str, float]:
    """What a degraded image is like, by numbers that need neither a label nor a judge.

    Args:
        image: (X, Y, Z), the file's units.
        voxel_size: mm.
        scale: What intensities are divided by.

    Returns:
        ``noise``: robust SD of the in-plane second difference inside the head, over ``scale``; ``scale``;
        ``smoothness``: correlation of in-plane neighbours' second differences (post-filter, interpolation);
        ``extent``: litres that are brighter than a tenth of the 99th percentile.
    """
    inside = image > 0.1 * float(np.percentile(image, 99))
    second = ndimage.convolve1d(image, [1.0, -2.0, 1.0], axis=0) / np.float32(np.sqrt(6.0))
    flat = ndimage.binary_erosion(inside, np.ones((3, 1, 1), dtype=bool))  # the head's own edge is no noise
    values = second[flat]
    if values.size < 2:
        return dict.fromkeys(STATISTICS, float("nan"))
    noise = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    both = flat[:, 1:] & flat[:, :-1]
    ahead, behind = second[:, 1:][both], second[:, :-1][both]
    alike = float(np.corrcoef(ahead, behind)[0, 1]) if ahead.size > 1 and ahead.std() and behind.std() else 0.0
    litres = float(inside.sum()) * float(np.prod(voxel_size)) * 1e-6
    return {"noise": noise / scale, "scale": scale, "smoothness": alike, "extent": litres}


def image_shifts(calibration: pd.DataFrame, test: pd.DataFrame) -> list[ImageShift]:
    """Test every statistic (columns :data:`STATISTICS`) for a difference between calibration and test subjects.

    Two-sample Kolmogorov–Smirnov, p corrected by Holm (1979). A large p is no proof of likeness: with few subjects
    only gross differences are seen.

    """
    samples = {name: (calibration[name].dropna(), test[name].dropna()) for name in STATISTICS}
    samples = {name: both for name, both in samples.items() if all(map(len, both))}
    ps = [float(stats.ks_2samp(*both, method="auto").pvalue) for both in samples.values()]
    return [
        ImageShift(name, float(first.median()), float(second.median()), p, adjusted)
        for (name, (first, second)), p, adjusted in zip(samples.items(), ps, adjusted_p_values(ps), strict=True)
    ]
