"""The cohort folder in the words of BIDS 1.10: names, sidecars, participants.

Names that every multi-contrast MR cohort shares are in :mod:`taskgan.physics.sequences`.
"""

from pathlib import Path
from typing import Any

from taskgan.core.version import __version__
from taskgan.physics.sequences import MASK_TYPES, Mdme, SpinEcho
from taskgan.simulate.workers import TRUTH_FOLDER

MASKS = MASK_TYPES
"""Masks of the truth and their ``Type``."""
_MASK_TEXT = {
    "head": "Most of the voxel is head",
    "brain": "Most of the voxel is brain",
    "lesions": "At least half of the voxel is white-matter lesion, tumour or oedema",
    "tumour": "At least half of the voxel is solid tumour",
    "white": "Nearly pure healthy white matter",
    "grey": "Nearly pure healthy grey matter without striatum and thalamus",
    "csf": "Nearly pure cerebrospinal fluid",
}
PARTICIPANTS = {
    "patient": "1: patient, 0: control",
    "pathology": "control, lesions (white-matter lesions) or tumour (metastasis with oedema)",
    "lesion_count": "White-matter lesions that were drawn; some are too small for the lesion mask",
    "lesion_ml": "Volume of white-matter lesion, tumour and oedema by their fractions, in millilitres",
    "tumour_ml": "Volume of solid tumour by its fraction, in millilitres",
    "anatomy": "Anatomy that the subject was made from",
    "split": "train, val or test",
}
_README = """\
Simulated multi-contrast MR at 3 T, made by taskgan {version}. No person was scanned.

sub-*/anat holds the input, a multi-delay multi-echo acquisition (acq-delayNNNN: saturation delay in ms, real and
imaginary parts, which have a sign), and the conventional contrasts: T1w, acq-flair_T1w (T1-FLAIR), T2w, FLAIR
(T2-FLAIR), acq-stir_T2w (STIR) and PDw. Units are arbitrary and the same in all images of a subject: 1 is the
signal of fully relaxed water at nominal gain. derivatives/truth holds masks. pairs.csv lists one pair per subject
and contrast, cohort.yaml the settings, seed, versions and measured figures.
"""
TOP = {
    "name": "Simulated multi-contrast MR",
    "truth": "True lesions and tissues",
    "command": "simulate mr",
    "readme": _README,
}


def truth_path(subject: str, name: str) -> Path:
    """Path of a mask of :data:`MASKS`."""
    return TRUTH_FOLDER / subject / "anat" / f"{subject}_desc-{name}_mask.nii.gz"


def input_sidecar(protocol: Mdme, td: float, te: float, slice_mm: float) -> dict[str, Any]:
    """Sidecar of an input image. Times are in seconds.

    The delay after saturation is BIDS's ``InversionTime``: a saturation by more than 90° inverts in part.
    """
    return {
        **_scanner(slice_mm),
        "SequenceName": "MDME (QRAPMASTER)",
        "ScanningSequence": "SE",
        "RepetitionTime": protocol.tr / 1000,
        "RepetitionTimeExcitation": protocol.tr / 1000,
        "EchoTime": te / 1000,
        "InversionTime": td / 1000,
        "FlipAngle": protocol.excitation_deg,
        "SaturationFlipAngle": protocol.saturation_deg,
        "Units": "arbitrary",
    }


def target_sidecar(target: SpinEcho, slice_mm: float) -> dict[str, Any]:
    """Sidecar of a conventional image. Times are in seconds."""
    inversion = {} if target.ti is None else {"InversionTime": target.ti / 1000}
    return {
        **_scanner(slice_mm),
        "SequenceName": target.name,
        "ScanningSequence": "SE" if target.ti is None else ["SE", "IR"],
        "RepetitionTime": target.tr / 1000,
        "EchoTime": target.te / 1000,
        **inversion,
        "FlipAngle": 90,
        "Units": "arbitrary",
    }


def _scanner(slice_mm: float) -> dict[str, Any]:
    return {
        "Manufacturer": "Simulated",
        "ManufacturersModelName": "taskgan signal equations",
        "SoftwareVersions": f"taskgan {__version__}",
        "MagneticFieldStrength": 3,
        "BodyPart": "BRAIN",
        "MRAcquisitionType": "2D",
        "SliceThickness": slice_mm,
    }


def mask_sidecar(name: str) -> dict[str, Any]:
    """The sidecar of a mask."""
    return {"Type": MASKS[name], "Description": _MASK_TEXT[name]}
