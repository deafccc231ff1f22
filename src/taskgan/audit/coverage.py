"""Conformal calibration within an audit: whom it is calibrated on, and what it was worth on the test subjects."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from taskgan.audit.conformal import ConformalCalibration, needed, read_calibrations
from taskgan.audit.inputs import Inputs, listed
from taskgan.audit.judges import Judge
from taskgan.audit.measured import Measured, first_cases, made, measure
from taskgan.audit.settings import AuditSettings
from taskgan.audit.shift import NAMES, Shift, compare
from taskgan.audit.words import p_number
from taskgan.cohort.description import fingerprint
from taskgan.cohort.people import person_mark
from taskgan.core.errors import UserError
from taskgan.judges.readings import Readings
from taskgan.report.cells import number


@dataclass(frozen=True)
class Conformal:
    """All calibrations of an audit.

    Attributes:
        measured: One a target.
        shifts: Whether test subjects' images are like the calibration subjects'.
        warnings: Where the promise does not hold, in sentences.
        about: For ``conformal.yaml``: cohort, method, and the calibration images' statistics.
        source: In words, whom it was calibrated on; empty where nobody did.
        chosen: Where these subjects chose what they calibrate, a sentence (:func:`chosen_by`); it is in the warnings
            too.
    """

    measured: tuple[Measured, ...] = ()
    shifts: tuple[Shift, ...] = ()
    warnings: tuple[str, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)
    source: str = ""
    chosen: str = ""


def calibrate(
    readings: Readings,
    statistics: pd.DataFrame,
    inputs: Inputs,
    judges: Sequence[Judge],
    settings: AuditSettings,
    fit: Sequence[str],
) -> Conformal:
    """Calibrate as the settings say and measure on the test subjects that did not calibrate.

    Args:
        readings: All opinions.
        statistics: What degraded images are like, a row a case.
        inputs: Cohort and method.
        judges: The networks, whose cards say by whom they were chosen.
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
    chosen = ""
    if file is None:
        method = inputs.audited.method
        calibrations = [c for judge in fit for c in made(readings, judge, method, pool, settings)]
        chosen = chosen_by(inputs, judges, settings.alpha) if settings.calibration == "val" else ""
        warnings += [chosen] if chosen else []
        calibrators = first_cases(statistics, pool)
        about = {
            "method": method,
            "checksum": inputs.audited.origin.get("checksum"),
            "cohort": {"name": inputs.pairs.folder.resolve().name, "fingerprint": cohort},
            "source": source,
            "people": sorted(person_mark(s) for s in calibrators["subject"]),
            "statistics": {n: [float(v) for v in calibrators[n]] for n in NAMES},
        }
    else:
        calibrations, about = _read(file, fit, settings)
        calibrators = pd.DataFrame(about.get("statistics") or {n: [] for n in NAMES})
        warnings += _strangers(about, inputs, cohort)
    measured = tuple(measure(readings, c, inputs.audited.method, tested) for c in calibrations)
    shifts = tuple(compare(calibrators, first_cases(statistics, tested))) if len(calibrators) else ()
    warnings += [c.too_few for c in calibrations if c.too_few]
    warnings += [
        f"Exchangeability is broken: the degraded test images differ from the calibration images in their {s.name} "
        f"(median {number(s.test, 3)} against {number(s.calibration, 3)}, Kolmogorov–Smirnov p {p_number(s.p)}, "
        f"{p_number(s.adjusted)} after Holm): the promised coverage does not hold for them"
        for s in shifts
        if s.found
    ]
    return Conformal(measured, shifts, tuple(warnings), about, source, chosen)


def chosen_by(inputs: Inputs, judges: Sequence[Judge], alpha: float) -> str:
    """A warning where validation subjects calibrate what they have chosen: they are not exchangeable with new ones.

    A restorer keeps the look that was best on them (early stopping, a sweep), a judge stops by them: both err less
    on them than on a stranger, so that intervals made of these errors are too narrow for strangers.
    """
    people = {p.subject for p in inputs.validation}
    seen = inputs.audited.origin.get("seen")
    marks = set(seen.get("people") or ()) if isinstance(seen, dict) else set()
    by = [inputs.audited.method] if marks & {person_mark(p) for p in people} else []
    by += [j.name for j in judges if people & set(j.card.get("validation_subjects") or ())]
    unsaid = not isinstance(seen, dict)  # one that learns from nobody says so by empty lists
    if not by and not unsaid:
        return ""
    who = f"helped to choose {listed(by)} (by the best look, by early stopping, in a sweep)" if by else ""
    may = f"may have helped to choose {inputs.audited.method}, of which nothing says by whom it was chosen"
    told = " and ".join(text for text in (who, may if unsaid else "") if text)
    return (
        f"The {len(people)} val subjects that calibrated {told}: on them restorer and judge err less than on new "
        f"subjects, so that intervals may be too narrow and cover less than {100 * (1 - alpha):g} %; a share of the "
        "test subjects (--calibration 0.5) is the clean way"
    )


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
        return None, pool, test, f"{count} val subjects"
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


def _read(
    file: Path, fit: Sequence[str], settings: AuditSettings
) -> tuple[list[ConformalCalibration], dict[str, Any]]:
    from dataclasses import replace

    from taskgan.core.files import read_yaml

    found = read_calibrations(file)
    usable = [replace(c, alpha=settings.alpha) for c in found.values() if c.judge in fit]
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
