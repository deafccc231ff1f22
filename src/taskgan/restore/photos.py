"""Restored photos: luminance by the model, everything else as the input has it."""

from typing import Any

from taskgan.cohort.photos import Photo, read_photo
from taskgan.cohort.write_photo import check_format, with_luminance, write_photo
from taskgan.restore.inputs import Job
from taskgan.restore.restorer import Array


def check_output_format(job: Job) -> None:
    """Refuse a file name whose format cannot hold what the input has; ``.png`` holds everything.

    Raises:
        UserError: If the input cannot be read, or transparency or bits would be lost.
    """
    if job.target.suffix.lower() != ".png":
        check_format(job.target, read_photo(job.pair.degraded))


def write_restored(job: Job, luminance: Array) -> dict[str, Any]:
    """Write a restored photo with the input's colour differences, transparency, bits, colour profile and EXIF.

    Args:
        job: Which photo, and where to.
        luminance: (X, Y, 1) as the model gives it.

    Returns:
        What its sidecar says of it.
    """
    photo = read_photo(job.pair.degraded)
    write_photo(job.target, with_luminance(photo, luminance[:, :, 0]))
    return {"Bits": photo.bits, "Restored": _photo_kind(photo)}


def _photo_kind(photo: Photo) -> str:
    if photo.pixels.shape[2] == 1:
        return "grey values"
    return "luminance (ITU-R BT.601); the colour differences Cb and Cr are the input's"
