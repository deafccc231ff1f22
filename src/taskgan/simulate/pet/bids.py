"""The cohort folder in the words of BIDS 1.10: names, sidecars, participants."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from taskgan.core.version import __version__
from taskgan.simulate.pet.settings import Scanner
from taskgan.simulate.workers import TRUTH_FOLDER

PARTICIPANTS = {
    "amyloid": "1: composite SUVR of the true uptake above the cut, 0: not",
    "composite_suvr": "Composite cortical SUVR of the true uptake, cerebellar grey matter = 1",
    "borderline": "1: the composite was drawn from the range around the cut",
    "anatomy": "Anatomy that the subject was made from",
    "split": "train, val or test",
}
_README = """\
Simulated amyloid PET (18F-florbetaben), made by taskgan {version}. No person was scanned.

sub-*/pet holds the standard dose (rec-standard) and low doses (rec-dose01 is 1 %), in Bq/mL, decay corrected
to injection; every dose is in the units of the standard one. derivatives/truth holds the true uptake and masks.
pairs.csv lists the pairs for training, cohort.yaml the settings, seed, versions and measured figures.
"""
TOP = {
    "name": "Simulated low-dose amyloid PET",
    "truth": "True uptake and regions",
    "command": "simulate pet",
    "readme": _README,
}


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
    """The PET sidecar (BIDS, PET required and recommended fields).

    Args:
        scanner: Scanner and reconstruction.
        injected_mbq: Activity of the standard acquisition.
        dose: Per cent of the standard dose that was kept; 100 for the standard image.
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
