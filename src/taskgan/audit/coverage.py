"""Conformal calibration within an audit: made of calibration subjects, and what it was worth on others."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from taskgan.audit.flips import p_value_text
from taskgan.audit.inputs import AuditInputs, AuditSettings, name_list
from taskgan.audit.judges import Judge
from taskgan.audit.read import STATISTICS, ImageShift, image_shifts
from taskgan.cohort.folder import fingerprint
from taskgan.cohort.pairs import subject_digest
from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml
from taskgan.judges.readings import CLEAN, Readings
from taskgan.page.cells import number
from taskgan.stats import Interval, exact_rate, subject_means
from taskgan.stats.conformal import ConformalCalibration, min_calibration_subjects, read_calibrations


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


@dataclass(frozen=True)
class ConformalResult:
    """All calibrations of an audit.

    Attributes:
        coverage: One a target.
        shifts: Whether test subjects' images are like the calibration subjects'.
        warnings: Where the promise does not hold, in sentences.
        metadata: For ``conformal.yaml``: cohort, method, and the calibration images' statistics.
        source: In words, whom it was calibrated on; empty where nobody did.
        selection_warning: Where these subjects chose what they calibrate, a sentence (:func:`selection_warning`);
            it is in the warnings too.
    """

    coverage: tuple[CoverageResult, ...] = ()
    shifts: tuple[ImageShift, ...] = ()
    warnings: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    source: str = ""
    selection_warning: str = ""


def calibrate(
    readings: Readings,
    statistics: pd.DataFrame,
    inputs: AuditInputs,
    judges: Sequence[Judge],
    settings: AuditSettings,
    fit: Sequence[str],
) -> ConformalResult:
    """Calibrate as the settings say and measure on the test subjects that did not calibrate.

    ``statistics`` say what degraded images are like, a row a case, the cards of ``judges`` by whom they were chosen;
    ``fit`` are those that can read clean images.

    Raises:
        UserError: If the source is not understood, or a calibration file is another method's.
    """
    if settings.calibration == "none" or not fit:
        return ConformalResult(warnings=("No conformal intervals: none were asked for.",) if fit else ())
    cohort, method = fingerprint(inputs.pairs), inputs.audited.method
    split = _split(inputs, settings)
    if isinstance(split, str):
        return ConformalResult(warnings=(split,))
    file, pool, tested, source = split
    warnings: list[str] = []
    chosen = ""
    if file is None:
        calibrations = [c for judge in fit for c in fit_calibrations(readings, judge, method, pool, settings)]
        chosen = selection_warning(inputs, judges, settings.alpha) if settings.calibration == "val" else ""
        warnings += [chosen] if chosen else []
        calibrators = first_cases(statistics, pool)
        metadata = {
            "method": method,
            "checksum": inputs.audited.origin.get("checksum"),
            "cohort": {"name": inputs.pairs.folder.resolve().name, "fingerprint": cohort},
            "source": source,
            "people": sorted(subject_digest(s) for s in calibrators["subject"]),
            "statistics": {n: [float(v) for v in calibrators[n]] for n in STATISTICS},
        }
    else:
        calibrations, metadata = _read_file(file, fit, settings)
        calibrators = pd.DataFrame(metadata.get("statistics") or {n: [] for n in STATISTICS})
        warnings += _provenance_warnings(metadata, inputs, cohort)
    measured = tuple(measure_coverage(readings, c, method, tested) for c in calibrations)
    shifts = tuple(image_shifts(calibrators, first_cases(statistics, tested))) if len(calibrators) else ()
    warnings += [c.shortage for c in calibrations if c.shortage]
    warnings += [
        f"Exchangeability is broken: the degraded test images differ from the calibration images in their {s.name} "
        f"(median {number(s.test, 3)} against {number(s.calibration, 3)}, Kolmogorov–Smirnov p {p_value_text(s.p)}, "
        f"{p_value_text(s.adjusted)} after Holm): the promised coverage does not hold for them"
        for s in shifts
        if s.is_significant
    ]
    return ConformalResult(measured, shifts, tuple(warnings), metadata, source, chosen)


def selection_warning(inputs: AuditInputs, judges: Sequence[Judge], alpha: float) -> str:
    """A warning where validation subjects calibrate what they have chosen: they are not exchangeable with new ones.

    A restorer keeps the look that was best on them (early stopping, a sweep), a judge stops by them: both err less
    on them than on a stranger, so that intervals made of these errors are too narrow for strangers.
    """
    people = {p.subject for p in inputs.validation}
    domain = inputs.audited.origin.get("seen")
    marks = set(domain.get("people") or ()) if isinstance(domain, dict) else set()
    by = [inputs.audited.method] if marks & {subject_digest(p) for p in people} else []
    by += [j.name for j in judges if people & set(j.card.get("validation_subjects") or ())]
    unsaid = not isinstance(domain, dict)  # one that learns from nobody says so by empty lists
    if not by and not unsaid:
        return ""
    who = f"helped to choose {name_list(by)} (by the best look, by early stopping, in a sweep)" if by else ""
    may = f"may have helped to choose {inputs.audited.method}, of which nothing says by whom it was chosen"
    effects = " and ".join(text for text in (who, may if unsaid else "") if text)
    return (
        f"The {len(people)} val subjects that calibrated {effects}: on them restorer and judge err less than on new "
        f"subjects, so that intervals may be too narrow and cover less than {100 * (1 - alpha):g} %; a share of the "
        "test subjects (--calibration 0.5) is the clean way"
    )


def parse_calibration_source(text: str) -> float | Path:
    """What ``--calibration`` says, if it is neither ``val`` nor ``none``: a share of the test subjects or a file.

    Raises:
        UserError: If it is no number between 0 and 1, and no such file exists.
    """
    try:
        share = float(text)
    except ValueError:
        if not Path(text).exists():
            raise UserError(
                f"--calibration {text}: expected val, none, a share such as 0.5 or a conformal.yaml"
            ) from None
        return Path(text)
    if not 0 < share < 1:
        raise UserError(f"--calibration {text}: a share of the test subjects lies between 0 and 1")
    return share


def _split(inputs: AuditInputs, settings: AuditSettings) -> tuple[Path | None, list[str], list[str], str] | str:
    """File or pool of calibration cases, test cases, and where they come from; or why there are none."""
    test = [p.case for p in inputs.cases]
    if settings.calibration == "val":
        pool = [p.case for p in inputs.validation]
        if not pool:
            return (
                "No conformal intervals: no validation subject was restored. Restore them into the same folder, or "
                "say --calibration 0.5 to spend half of the test subjects on it (at least "
                f"{min_calibration_subjects(settings.alpha)} are needed)."
            )
        return None, pool, test, f"{len({p.subject for p in inputs.validation})} val subjects"
    share = parse_calibration_source(settings.calibration)
    if isinstance(share, Path):
        return share, [], test, f"the subjects of {share.resolve().parent.name}/{share.name}"
    sampled = sample_subjects(sorted({p.subject for p in inputs.cases}), share, settings.seed)
    pool = [p.case for p in inputs.cases if p.subject in sampled]
    rest = [p.case for p in inputs.cases if p.subject not in sampled]
    source = f"{len(sampled)} test subjects drawn by seed {settings.seed}, on whom it is not measured"
    return None, pool, rest, source


def sample_subjects(subjects: Sequence[str], share: float, seed: int) -> frozenset[str]:
    """A share of the subjects, at least one and never all, by seed."""
    count = min(max(1, round(share * len(subjects))), len(subjects) - 1)
    order = np.random.default_rng([seed, 7]).permutation(len(subjects))
    return frozenset(subjects[i] for i in order[:count])


def _read_file(
    file: Path, fit: Sequence[str], settings: AuditSettings
) -> tuple[list[ConformalCalibration], dict[str, Any]]:
    calibrations = read_calibrations(file)
    usable = [replace(c, alpha=settings.alpha) for c in calibrations.values() if c.judge in fit]
    if not usable:
        raise UserError(f"{file} calibrates {', '.join(calibrations)}, none of which judges here ({', '.join(fit)})")
    record = read_yaml(file / "conformal.yaml" if file.is_dir() else file)
    return usable, {k: v for k, v in record.items() if k not in ("format", "calibrations")}


def _provenance_warnings(metadata: dict[str, Any], inputs: AuditInputs, cohort: str) -> list[str]:
    """What is known to differ between a calibration of an earlier audit and this one."""
    warnings = []
    was = metadata.get("cohort") or {}
    if was.get("fingerprint") != cohort:
        warnings.append(
            f"Exchangeability is broken: calibrated on the cohort {was.get('name', 'unknown')}, applied to "
            f"{inputs.pairs.folder.resolve().name}: coverage is promised for subjects of the former only"
        )
    checksum = inputs.audited.origin.get("checksum")
    if metadata.get("checksum") != checksum or metadata.get("method") != inputs.audited.method:
        warnings.append(
            f"calibrated for the restorer {metadata.get('method')}, applied to {inputs.audited.method}, "
            "which is another"
        )
    both = {subject_digest(p.subject) for p in inputs.cases} & set(metadata.get("people") or ())
    if both:
        warnings.append(
            f"{len(both)} audited subjects calibrated these intervals, so that their coverage proves nothing"
        )
    return warnings
