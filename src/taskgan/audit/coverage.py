"""Conformal calibration within an audit: whom it is calibrated on, and what it was worth on the test subjects."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from taskgan.audit.conformal import ConformalCalibration, needed, read_calibrations
from taskgan.audit.inputs import Inputs
from taskgan.audit.readings import CLEAN, Readings
from taskgan.audit.settings import AuditSettings
from taskgan.audit.shift import NAMES, Shift, compare
from taskgan.cohort.description import fingerprint
from taskgan.cohort.people import person_mark
from taskgan.errors import UserError
from taskgan.evaluate.statistics import Interval, exact_rate


@dataclass(frozen=True)
class Measured:
    """One calibration on the subjects that it is measured on.

    Attributes:
        calibration: The calibration.
        subjects: Test subjects.
        coverage: Share whose truth the interval or set holds, exact interval.
        by_label: The same among negatives and positives (label sets).
        width: Mean width of the intervals; NaN for label sets, infinite where too few calibrated.
        abstained: Share of label sets that are no single label.
        wrong: Among the others, share whose label is wrong.
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


@dataclass(frozen=True)
class Conformal:
    """All calibrations of an audit.

    Attributes:
        measured: One a target.
        shifts: Whether test subjects' images are like the calibration subjects'.
        warnings: Where the promise does not hold, in sentences.
        about: For ``conformal.yaml``: cohort, method, and the calibration images' statistics.
        source: In words, whom it was calibrated on; empty where nobody did.
    """

    measured: tuple[Measured, ...] = ()
    shifts: tuple[Shift, ...] = ()
    warnings: tuple[str, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)
    source: str = ""


def calibrate(readings: Readings, inputs: Inputs, settings: AuditSettings, fit: Sequence[str]) -> Conformal:
    """Calibrate as the settings say and measure on the test subjects that did not calibrate.

    Args:
        readings: All opinions.
        inputs: Cohort and method.
        settings: Level, source of calibration, seed.
        fit: Judges that are some.

    Raises:
        UserError: If the source is not understood, or a calibration file is another method's.
    """
    if settings.calibration == "none" or not fit:
        return Conformal(warnings=("No conformal intervals: none were asked for.",) if fit else ())
    cohort = fingerprint(inputs.pairs)
    chosen = _split(readings, inputs, settings)
    if isinstance(chosen, str):
        return Conformal(warnings=(chosen,))
    file, pool, tested, source = chosen
    warnings: list[str] = []
    if file is None:
        method = inputs.audited.method
        made = [_made(readings, judge, method, pool, settings) for judge in fit]
        calibrations = [c for c in made if c is not None]
        statistics = _first(readings.statistics, pool)
        about = {
            "method": method,
            "checksum": inputs.audited.origin.get("checksum"),
            "cohort": {"name": inputs.pairs.folder.resolve().name, "fingerprint": cohort},
            "source": source,
            "people": sorted(person_mark(s) for s in statistics["subject"]),
            "statistics": {n: [float(v) for v in statistics[n]] for n in NAMES},
        }
    else:
        calibrations, about = _read(file, fit, settings)
        statistics = pd.DataFrame(about.get("statistics") or {n: [] for n in NAMES})
        warnings += _strangers(about, inputs, cohort)
    measured = tuple(_measure(readings, c, inputs.audited.method, tested) for c in calibrations)
    shifts = tuple(compare(statistics, _first(readings.statistics, tested))) if len(statistics) else ()
    warnings += [c.too_few for c in calibrations if c.too_few]
    warnings += [
        f"Exchangeability is broken: the degraded test images differ from the calibration images in their {s.name} "
        f"(median {s.test:.3g} against {s.calibration:.3g}, Kolmogorov–Smirnov p {s.p:.2g}, {s.adjusted:.2g} after "
        "Holm): the promised coverage does not hold for them"
        for s in shifts
        if s.found
    ]
    return Conformal(measured, shifts, tuple(warnings), about, source)


_Split = tuple[Path | None, list[str], list[str], str]


def source(told: str) -> float | Path:
    """What ``--calibration`` says, if it is neither ``val`` nor ``none``: a share of the test subjects or a file.

    Raises:
        UserError: If it is no number between 0 and 1, and no such file exists.
    """
    try:
        share = float(told)
    except ValueError:
        if not Path(told).exists():
            raise UserError(
                f"--calibration {told}: expected val, none, a share such as 0.5 or a conformal.yaml"
            ) from None
        return Path(told)
    if not 0 < share < 1:
        raise UserError(f"--calibration {told}: a share of the test subjects lies between 0 and 1")
    return share


def _split(readings: Readings, inputs: Inputs, settings: AuditSettings) -> _Split | str:
    """File or pool of calibration cases, test cases, and where they come from; or why there are none."""
    told = settings.calibration
    test = [p.case for p in inputs.cases]
    if told == "val":
        pool = [p.case for p in inputs.validation]
        if not pool:
            return (
                "No conformal intervals: no validation subject was restored. Restore them into the same folder, or "
                f"say --calibration 0.5 to spend half of the test subjects on it (at least {needed(settings.alpha)} "
                "are needed)."
            )
        count = len({p.subject for p in inputs.validation})
        return None, pool, test, f"{count} validation subjects, by whom restorer and judges were chosen too"
    share = source(told)
    if isinstance(share, Path):
        return share, [], test, f"the subjects of {share.resolve().parent.name}/{share.name}"
    drawn = draw(sorted({p.subject for p in inputs.cases}), share, settings.seed)
    pool = [p.case for p in inputs.cases if p.subject in drawn]
    rest = [p.case for p in inputs.cases if p.subject not in drawn]
    return (
        None,
        pool,
        rest,
        f"{len(drawn)} test subjects drawn by seed {settings.seed}, on whom it is not measured",
    )


def draw(subjects: Sequence[str], share: float, seed: int) -> frozenset[str]:
    """A share of the subjects, at least one and never all, by seed."""
    count = min(max(1, round(share * len(subjects))), len(subjects) - 1)
    order = np.random.default_rng([seed, 7]).permutation(len(subjects))
    return frozenset(subjects[i] for i in order[:count])


def _first(rows: pd.DataFrame, cases: Sequence[str]) -> pd.DataFrame:
    """One row a subject, the first of its cases: two cases of one subject are not exchangeable with a third's."""
    return rows[rows["case"].isin(list(cases))].drop_duplicates("subject")


def _both(readings: Readings, judge: str, method: str, cases: Sequence[str]) -> pd.DataFrame:
    """Score of the restored and of the clean image, and the label, one row a subject."""
    table = readings.table[readings.table["judge"] == judge]
    after = _first(table[table["image"] == method], cases).set_index("case")
    before = table[table["image"] == CLEAN].set_index("case")["score"].reindex(after.index)
    return (
        after[["subject", "label"]]
        .assign(value=after["score"], clean=before)
        .dropna(subset=["value", "clean"])
    )


def _made(
    readings: Readings, judge: str, method: str, pool: Sequence[str], settings: AuditSettings
) -> ConformalCalibration | None:
    rows = _both(readings, judge, method, pool)
    if judge in readings.values:
        return ConformalCalibration.of_values(
            rows["value"], rows["clean"], alpha=settings.alpha, target=judge
        )
    rows = rows.dropna(subset=["label"])
    return ConformalCalibration.of_labels(
        rows["value"], rows["label"], alpha=settings.alpha, target=judge, by_class=settings.by_class
    )


def _measure(
    readings: Readings, calibration: ConformalCalibration, method: str, cases: Sequence[str]
) -> Measured:
    rows = _both(readings, calibration.target, method, cases)
    nothing = exact_rate(0, 0)
    if calibration.kind == "interval":
        ends = [calibration.interval(v) for v in rows["value"]]
        rows = rows.assign(low=[a for a, _ in ends], high=[b for _, b in ends], truth=rows["clean"])
        inside = (rows["low"] <= rows["truth"]) & (rows["truth"] <= rows["high"])
        width = float((rows["high"] - rows["low"]).mean()) if len(rows) else math.nan
        covered = exact_rate(int(inside.sum()), len(rows))
        return Measured(calibration, len(rows), covered, {}, width, nothing, nothing, rows.reset_index())
    rows = rows.dropna(subset=["label"])
    sets = [calibration.labels(p) for p in rows["value"]]
    truth = [int(y > 0.5) for y in rows["label"]]
    inside = pd.Series([y in s for y, s in zip(truth, sets, strict=True)], rows.index, dtype=bool)
    by = {
        k: exact_rate(int(inside[rows["label"] == k].sum()), int((rows["label"] == k).sum())) for k in (0, 1)
    }
    single = pd.Series([len(s) == 1 for s in sets], rows.index, dtype=bool)
    rows = rows.assign(set=["".join(str(y) for y in sorted(s)) for s in sets], truth=truth)
    return Measured(
        calibration,
        len(rows),
        exact_rate(int(inside.sum()), len(rows)),
        by,
        math.nan,
        exact_rate(int((~single).sum()), len(rows)),
        exact_rate(int((single & ~inside).sum()), int(single.sum())),
        rows.reset_index(),
    )


def _read(
    file: Path, fit: Sequence[str], settings: AuditSettings
) -> tuple[list[ConformalCalibration], dict[str, Any]]:
    from dataclasses import replace

    from taskgan.files import read_yaml

    found = read_calibrations(file)
    usable = [replace(c, alpha=settings.alpha) for name, c in found.items() if name in fit]
    if not usable:
        raise UserError(f"{file} calibrates {', '.join(found)}, none of which judges here ({', '.join(fit)})")
    about = read_yaml(file / "conformal.yaml" if file.is_dir() else file)
    return usable, {k: v for k, v in about.items() if k not in ("format", "calibrations")}


def _strangers(about: dict[str, Any], inputs: Inputs, cohort: str) -> list[str]:
    """What is known to differ between a calibration of an earlier audit and this one."""
    found = []
    was = about.get("cohort") or {}
    if was.get("fingerprint") != cohort:
        found.append(
            f"Exchangeability is broken: calibrated on the cohort {was.get('name', 'unknown')}, applied to "
            f"{inputs.pairs.folder.resolve().name}: coverage is promised for subjects of the former only"
        )
    checksum = inputs.audited.origin.get("checksum")
    if about.get("checksum") != checksum or about.get("method") != inputs.audited.method:
        found.append(
            f"calibrated for the restorer {about.get('method')}, applied to {inputs.audited.method}, which is another"
        )
    both = {person_mark(p.subject) for p in inputs.cases} & set(about.get("people") or ())
    if both:
        found.append(
            f"{len(both)} audited subjects calibrated these intervals, so that their coverage proves nothing"
        )
    return found
