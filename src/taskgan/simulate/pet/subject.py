"""One subject, from the plan to its files, in the words of BIDS 1.10: names and sidecars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.core.files import write_json
from taskgan.core.version import __version__
from taskgan.images.volumes import write_volume
from taskgan.physics.sequences import TARGETS, target_path
from taskgan.physics.tissues import TISSUES, draw_tissues
from taskgan.simulate.anatomy import SKULL, WHITE, Anatomy
from taskgan.simulate.deform import Grid, Head, deform
from taskgan.simulate.mr.cohort import target_sidecar
from taskgan.simulate.mr.scan import acquire_target, draw_fields
from taskgan.simulate.mr.settings import MrSimulation
from taskgan.simulate.pet.acquire import (
    BONE_PER_CM,
    SOFT_PER_CM,
    SystemModel,
    osem,
    post_filter,
    prompts,
    sensitivities,
    system_model,
    thin_counts,
)
from taskgan.simulate.pet.focal import Inserted, draw_findings, insert_findings, touched
from taskgan.simulate.pet.projector import Projector, gaussian_matrix
from taskgan.simulate.pet.settings import PetSimulation, PetSubject, Scanner
from taskgan.simulate.pet.uptake import Truth, paint_uptake
from taskgan.simulate.workers import TRUTH_FOLDER, record_path

PARTICIPANTS = {
    "amyloid": "1: composite SUVR of the true uptake above the cut, 0: not",
    "composite_suvr": "Composite cortical SUVR of the true uptake, cerebellar grey matter = 1",
    "borderline": "1: the composite was drawn from the range around the cut",
    "anatomy": "Anatomy that the subject was made from",
    "split": "train, val or test",
}
README = """\
Simulated amyloid PET (18F-florbetaben), made by taskgan {version}. No person was scanned.

sub-*/pet holds the standard dose (rec-standard) and low doses (rec-dose01 is 1 %), in Bq/mL, decay corrected
to injection; every dose is in the units of the standard one. derivatives/truth holds the true uptake and masks.
pairs.csv lists the pairs for training, cohort.yaml the settings, seed, versions and measured figures.
"""

MASKS = ("head", "brain", "cortex", "reference")
"""Masks of every cohort; with focal uptake there are ``lesions`` and ``white`` too."""


def dose_label(dose: float) -> str:
    """``1`` to ``dose01``, ``0.5`` to ``dose00p5``: letters and digits, in the order of the doses."""
    whole, _, part = f"{dose:g}".partition(".")
    return f"dose{whole.zfill(2)}" + (f"p{part}" if part else "")


def pet_path(subject: str, rec: str, run: int = 0) -> Path:
    """Path of an image in the cohort; ``run`` counts a subject's acquisitions from 1, 0 where there is one."""
    entity = f"_run-{run}" if run else ""
    return Path(subject) / "pet" / f"{subject}_trc-FBB_rec-{rec}{entity}_pet.nii.gz"


def truth_path(subject: str, name: str) -> Path:
    """Path of a mask (see :data:`MASKS`), of the true ``uptake`` or of the ``findings``."""
    folder = TRUTH_FOLDER / subject / "pet"
    if name == "uptake":
        return folder / f"{subject}_trc-FBB_desc-truth_pet.nii.gz"
    if name == "findings":
        return folder / f"{subject}_desc-findings_dseg.nii.gz"
    return folder / f"{subject}_desc-{name}_mask.nii.gz"


def pet_sidecar(scanner: Scanner, *, injected_mbq: float, dose: float) -> dict[str, Any]:
    """The PET sidecar (BIDS, PET required and recommended fields). ``dose``: per cent of the standard dose that was
    kept; 100 for the standard image.
    """
    model = "PSF" if scanner.model_resolution else "no PSF"
    return {
        "Manufacturer": "Simulated",
        "ManufacturersModelName": "taskgan 2D TOF-PET, GE SIGNA PET/MR parameters",
        "SoftwareVersions": f"taskgan {__version__}",
        "Units": "Bq/mL",
        "BodyPart": "BRAIN",
        "TracerName": "florbetaben",
        "TracerRadionuclide": "F18",
        "InjectedRadioactivity": round(injected_mbq, 1),
        "InjectedRadioactivityUnits": "MBq",
        "InjectedMass": "n/a",
        "InjectedMassUnits": "n/a",
        "SpecificRadioactivity": "n/a",
        "SpecificRadioactivityUnits": "n/a",
        "ModeOfAdministration": "bolus",
        "TimeZero": "12:00:00",
        "ScanStart": 5400,
        "InjectionStart": 0,
        "FrameTimesStart": [5400],
        "FrameDuration": [1200],
        "AcquisitionMode": "list mode",
        "ImageDecayCorrected": True,
        "ImageDecayCorrectionTime": 0,
        "ReconMethodName": f"2D TOF-OSEM, {model}",
        "ReconMethodParameterLabels": ["iterations", "subsets"],
        "ReconMethodParameterUnits": ["none", "none"],
        "ReconMethodParameterValues": [scanner.iterations, scanner.subsets],
        "ReconFilterType": "Gaussian" if scanner.post_filter_mm else "none",
        "ReconFilterSize": scanner.post_filter_mm,
        "ReconMethodImplementationVersion": f"taskgan {__version__}",
        "ScaleFactor": [1.0],
        "AttenuationCorrection": "true attenuation map",
        "ScatterFraction": [round(100 * scanner.scatter / (1 + scanner.scatter), 2)],
        "DosePercent": dose,
        "DoseReduction": "none" if dose == 100 else "binomial thinning of the standard dose's prompts",
    }


def truth_sidecar(name: str, findings: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """The sidecar of a truth image; that of the findings says what each number is."""
    if name == "uptake":
        return {"Units": "Bq/mL", "Description": "True activity concentration, before the scanner's resolution"}
    if name == "findings":
        text = "Number of the lesion or sphere that takes at least half of the voxel"
        return {"Description": text, "Findings": list(findings)}
    return {
        "Type": {"head": "Face", "brain": "Brain", "lesions": "Lesion"}.get(name, "ROI"),
        "Description": f"{name} mask",
    }


Array = NDArray[np.float32]
_PURE_WHITE = 0.9


@dataclass(frozen=True)
class Reconstructions:
    """The images of one subject. ``images``: by dose in per cent, 100 among them; (X, Y, Z) kBq/ml."""

    images: dict[float, Array]
    prompts: dict[float, int]


def grid_of(scanner: Scanner) -> Grid:
    """The voxels of a scanner."""
    return Grid(
        (scanner.pixels, scanner.pixels, scanner.slices), (scanner.pixel_mm, scanner.pixel_mm, scanner.slice_mm)
    )


def acquire_and_reconstruct(
    projector: Projector, activity: Array, per_cm: Array, doses: tuple[float, ...], seeds: np.random.SeedSequence
) -> Reconstructions:
    """Acquire a volume once and reconstruct it at the standard dose and at every low dose.

    Doses are nested: each is thinned from the next higher one, so the 1 % counts are part of the 5 % ones.
    Blocks of slices have generators of their own.

    Args:
        activity: (X, Y, Z) kBq/ml.
        per_cm: μ (X, Y, Z) in 1/cm.
        doses: In per cent, below 100.
    """
    scanner = projector.scanner
    axial = gaussian_matrix(scanner.slices, scanner.slice_mm, scanner.resolution_mm)
    blurred = np.ascontiguousarray((activity @ axial) * projector.support[..., None])
    falling = sorted({100.0, *doses}, reverse=True)
    images = {dose: np.zeros_like(blurred) for dose in falling}
    counted = dict.fromkeys(falling, 0)
    starts = range(0, scanner.slices, scanner.block)
    for start, seed in zip(starts, seeds.spawn(len(starts)), strict=True):
        rng = np.random.default_rng(seed)
        part = slice(start, start + scanner.block)
        model = system_model(
            projector, np.ascontiguousarray(blurred[..., part]), np.ascontiguousarray(per_cm[..., part])
        )
        counts = prompts(model, np.ascontiguousarray(blurred[..., part]), rng)
        known = model
        if not scanner.model_resolution:
            known = SystemModel(projector.without_resolution(), model.attenuation, model.background, model.scale)
        sensitivity = sensitivities(known)
        before = 100.0
        for dose in falling:
            if dose < before:
                counts = thin_counts(counts, dose / before, rng)
                before = dose
            counted[dose] += sum(int(c.sum(dtype=np.int64)) for c in counts)
            images[dose][..., part] = osem(
                known, counts, fraction=dose / 100.0, sensitivity=sensitivity, iterations=scanner.iterations
            )
    support = projector.support[..., None]
    return Reconstructions({dose: post_filter(image, scanner) * support for dose, image in images.items()}, counted)


def make_subject(
    subject: PetSubject, settings: PetSimulation, anatomy: Anatomy, projector: Projector, folder: Path
) -> dict[str, Any]:
    """Simulate one subject and write its files, the record last. Returns the record: composite, label, counts, and per
    dose the relative RMSE and PSNR against the standard.
    """
    scanner = settings.scanner
    grid = grid_of(scanner)
    seeds = np.random.SeedSequence([settings.seed, subject.number]).spawn(5)
    shape_rng, uptake_rng, focal_rng, t1_rng = (np.random.default_rng(seeds[k]) for k in (0, 1, 3, 4))
    head = deform(anatomy, grid, shape_rng)
    findings = draw_findings(subject.focal, head, grid, focal_rng)
    truth = paint_uptake(
        head,
        grid,
        subject.composite,
        subject.positive,
        subject.borderline,
        uptake_rng,
        without=touched(findings, grid) if findings else None,
    )
    inserted = insert_findings(truth.suvr, findings, head, grid)
    injected = float(uptake_rng.normal(330.0, 30.0))
    weight = float(np.clip(uptake_rng.normal(75.0, 10.0), 50.0, 110.0))
    # SUV of the reference region; decay is corrected to injection, so kBq/ml = SUV · MBq / kg.
    level = float(np.clip(uptake_rng.normal(1.0, 0.08), 0.75, 1.25)) * injected / weight
    activity = (inserted.suvr * np.float32(level)).astype(np.float32)
    bone = head.fractions[SKULL]
    per_cm = np.asarray(SOFT_PER_CM * (head.fractions.sum(axis=0) - bone) + BONE_PER_CM * bone, dtype=np.float32)
    done = acquire_and_reconstruct(projector, activity, per_cm, settings.doses, seeds[2])
    _write_images(subject, scanner, done, injected, folder, int(settings.repeats > 1))
    for run in range(2, settings.repeats + 1):
        noise = np.random.SeedSequence([settings.seed, subject.number, run])
        again = acquire_and_reconstruct(projector, activity, per_cm, settings.doses, noise)
        _write_images(subject, scanner, again, injected, folder, run)
    _write_truth(subject, settings, truth, inserted, head, activity, folder)
    if settings.with_t1:
        image = t1_weighted(head, grid, truth.head, t1_rng)
        side = target_sidecar(TARGETS[0], scanner.slice_mm)
        write_volume(folder / target_path(subject.name, TARGETS[0].name), image, grid.affine, side=side)
    record = {
        "subject": subject.name,
        "label": int(truth.composite > settings.cut),
        "composite_suvr": round(truth.composite, 6),
        "regional_suvr": {name: round(value, 6) for name, value in truth.regional.items()},
        "borderline": int(subject.borderline),
        "split": subject.split,
        "anatomy": f"{anatomy.name}-{subject.name}" if settings.one_template else anatomy.name,
        "atrophy": round(head.atrophy, 4),
        "injected_mbq": round(injected, 1),
        "reference_kbq_per_ml": round(level, 4),
        "cortex_voxels": int(truth.cortex.sum()),
        "prompts": {f"{dose:g}": count for dose, count in done.prompts.items()},
        "measured": {dose_label(dose): fidelity(done.images[dose], done.images[100.0]) for dose in settings.doses},
        **({"findings": inserted.truth} if settings.focal else {}),
    }
    write_json(folder / record_path(subject.name), record)
    return record


def t1_weighted(head: Head, grid: Grid, inside: NDArray[np.bool_], rng: np.random.Generator) -> Array:
    """The T1-weighted image (X, Y, Z) of a head on the grid of its PET, as ``simulate mr`` makes them.

    Tissues differ between subjects and within themselves, the receiver has a gain of its own, and there is noise.
    Findings of amyloid uptake are not seen.

    Args:
        grid: The scanner's voxels.
        inside: Where the head is (X, Y, Z).
    """
    settings = MrSimulation()
    fractions = np.zeros((len(TISSUES), *grid.shape), dtype=np.float32)
    fractions[: len(head.fractions)] = head.fractions
    tissues = draw_tissues(rng, spread=settings.spread)
    fields = draw_fields(settings, grid, inside, rng)
    return acquire_target(fractions, tissues, fields, TARGETS[0], settings, rng)


def _write_images(
    subject: PetSubject, scanner: Scanner, done: Reconstructions, injected: float, folder: Path, run: int
) -> None:
    for dose, image in done.images.items():
        rec = "standard" if dose == 100 else dose_label(dose)
        path, side = pet_path(subject.name, rec, run), pet_sidecar(scanner, injected_mbq=injected, dose=dose)
        write_volume(folder / path, (image * 1000.0).astype(np.float32), grid_of(scanner).affine, side=side)


def _write_truth(
    subject: PetSubject,
    settings: PetSimulation,
    truth: Truth,
    inserted: Inserted,
    head: Head,
    activity: Array,
    folder: Path,
) -> None:
    images: dict[str, NDArray[Any]] = {name: getattr(truth, name).astype(np.uint8) for name in MASKS}
    images["uptake"] = (activity * 1000.0).astype(np.float32)
    if settings.focal:
        lesions = subject.focal == "lesions"
        images["findings"] = inserted.numbers
        images["lesions"] = ((inserted.numbers > 0) & lesions).astype(np.uint8)
        images["white"] = ((head.fractions[WHITE] > _PURE_WHITE) & (inserted.numbers == 0)).astype(np.uint8)
    for name, image in images.items():
        side = truth_sidecar(name, inserted.truth)
        write_volume(folder / truth_path(subject.name, name), image, grid_of(settings.scanner).affine, side=side)


def fidelity(image: Array, clean: Array) -> dict[str, float]:
    """Relative RMSE ‖x̂−x‖/‖x‖ and PSNR in dB over the whole volume; the range is the clean one's maximum."""
    difference = (image - clean).astype(np.float64)
    error = float(np.sqrt(np.mean(difference**2)))
    norm = float(np.sqrt(np.mean(clean.astype(np.float64) ** 2)))
    peak = float(clean.max())
    return {"relative_rmse": round(error / norm, 5), "psnr_db": round(20.0 * float(np.log10(peak / error)), 4)}
