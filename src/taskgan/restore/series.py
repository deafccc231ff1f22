"""A restored volume back as DICOM: the derived series of a job."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from taskgan.cohort.slices import input_files
from taskgan.core.errors import UserError
from taskgan.core.files import value_digest
from taskgan.core.version import __version__
from taskgan.images.dicom.derive import Derivation, write_derived
from taskgan.images.dicom.series import Series, SeriesFilter, find_series
from taskgan.images.dicom.suv import suv_factor
from taskgan.images.orientation import from_ras
from taskgan.images.volumes import read_volume
from taskgan.model.folder import ModelCard
from taskgan.model.restorer import Array, RestoredVolume
from taskgan.restore.inputs import Job
from taskgan.restore.origin import AppliedSettings


def source_series(job: Job) -> Series:
    """The degraded series of a job, from its headers."""
    return find_series(job.pair.degraded, SeriesFilter(job.pair.series("degraded")))


def suv_sentence(job: Job) -> str:
    """Body-weight SUV of a series and of its restoration, or one sentence why there is none."""
    place = job.pair.degraded
    if not job.is_dicom or not job.target.is_dir():
        return f"{place}: no SUV, it is no restored DICOM series"
    try:
        figures = []
        for folder, series in ((place, job.pair.series("degraded")), (job.target, "")):
            values = read_volume(folder, series=series).data
            factor = suv_factor(find_series(folder, SeriesFilter(series)))
            figures.append(f"{factor * float(values.max()):.4g}")
    except UserError as error:
        return f"{place}: no SUV, {error}"
    return f"{place}: maximum SUV (body weight) {figures[1]} g/ml, of the input {figures[0]}; factor {factor:.6g}"


def write_restored_series(
    job: Job, image: Array, restored: RestoredVolume, card: ModelCard, settings: AppliedSettings, notes: Sequence[str]
) -> None:
    """Write the derived series of a restored volume into the job's target, a folder.

    Args:
        job: Which series, and where to.
        image: (X, Y, Z) as the reader turns it: nearest to RAS.
        restored: How the model was applied.
        card: The model.
        settings: As asked for.
        notes: Warnings.
    """
    series = source_series(job)
    values = from_ras(np.asarray(image, np.float32), series.affine)
    write_derived(job.target, series, values, derivation(job, restored, card, settings, notes))


def derivation(
    job: Job, restored: RestoredVolume, card: ModelCard, settings: AppliedSettings, notes: Sequence[str]
) -> Derivation:
    """What headers say of a restoration. Its key has all that decides a value besides the source."""
    used: dict[str, Any] = {**settings.as_values(), "precision_used": restored.precision, "condition": job.condition}
    several = len(input_files(job.pair, card.data)) > 1
    contrast = f"synthetic {job.condition}" if job.condition else "synthetic" * several
    return Derivation(
        model=card.name,
        description=f"restored by taskgan {__version__} with the model {card.name} ({card.objective}), SHA-256 "
        f"{card.checksum}",
        key=value_digest({"model": card.checksum, **used}, 64),
        version=__version__,
        warnings=tuple(notes),
        contrast=contrast,
    )
