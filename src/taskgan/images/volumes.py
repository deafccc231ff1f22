"""Volumes on disk: NIfTI in, NIfTI out, on the same grid; photos are volumes of one slice.

A :class:`Volume` is in the file's units, nothing is resampled. Networks work on slices along the third axis: for
them it is read in the axes of their training images (:mod:`taskgan.images.orientation`), and what they make of it is
put back into those of the file.
"""

import gzip
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from taskgan.core.errors import UserError
from taskgan.core.files import atomic, write_json
from taskgan.core.parse import MOST_DEFLATED, NestingError, check_voxels, error_text, parse_json, read_text
from taskgan.core.parse import without_nonfinite as without_nan
from taskgan.images.orientation import (
    affine_back,
    nearest_ras,
    turn_towards,
    turned,
    turned_affine,
    turned_back,
    turned_shape,
)
from taskgan.images.photos import AFFINE, is_photo_name, photo_shape, read_photo

Array = NDArray[np.float32]
SUFFIXES = (".nii.gz", ".nii")
READABLE_SUFFIXES = (*SUFFIXES, ".img")
"""Of NIfTI, in any case; the voxels of an ``.img`` have their header in the ``.hdr`` beside it."""
_HEADER_1, _HEADER_2 = 348, 540  # bytes
_MOST_EXTENSIONS = 64 * 2**20

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
        notes: What the reader did, or did not use, of which a user should know.
        turn: How the file's axes were swapped and flipped, (3, 2) of nibabel's; None where they are the file's.
        colours: Red, green and blue (X, Y, 3) of a photo in colour, whose luminance ``data`` is.
    """

    data: Array
    affine: NDArray[np.float64]
    header: Any = field(repr=False)
    span: float | None = None
    notes: tuple[str, ...] = ()
    turn: NDArray[Any] | None = field(default=None, repr=False)
    colours: Array | None = field(default=None, repr=False)

    @property
    def is_photo(self) -> bool:
        """Whether it was read from an image file of pixels."""
        return self.span is not None

    def planes(self, colours: int, path: Path) -> Array:
        """What a network of so many colours sees: ``data``, or red, green and blue (X, Y, 3); grey is three alike.

        Raises:
            UserError: If it is no photo and has no colours.
        """
        if colours == 1:
            return self.data
        if not self.is_photo:
            raise UserError(f"{path} is no photo; expected one, as red, green and blue are restored (data.colour: rgb)")
        return self.colours if self.colours is not None else np.repeat(self.data, 3, axis=2)

    def in_file_axes(self, image: Array) -> Array:
        """An image (X, Y, Z) on the grid of ``data``, in the axes of the file."""
        return image if self.turn is None else turned_back(image, self.turn)

    @property
    def file_affine(self) -> NDArray[np.float64]:
        """The affine of the file."""
        return self.affine if self.turn is None else affine_back(self.affine, self.data.shape, self.turn)

    @property
    def axes(self) -> str:
        """Where the axes of ``data`` point, e.g. ``LAS``; empty where the affine does not say, and of photos."""
        codes = nib.aff2axcodes(self.affine) if self.header is not None else ()
        return "".join(str(code) for code in codes) if None not in codes else ""

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        """Edge lengths of a voxel in mm."""
        x, y, z = (float(v) for v in np.linalg.norm(self.affine[:3, :3], axis=0))
        return x, y, z


def is_image_name(path: Path) -> bool:
    """Whether a path is called like an image that can be read: NIfTI or a photo."""
    return is_nifti_name(path) or is_photo_name(path)


def is_nifti_name(path: Path) -> bool:
    """Whether a path is called like a NIfTI image, in capitals or not."""
    return path.name.lower().endswith(READABLE_SUFFIXES)


def stem(path: Path) -> str:
    """File name without ``.nii``, ``.nii.gz`` or a photo's suffix; of a folder of DICOM files its whole name."""
    for suffix in READABLE_SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.stem if is_photo_name(path) else path.name


def bids_suffix(path: Path) -> str:
    """The last part of a BIDS name, ``pet`` of ``sub-01_pet.nii.gz``; empty of any other name."""
    name = stem(path)
    last = name.rpartition("_")[2]
    return last if name.startswith("sub-") and last.isalnum() and not last.isdigit() and "_" in name else ""


def sidecar(path: Path) -> Path:
    """The BIDS JSON sidecar that belongs to an image."""
    return path.with_name(stem(path) + ".json")


def read_volume(path: Path, *, finite: bool = True, axes: str = "", series: str = "") -> Volume:
    """Read a 3D NIfTI file (a trailing axis of length one is dropped), a photo (its luminance) or a DICOM series.

    A series is turned to the axis order nearest to RAS by flips and swaps, so that its slices are axial.

    Args:
        path: A ``.nii``, ``.nii.gz`` or ``.img`` file, or a photo (see :mod:`taskgan.images.photos`), or a folder of
            DICOM files or a multi-frame one.
        finite: Refuse NaN and infinity.
        axes: Of what is returned, e.g. ``LAS`` (see :mod:`taskgan.images.orientation`); empty: the file's. A photo
            has none; of a series empty means nearest to RAS.
        series: Of a folder of several series, the number, description or identifier of the one that is meant.

    Raises:
        UserError: If the file is missing, is no such image, is not three-dimensional or holds NaN.
    """
    if is_photo_name(path):
        photo = read_photo(path)
        colours = photo.pixels if photo.pixels.shape[2] == 3 else None
        return Volume(photo.luminance[:, :, None], AFFINE.copy(), None, span=1.0, colours=colours)
    if not path.exists():
        raise UserError(f"{path} does not exist")
    if is_dicom(path):
        from taskgan.images.dicom.series import SeriesFilter, read_series

        values, affine, stack = read_series(path, SeriesFilter(series))
        return _turned_volume(*nearest_ras(values, affine), None, axes, stack.notes)
    if not is_nifti_name(path):
        raise UserError(
            f"{path} is not a NIfTI image, a DICOM series or a photo: expected a folder of DICOM files, or a name "
            "that ends in .nii, .nii.gz, .png, .jpg, .tif or .bmp"
        )
    try:
        image = load_nifti(path)
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
    return _turned_volume(data, np.asarray(image.affine, dtype=np.float64), image.header, axes)


def _turned_volume(
    data: Array, affine: NDArray[np.float64], header: Any, axes: str, notes: tuple[str, ...] = ()
) -> Volume:
    """An image in the axes that are asked for, which remembers how it was turned."""
    turn = turn_towards(affine, axes)
    if turn is None:
        return Volume(data, affine, header, notes=notes)
    affine = turned_affine(affine, data.shape, turn)
    return Volume(turned(data, turn), affine, header, notes=notes, turn=turn)


def is_dicom(path: Path) -> bool:
    """Whether a path that is there is a folder, which can only be one of DICOM files, or such a file."""
    if path.name.endswith(SUFFIXES) or is_photo_name(path):
        return False
    from taskgan.images.dicom.frames import has_dicom

    return path.is_dir() or (path.is_file() and has_dicom(path))


def read_shape(path: Path, axes: str = "", *, series: str = "") -> tuple[tuple[int, ...], NDArray[np.float64]]:
    """Shape and affine as of :func:`read_volume`, from the header alone, without reading the voxels.

    Raises:
        UserError: If the file is missing or neither NIfTI, DICOM nor a photo.
    """
    if is_photo_name(path):
        return photo_shape(path), AFFINE.copy()
    if not path.exists():
        raise UserError(f"{path} does not exist")
    if is_dicom(path):
        from taskgan.images.dicom.series import SeriesFilter, find_series

        stack = find_series(path, SeriesFilter(series))
        volume = _turned_volume(*nearest_ras(np.broadcast_to(np.float32(0), stack.shape), stack.affine), None, axes)
        return volume.data.shape, volume.affine
    try:
        image = load_nifti(path)
        shape, affine = tuple(int(n) for n in image.shape), np.asarray(image.affine, dtype=np.float64)
        turn = turn_towards(affine, axes)
        if turn is None or len(shape) < 3:
            return shape, affine
        return (*turned_shape(shape, turn), *shape[3:]), turned_affine(affine, shape[:3], turn)
    except UserError:
        raise
    except Exception as error:
        raise _unreadable(path, error) from None


def load_nifti(path: Path) -> Any:
    """A NIfTI image of nibabel's, its voxels not yet read.

    The header is held against the file first: a few bytes may tell of a terabyte, and deflate may hide it.

    Raises:
        UserError: If it says that the image is larger than the limit, or than what the file can hold.
        Exception: Whatever nibabel and zlib raise of a damaged file.
    """
    packed, pair = path.name.lower().endswith(".gz"), path.suffix.lower() == ".img"
    first = path.with_suffix(".hdr" if path.suffix.islower() else ".HDR") if pair else path
    if pair and not first.is_file():
        raise UserError(f"{path} has no {first.name} beside it, expected the header of its voxels")
    with (gzip.open if packed else open)(first, "rb") as handle:
        start = handle.read(_HEADER_2)
        second = start[:4] in (_HEADER_2.to_bytes(4, "little"), _HEADER_2.to_bytes(4, "big"))
        kind: Any = nib.Nifti2Image if second else nib.Nifti1Image
        if pair:
            kind = nib.Nifti2Pair if second else nib.Nifti1Pair
            if not second and start[344:347] != b"ni1":
                raise UserError(
                    f"{first} is a header of Analyze 7.5, which does not say what is left and right; expected NIfTI"
                )
        size = _HEADER_2 if second else _HEADER_1
        header = kind.header_class(start[:size])
        shape, offset = header.get_data_shape(), int(header.get_data_offset())
        check_voxels(path, shape)
        wanted = math.prod(shape) * header.get_data_dtype().itemsize + max(offset, 0)
        held = path.stat().st_size * (MOST_DEFLATED if packed else 1)
        if wanted > held:
            raise UserError(
                f"{path} ends early: its header tells of {'×'.join(map(str, shape))} voxels in {wanted} bytes, the "
                f"file holds {'at most ' * packed}{held}"
            )
        end = first.stat().st_size if pair else offset
        _check_extensions(path, start + handle.read(max(0, min(end, _MOST_EXTENSIONS) - len(start))), header, end)
    if pair:
        return kind.from_file_map(kind.make_file_map({"header": str(first), "image": str(path)}))
    return kind.from_filename(path)


def _check_extensions(path: Path, start: bytes, header: Any, end: int) -> None:
    """What lies between header and voxels (at ``end``), whose lengths nibabel believes."""
    at = len(header.binaryblock)
    order: Any = "little" if header.endianness == "<" else "big"
    if not start[at : at + 1].strip(b"\0"):  # there are none
        return
    at += 4
    while at + 16 <= end or at > end:
        length = int.from_bytes(start[at : at + 4], order, signed=True)
        if end > _MOST_EXTENSIONS or length <= 0 or at + length > end:
            raise UserError(f"{path} has an extension of {length} bytes at byte {at}, its voxels begin at {end}")
        at += length


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} cannot be read as NIfTI: {error_text(error)}")


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
    second = isinstance(header, nib.Nifti2Header)
    image = nib.Nifti2Image(data, affine, header) if second else nib.Nifti1Image(data, affine, header)
    if like is None:
        image.header.set_xyzt_units("mm")
        image.set_sform(affine, code="aligned")
        image.set_qform(affine, code="aligned")
    raw = image.to_bytes()
    if side is not None:
        write_json(sidecar(path), dict(side))
    with atomic(path) as partial:
        partial.write_bytes(gzip.compress(raw, compresslevel=4, mtime=0) if path.name.endswith(".gz") else raw)


def read_sidecar(path: Path) -> dict[str, Any]:
    """The JSON sidecar of an image without NaN and infinity; empty where there is none or it cannot be read."""
    return sidecar_and_notes(path)[0]


def sidecar_and_notes(path: Path, *, deep: bool = False) -> tuple[dict[str, Any], list[str]]:
    """The JSON sidecar of an image as :func:`read_sidecar` gives it, and what of it could not be used.

    ``deep`` lets :class:`~taskgan.core.parse.NestingError` pass instead of leaving such a sidecar out.
    """
    side = sidecar(path)
    if not side.is_file():
        return {}, []
    try:
        value, lost = without_nan(parse_json(read_text(side), str(side)))
    except UserError as error:
        if deep and isinstance(error, NestingError):
            raise
        return {}, [f"a sidecar that is left out: {error}"]
    if not isinstance(value, dict):
        return {}, [f"a sidecar that is left out: {side} holds a {type(value).__name__}, expected an object"]
    return value, [f"a sidecar {side.name} with {lost} numbers that are NaN or infinite and are left out"] * bool(lost)


def check_affine(path: Path, volume: Volume) -> None:
    """Refuse, before work begins, an affine of which NIfTI's quaternion cannot be made: UserError."""
    try:
        with np.errstate(all="raise", under="ignore"):
            if not min(volume.voxel_size) > 0:
                raise ValueError
            like = None if volume.header is None else volume.header.copy()
            shape = volume.in_file_axes(volume.data).shape
            nib.Nifti1Image(np.broadcast_to(np.float32(0), shape), volume.file_affine, like)
    except Exception:  # LinAlgError, FloatingPointError, HeaderDataError
        raise UserError(
            f"{path} has an affine that cannot be taken apart into directions and voxel sizes, expected three "
            "directions with a length"
        ) from None
