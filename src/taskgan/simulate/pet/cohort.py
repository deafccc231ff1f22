"""``taskgan simulate pet``: subjects on every core, a cohort folder at the end."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from taskgan.cohort.folder import complete, write_participants
from taskgan.cohort.pairs import write_pairs
from taskgan.core.console import say
from taskgan.core.files import PathLike
from taskgan.core.lock import exclusive
from taskgan.core.parts import Part
from taskgan.simulate.anatomy import COMPOSITE, Anatomy, brainweb_files
from taskgan.simulate.pet.bids import PARTICIPANTS, TOP, dose_label, pet_path, truth_path
from taskgan.simulate.pet.plan import PetSubject, plan_subjects
from taskgan.simulate.pet.projector import Projector
from taskgan.simulate.pet.settings import PetSimulation
from taskgan.simulate.pet.subject import make_subject
from taskgan.simulate.pet.uptake import regional_cut
from taskgan.simulate.workers import Anatomies, Record, describe_cohort, simulate_missing

_FULL_SCALE_WORKERS = 3


@exclusive("out", "the cohort")
def simulate_pet(
    out: PathLike, settings: PetSimulation | None = None, *, workers: int = 0, part: Part | None = None
) -> Path:
    """Make a cohort, or go on with one that was interrupted.

    The same settings give the same bytes, whatever the number of workers: every subject has its own generator
    and every worker computes on one thread.

    Args:
        out: Cohort folder; absent, empty, or begun with the same settings.
        settings: What to simulate; None is the defaults.
        workers: Processes; 0 takes every core, at full scale three at most, which keeps memory under 8 GB.
        part: Only these subjects, without tables and marker, which a last call without a part writes.

    Returns:
        The cohort folder.

    Raises:
        UserError: If ``out`` holds something else or was begun with other settings.
    """
    out, settings = Path(out), settings or PetSimulation()
    sources = brainweb_files(settings.anatomy) if settings.anatomy else []
    subjects = plan_subjects(settings, None if settings.one_template else len(sources))
    description = describe_cohort("pet", settings, sources, {}, scanner=settings.scanner)
    records = simulate_missing(
        out,
        subjects,
        _PetSimulator,
        settings,
        sources,
        description=description,
        sections=("settings", "scanner"),
        dataset_files=TOP,
        workers=workers,
        part=part,
        max_workers=_FULL_SCALE_WORKERS if settings.scale == "full" else None,
    )
    if records is None:
        return out
    _write_tables(out, settings, records)
    measured = _cohort_metrics(settings, records)
    complete(out, {**description, "measured": measured})
    say(f"{out}: {len(records)} subjects, {sum(r['label'] for r in records)} positive")
    return out


class _PetSimulator:
    """What a worker keeps between subjects: the projector and the anatomy used last."""

    def __init__(
        self, settings: PetSimulation, sources: tuple[Path, ...], template: Anatomy | None, step: float, out: Path
    ) -> None:
        self._settings, self._out = settings, out
        self._anatomies = Anatomies(sources, template, step)
        self._projector = Projector(settings.scanner)

    def simulate(self, subject: PetSubject) -> Record:
        """Write a subject's files and give its record."""
        anatomy = self._anatomies[subject.anatomy]
        return make_subject(subject, self._settings, anatomy, self._projector, self._out)


def _write_tables(out: Path, settings: PetSimulation, records: Sequence[Record]) -> None:
    write_participants(
        out,
        PARTICIPANTS,
        [
            {
                "participant_id": r["subject"],
                "amyloid": r["label"],
                "composite_suvr": f"{r['composite_suvr']:.4f}",
                "borderline": r["borderline"],
                "anatomy": r["anatomy"],
                "split": r["split"],
            }
            for r in records
        ],
    )
    rows = []
    for r in records:
        name = r["subject"]
        for dose in settings.doses:
            rows.append(
                {
                    "case": f"{name}_{dose_label(dose).replace('dose', 'dose-')}",
                    "subject": name,
                    "split": r["split"],
                    "degraded": pet_path(name, dose_label(dose)).as_posix(),
                    "clean": pet_path(name, "standard").as_posix(),
                    "label": r["label"],
                    "mask": truth_path(name, "head").as_posix(),
                    "brain": truth_path(name, "brain").as_posix(),
                    "cortex": truth_path(name, "cortex").as_posix(),
                    "reference": truth_path(name, "reference").as_posix(),
                    "dose": f"{dose:g}",
                    "truth": truth_path(name, "uptake").as_posix(),
                    "composite_suvr": f"{r['composite_suvr']:.6f}",
                    "borderline": r["borderline"],
                    "anatomy": r["anatomy"],
                    **_property_columns(r, settings),
                }
            )
    write_pairs(out / "pairs.csv", rows)


def _property_columns(record: Record, settings: PetSimulation) -> dict[str, object]:
    """Further properties of a subject that a task network can be asked to keep.

    ``amyloid_grade``: 0 below the range that counts as borderline, 1 in it, 2 above. ``positive_<region>``: whether
    a region's own SUVR reaches its cut.
    """
    low, high = settings.borderline_range
    composite, regional = record["composite_suvr"], record["regional_suvr"]
    positive = {f"positive_{name}": int(regional[name] >= regional_cut(name)) for name in COMPOSITE}
    return {"amyloid_grade": int(composite >= low) + int(composite > high), **positive}


def _cohort_metrics(settings: PetSimulation, records: Sequence[Record]) -> dict[str, Any]:
    """Mean and SD over subjects of each dose's distance to the standard dose."""
    measured: dict[str, Any] = {
        "subjects": len(records),
        "positive": sum(r["label"] for r in records),
        "borderline": sum(r["borderline"] for r in records),
        "standard_dose_prompts": round(float(np.mean([r["prompts"]["100"] for r in records]))),
    }
    for dose in settings.doses:
        label = dose_label(dose)
        figures: dict[str, Any] = {}
        for name in ("relative_rmse", "psnr_db"):
            values = np.array([r["measured"][label][name] for r in records])
            figures[name] = {"mean": round(float(values.mean()), 4), "sd": round(float(values.std(ddof=1)), 4)}
        measured[label] = figures
    return measured
