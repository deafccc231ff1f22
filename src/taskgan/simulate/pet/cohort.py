"""``taskgan simulate pet``: subjects on every core, a cohort folder at the end."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from taskgan.cohort.folder import write_participants
from taskgan.cohort.pairs import write_pairs
from taskgan.core.files import PathLike
from taskgan.physics.sequences import TARGETS, target_path
from taskgan.simulate.anatomy import COMPOSITE
from taskgan.simulate.pet.projector import Projector
from taskgan.simulate.pet.settings import PetSimulation, plan_subjects
from taskgan.simulate.pet.subject import PARTICIPANTS, README, dose_label, make_subject, pet_path, truth_path
from taskgan.simulate.pet.uptake import regional_cut
from taskgan.simulate.workers import CohortKind, Record, simulate_cohort


def simulate_pet(out: PathLike, settings: PetSimulation | None = None, *, workers: int = 0, **how: Any) -> Path:
    """Make a cohort, see :func:`~taskgan.simulate.workers.simulate_cohort`.

    At full scale three workers at most keep memory under 8 GB.
    """
    kind = CohortKind(
        name="pet",
        plan=plan_subjects,
        make=make_subject,
        tools=_tools,
        title="Simulated low-dose amyloid PET",
        truth="True uptake and regions",
        readme=README,
        write_tables=_write_tables,
        measure=_cohort_metrics,
        sentence=lambda _, records: f"{sum(r['label'] for r in records)} positive",
        device="scanner",
        max_workers=3,
    )
    return simulate_cohort(Path(out), settings or PetSimulation(), kind, workers=workers, **how)


def _tools(settings: PetSimulation) -> tuple[Projector]:
    return (Projector(settings.scanner),)


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
        runs = range(1, settings.repeats + 1) if settings.repeats > 1 else (0,)
        for run, dose in itertools.product(runs, settings.doses):
            rows.append(
                {
                    "case": f"{name}_{dose_label(dose).replace('dose', 'dose-')}" + (f"_run-{run}" if run else ""),
                    "subject": name,
                    "split": r["split"],
                    "degraded": pet_path(name, dose_label(dose), run).as_posix(),
                    "clean": pet_path(name, "standard", run).as_posix(),
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
                    **({"repeat": run} if run else {}),
                    **(_focal_columns(r) if settings.focal else {}),
                    **({"t1": target_path(name, TARGETS[0].name).as_posix()} if settings.with_t1 else {}),
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


def _focal_columns(record: Record) -> dict[str, object]:
    """What focal uptake a subject has, as properties and images; spheres are no lesions."""
    name, findings = record["subject"], record["findings"]
    regions = [finding["region"] for finding in findings if finding["confined"]]
    by_region = {f"lesion_{region}": int(region in regions) for region in COMPOSITE}
    images = {column: truth_path(name, column).as_posix() for column in ("lesions", "white", "findings")}
    return {"lesion": int(bool(regions)), "lesion_count": len(regions), **by_region, **images}


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
