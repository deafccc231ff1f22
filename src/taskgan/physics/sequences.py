"""Signal equations and the protocol: what a tissue gives in each image. Pure functions, times in ms.

Partial volume is not their business: a voxel's signal is the sum of its tissues' signals by their fractions
(:mod:`taskgan.simulate.mr.scan`), never the signal of mixed parameters.

How a multi-contrast cohort is named, whoever makes it, is here too: columns of ``pairs.csv``, BIDS paths, labels. The
input's images are multi-echo spin echoes (suffix ``MESE``). BIDS 1.10 gives that suffix no inversion entity, so the
delay is part of the acquisition label; real and imaginary part are ``part-real`` and ``part-imag``. Contrasts without
a suffix of their own are acquisitions of the nearest: T1-FLAIR is ``acq-flair_T1w``, STIR is ``acq-stir_T2w``.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from taskgan.core.settings import Settings


class Mdme(Settings):
    """The multi-delay multi-echo acquisition (QRAPMASTER, 10.1002/mrm.21635).

    Attributes:
        tr: Repetition time.
        delays: From the saturation pulse to the excitation, shortest first.
        echoes: Echo times.
        saturation_deg: Nominal angle of the saturation pulse.
        excitation_deg: Nominal angle of the excitation.
    """

    tr: float = Field(default=4350.0, gt=0)
    delays: tuple[float, ...] = (150.0, 600.0, 1950.0, 4200.0)
    echoes: tuple[float, ...] = (21.0, 95.0)
    saturation_deg: float = Field(default=120.0, gt=0, lt=180)
    excitation_deg: float = Field(default=90.0, gt=0, le=90)

    @model_validator(mode="after")
    def _consistent(self) -> "Mdme":
        for times in (self.delays, self.echoes):
            if not times or list(times) != sorted(set(times)) or times[0] <= 0:
                raise ValueError("delays and echoes are rising times above 0 ms")
        if self.delays[-1] >= self.tr:
            raise ValueError(f"the longest delay {self.delays[-1]:g} ms does not fit into TR {self.tr:g} ms")
        return self


class SpinEcho(Settings):
    """One conventional sequence: spin echo, or inversion-recovery spin echo where there is a TI.

    Attributes:
        name: The contrast, as ``pairs.csv`` calls it.
        tr: Repetition time.
        te: Echo time; of turbo spin echo the effective one.
        ti: Inversion time, or None.
    """

    name: str
    tr: float = Field(gt=0)
    te: float = Field(gt=0)
    ti: float | None = Field(default=None, gt=0)


TARGETS = (
    SpinEcho(name="T1w", tr=600, te=15),
    SpinEcho(name="T1-FLAIR", tr=2500, te=20, ti=950),
    SpinEcho(name="T2w", tr=4500, te=100),
    SpinEcho(name="T2-FLAIR", tr=9500, te=110, ti=2400),
    SpinEcho(name="STIR", tr=5000, te=60, ti=220),
    SpinEcho(name="PDw", tr=2700, te=20),
)


def mdme_signal(
    pd: ArrayLike, t1: ArrayLike, t2: ArrayLike, *, te: float, td: float, b1: ArrayLike, protocol: Mdme
) -> NDArray[Any]:
    """Real signal of one delay and echo in the steady state (10.1002/mrm.21635), for a perfect slice.

    S = PD · e^(−TE/T2) · sin α · [1 − (1 − cos θ)·e^(−TD/T1) − cos θ·e^(−TR/T1)] / [1 − cos θ·cos α·e^(−TR/T1)]
    with θ and α the nominal angles times B1. Saturation by 120° leaves magnetisation of −½, so that tissue is
    negative after the shortest delay.

    Args:
        pd: Proton density relative to water.
        t1: ms.
        t2: ms.
        te: Echo time, ms.
        td: Delay, ms.
        b1: Transmit field relative to nominal. All four broadcast.
        protocol: Angles and TR.
    """
    theta = np.radians(protocol.saturation_deg) * np.asarray(b1)
    alpha = np.radians(protocol.excitation_deg) * np.asarray(b1)
    cycle = np.exp(-protocol.tr / np.asarray(t1))
    recovered = 1.0 - (1.0 - np.cos(theta)) * np.exp(-td / np.asarray(t1)) - np.cos(theta) * cycle
    steady = recovered / (1.0 - np.cos(theta) * np.cos(alpha) * cycle)
    return np.asarray(np.asarray(pd) * np.exp(-te / np.asarray(t2)) * np.sin(alpha) * steady)


def target_signal(pd: ArrayLike, t1: ArrayLike, t2: ArrayLike, target: SpinEcho) -> NDArray[Any]:
    """Signed signal of a spin echo, or of an inversion-recovery spin echo with finite TR and TE ≪ TR.

    S = PD · e^(−TE/T2) · (1 − e^(−TR/T1)), with an inversion PD · e^(−TE/T2) · (1 − 2·e^(−TI/T1) + e^(−TR/T1)),
    with PD relative to water and times in ms.
    """
    cycle = np.exp(-target.tr / np.asarray(t1))
    longitudinal = 1.0 - cycle
    if target.ti is not None:
        longitudinal = 1.0 - 2.0 * np.exp(-target.ti / np.asarray(t1)) + cycle
    return np.asarray(np.asarray(pd) * np.exp(-target.te / np.asarray(t2)) * longitudinal)


PARTS = ("real", "imag")
_SUFFIXES = {"T1-FLAIR": "acq-flair_T1w", "T2-FLAIR": "FLAIR", "STIR": "acq-stir_T2w"}  # the others are their names
CONTRASTS = tuple(target.name for target in TARGETS)
"""The six contrasts; a contrast's place in this list is its label, also where a cohort has fewer."""
MASK_TYPES = {"head": "Face", "brain": "Brain", "lesions": "Lesion", "tumour": "Lesion"}
MASK_TYPES |= dict.fromkeys(("white", "grey", "csf"), "ROI")
"""Masks and their BIDS ``Type``."""


def input_columns(delays: int, echoes: int) -> dict[str, tuple[int, int, str]]:
    """Columns of ``pairs.csv`` that hold the input, with delay, echo (from 1) and part, of so many delays and echoes.

    The real part at the longest delay and shortest echo comes first, as ``degraded``: it is positive in all
    tissue, so that an intensity transform can be fitted on it. The others follow in the order of the
    acquisition, named like ``delay1_echo2_imag``.
    """
    first = (delays, 1, "real")
    keys = [(d, e, part) for d in range(1, delays + 1) for e in range(1, echoes + 1) for part in PARTS]
    rest = {f"delay{d}_echo{e}_{part}": (d, e, part) for d, e, part in keys if (d, e, part) != first}
    return {"degraded": first, **rest}


def mask_column(mask: str) -> str:
    """Column of ``pairs.csv`` that names a mask: the head's is ``mask``."""
    return "mask" if mask == "head" else mask


def input_path(subject: str, td: float, echo: int, part: str) -> Path:
    """Path of one part (``real`` or ``imag``) of an input image at a delay (ms) and an echo (from 1)."""
    delay = f"{td:g}".replace(".", "p").zfill(4)
    return Path(subject) / "anat" / f"{subject}_acq-delay{delay}_echo-{echo}_part-{part}_MESE.nii.gz"


def target_path(subject: str, contrast: str) -> Path:
    """Path of a conventional image."""
    return Path(subject) / "anat" / f"{subject}_{_SUFFIXES.get(contrast, contrast)}.nii.gz"


def case_name(subject: str, contrast: str) -> str:
    """Name of the pair of a subject and a contrast."""
    return f"{subject}_{contrast.replace('-', '')}"
