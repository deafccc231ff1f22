"""Volumes on disk: NIfTI in, NIfTI out, on the same grid; photos are volumes of one slice.

A :class:`Volume` is in the file's own axes and units; nothing is reoriented or resampled behind the
user's back. Networks work on slices along the third axis (axial for every common PET/MR export).
"""

import gzip
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.photos import AFFINE, is_photo_name, photo_shape, read_photo
from taskgan.errors import UserError
from taskgan.files import atomic, write_json

Array = NDArray[np.float32]
SUFFIXES = (".nii.gz", ".nii")

# It repairs headers and says so on the console, twice; what matters of it is seen in the volume.
logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Volume:
    """A three-dimensional image.

    Attributes:
        data: Values (X, Y, Z), float32, in the file's units with its scaling applied.
        affine: Voxel to world (4, 4), mm.
        header: The file's header, so that what is written keeps its units, codes and description; None of a photo.
        span: Width of the values that the file's number type can hold, in the units of ``data`` (1 for a photo); None
            where values have units of their own.
    """

    data: Array
    affine: NDArray[np.float64]
    header: Any = field(repr=False)
    span: float | None = None

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        """Edge lengths of a voxel in mm."""
        x, y, z = (float(v) for v in np.linalg.norm(self.affine[:3, :3], axis=0))
        return x, y, z


def is_image_name(path: Path) -> bool:
    """Whether a path is called like an image that can be read: NIfTI or a photo."""
    return path.name.endswith(SUFFIXES) or is_photo_name(path)


def stem(path: Path) -> str:
    """File name without ``.nii``, ``.nii.gz`` or a photo's suffix."""
    for suffix in SUFFIXES:
        if path.name.endswith(suffix):
            return path.name[: -len(suffix)]
    return path.stem


def sidecar(path: Path) -> Path:
    """The BIDS JSON sidecar that belongs to an image."""
    return path.with_name(stem(path) + ".json")


def read_volume(path: Path, *, finite: bool = True) -> Volume:
    """Read a 3D NIfTI file (a trailing axis of length one is dropped) or a photo (its luminance).

    Args:
        path: A ``.nii`` or ``.nii.gz`` file, or a PNG, JPEG, TIFF or BMP (see :mod:`taskgan.cohort.photos`).
        finite: Refuse NaN and infinity.

    Raises:
        UserError: If the file is missing, is no such image, is not three-dimensional or holds NaN.
    """
    if is_photo_name(path):
        return Volume(read_photo(path).luminance[:, :, None], AFFINE.copy(), None, span=1.0)
    if not path.exists():
        raise UserError(f"{path} does not exist")
    if not path.name.endswith(SUFFIXES):
        raise UserError(
            f"{path} is not a NIfTI image or a photo: expected a name that ends in .nii, .nii.gz, .png, .jpg, .tif "
            "or .bmp"
        )
    try:
        image: Any = nib.load(path)
        shape = tuple(int(n) for n in image.shape)
        while len(shape) > 3 and shape[-1] == 1:
            shape = shape[:-1]
        if len(shape) != 3:
            raise UserError(f"{path} has dimensions {'×'.join(map(str, image.shape))}, expected a 3D volume")
        if image.get_data_dtype().kind not in "iuf":
            raise UserError(f"{path} holds {image.get_data_dtype()} voxels, expected real numbers")
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is refused below
            data = np.asarray(image.dataobj, dtype=np.float32).reshape(shape)
    except UserError:
        raise
    except Exception as error:  # a damaged header makes nibabel, numpy and zlib fail in many ways
        raise _unreadable(path, error) from None
    if not np.isfinite(image.affine).all():
        raise UserError(f"{path} has an affine with NaN or infinite entries, expected finite ones")
    if finite and not np.isfinite(data).all():
        count = int((~np.isfinite(data)).sum())
        raise UserError(f"{path} holds {count} NaN or infinite voxels, expected finite values")
    return Volume(data, np.asarray(image.affine, dtype=np.float64), image.header)


def read_shape(path: Path) -> tuple[tuple[int, ...], NDArray[np.float64]]:
    """Shape and affine from the header alone, without reading the voxels.

    Raises:
        UserError: If the file is missing or neither NIfTI nor a photo.
    """
    if is_photo_name(path):
        return photo_shape(path), AFFINE.copy()
    if not path.exists():
        raise UserError(f"{path} does not exist")
    try:
        image: Any = nib.load(path)
        return tuple(int(n) for n in image.shape), np.asarray(image.affine, dtype=np.float64)
    except Exception as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> UserError:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return UserError(f"{path} cannot be read as NIfTI: {reason}")


def write_volume(
    path: Path,
    data: NDArray[Any],
    affine: NDArray[np.float64],
    *,
    like: Any = None,
    side: Mapping[str, Any] | None = None,
) -> None:
    """Write a NIfTI file atomically, the same bytes for the same values (no time stamp in the gzip header).

    Args:
        path: Ends in ``.nii`` or ``.nii.gz``.
        data: Voxels (X, Y, Z); the array's type is kept.
        affine: Voxel to world (4, 4), mm.
        like: Header of the input whose units and codes are kept.
        side: JSON sidecar, written beside the image before it.
    """
    header = None
    if like is not None:
        header = like.copy()
        header.set_data_dtype(data.dtype)
        header["scl_slope"], header["scl_inter"] = np.nan, np.nan
        header["cal_min"], header["cal_max"] = 0, 0
    image = nib.Nifti1Image(data, affine, header)
    if like is None:
        image.header.set_xyzt_units("mm")
        image.set_sform(affine, code="aligned")
        image.set_qform(affine, code="aligned")
    raw = image.to_bytes()
    if side is not None:
        write_json(sidecar(path), dict(side))
    with atomic(path) as partial:
        partial.write_bytes(
            gzip.compress(raw, compresslevel=4, mtime=0) if path.name.endswith(".gz") else raw
        )


def read_sidecar(path: Path) -> dict[str, Any]:
    """The JSON sidecar of an image, or an empty mapping where there is none or it is not JSON."""
    try:
        value = json.loads(sidecar(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
