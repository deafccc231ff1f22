"""How a multi-contrast MR cohort is named, whoever makes it: columns of ``pairs.csv``, BIDS paths, labels.

The input's images are multi-echo spin echoes (suffix ``MESE``). BIDS 1.10 gives that suffix no inversion entity,
so the delay is part of the acquisition label; real and imaginary part are ``part-real`` and ``part-imag``.
Contrasts without a suffix of their own are acquisitions of the nearest: T1-FLAIR is ``acq-flair_T1w``, STIR is
``acq-stir_T2w``.
"""

from pathlib import Path

PARTS = ("real", "imag")
SUFFIX = {
    "T1w": "T1w",
    "T1-FLAIR": "acq-flair_T1w",
    "T2w": "T2w",
    "T2-FLAIR": "FLAIR",
    "STIR": "acq-stir_T2w",
    "PDw": "PDw",
}
CONTRASTS = tuple(SUFFIX)
"""The six contrasts; a contrast's place in this list is its label, also where a cohort has fewer."""
MASK_TYPES = {
    "head": "Face",
    "brain": "Brain",
    "lesions": "Lesion",
    "tumour": "Lesion",
    "white": "ROI",
    "grey": "ROI",
    "csf": "ROI",
}
"""Masks and their BIDS ``Type``."""


def input_columns(delays: int, echoes: int) -> dict[str, tuple[int, int, str]]:
    """Columns of ``pairs.csv`` that hold the input, with delay, echo (from 1) and part.

    The real part at the longest delay and shortest echo comes first, as ``degraded``: it is positive in all
    tissue, so that an intensity transform can be fitted on it. The others follow in the order of the
    acquisition, named like ``delay1_echo2_imag``.

    Args:
        delays: How many, the shortest first.
        echoes: How many, the shortest first.
    """
    first = (delays, 1, "real")
    keys = [(d, e, part) for d in range(1, delays + 1) for e in range(1, echoes + 1) for part in PARTS]
    rest = {f"delay{d}_echo{e}_{part}": (d, e, part) for d, e, part in keys if (d, e, part) != first}
    return {"degraded": first, **rest}


def mask_column(mask: str) -> str:
    """Column of ``pairs.csv`` that names a mask: the head's is ``mask``."""
    return "mask" if mask == "head" else mask


def input_path(subject: str, td: float, echo: int, part: str) -> Path:
    """Path of one part of an input image.

    Args:
        subject: Participant.
        td: Delay, ms.
        echo: From 1.
        part: ``real`` or ``imag``.
    """
    delay = f"{td:g}".replace(".", "p").zfill(4)
    return Path(subject) / "anat" / f"{subject}_acq-delay{delay}_echo-{echo}_part-{part}_MESE.nii.gz"


def target_path(subject: str, contrast: str) -> Path:
    """Path of a conventional image."""
    return Path(subject) / "anat" / f"{subject}_{SUFFIX[contrast]}.nii.gz"


def case_name(subject: str, contrast: str) -> str:
    """Name of the pair of a subject and a contrast."""
    return f"{subject}_{contrast.replace('-', '')}"
