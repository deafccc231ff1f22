"""A restored volume back as DICOM: the derived series of a job."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from taskgan import __version__
from taskgan.cohort.slices import input_files
from taskgan.core.files import value_digest
from taskgan.images.dicom.derive import Derivation, write_derived
from taskgan.images.dicom.series import Series, SeriesFilter, find_series
from taskgan.images.volumes import from_ras
from taskgan.model.folder import ModelCard
from taskgan.model.restorer import Array, RestoredVolume
from taskgan.restore.inputs import Job
from taskgan.restore.origin import AppliedSettings


def source_series(job: Job) -> Series:
    """The degraded series of a job, from its headers."""
    return find_series(job.pair.degraded, SeriesFilter(job.pair.series("degraded")))


def write_restored_series(
    job: Job,
    image: Array,
    restored: RestoredVolume,
    card: ModelCard,
    settings: AppliedSettings,
    notes: Sequence[str],
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
