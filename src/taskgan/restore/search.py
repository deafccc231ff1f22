"""The images of a folder: links are followed, a BIDS data set is read as one, and what is left out is named."""

import os
from collections.abc import Iterator
from pathlib import Path

from taskgan.core.console import say
from taskgan.core.errors import UserError
from taskgan.core.parse import truncated
from taskgan.images.photos import is_photo_name
from taskgan.images.volumes import bids_suffix, is_image_name, stem

BIDS_SUFFIX = "pet"
_DESCRIPTION = "dataset_description.json"
_OWN = "desc-taskgan"
_NOT_RAW = ("derivatives", "sourcedata", "code")
_OTHER_FORMATS = (".mgz", ".mgh", ".mnc", ".nrrd", ".nhdr", ".mha", ".mhd", ".img.gz", ".hdr.gz", ".nii.bz2", ".dcm")
_SHOWN = 10


def is_bids(place: Path) -> bool:
    """Whether a folder is the root of a BIDS data set."""
    return (place / _DESCRIPTION).is_file()


def bids_name(path: Path) -> str:
    """What a restored image of a data set is called, without its ending: ``sub-01_desc-taskgan_pet``."""
    *parts, suffix = stem(path).split("_")
    return "_".join([*(part for part in parts if not part.startswith("desc-")), _OWN, suffix])


def search(place: Path, out: Path, suffix: str = "") -> list[Path]:
    """Images below a folder, sorted: NIfTI files, or photos where there are none (beside volumes they are figures).

    Hidden files and what an earlier call wrote to an output folder below are left out; of the root of a BIDS data
    set images of another ``suffix`` and derivatives too. Links that lead nowhere and images in formats that are not
    read are left out and named.

    Raises:
        UserError: If there is none.
    """
    files = [path for path in _files(place, bids=bool(suffix)) if not is_within(path, out, place)]
    images = [path for path in files if is_image_name(path) and (not suffix or _is_raw(path, suffix))]
    volumes = [path for path in images if not is_photo_name(path)]
    paths = volumes or images
    dangling = [path for path in paths if not path.exists()]
    other = [path for path in files if path.name.lower().endswith(_OTHER_FORMATS)]
    for reason, left in (("links that lead nowhere", dangling), ("of a format that is not read", other)):
        if left:
            names = ", ".join(path.relative_to(place).as_posix() for path in left[:_SHOWN])
            more = f" and {len(left) - _SHOWN} more" * (len(left) > _SHOWN)
            say(f"warning: {place}: left out, {reason}: {truncated(names)}{more}")
    files = sorted(path for path in paths if path.is_file())
    if not files:
        anything = "NIfTI image, no DICOM series, no photo and no pairs.csv"
        what = f"_{suffix} image, which the model restores" if suffix else anything
        raise UserError(f"{place} holds no {what}")
    return files


def holds_volumes(place: Path, out: Path) -> bool:
    """Whether there are NIfTI files below a folder, outside of an output folder."""
    images = (path for path in _files(place, bids=False) if is_image_name(path) and not is_photo_name(path))
    return any(not is_within(path, out, place) for path in images)


def _is_raw(path: Path, suffix: str) -> bool:
    return stem(path).endswith(f"_{suffix}") and bids_suffix(path) == suffix and _OWN not in path.name


def _files(place: Path, *, bids: bool) -> Iterator[Path]:
    """Files below a folder in order, links to folders followed once each."""
    visited = set()
    for folder, below, names in os.walk(place, followlinks=True):
        real = os.path.realpath(folder)
        visited.add(real)
        kept = [name for name in sorted(below) if not name.startswith(".") and not (bids and name in _NOT_RAW)]
        below[:] = [name for name in kept if os.path.realpath(Path(folder, name)) not in visited]
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))


def is_within(path: Path, out: Path, place: Path) -> bool:
    """Whether an image lies in an output folder that is itself below the inputs."""
    folder = out.resolve()
    return place.resolve() in folder.parents and folder in (path.parent.resolve(), *path.parent.resolve().parents)
