"""Files to frames: which DICOM images a folder holds, without their pixels."""

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.errors import UserError
from taskgan.prepare.dicom.header import acquisition, delay_ms, echo_ms, finder, number, part_of, scaling

_SUFFIXES = (".dcm", ".dicom", ".ima")
_DIRECTORY = "1.2.840.10008.1.3.10"
# MR images, classic and enhanced; the empty one is of a file that ends before it says what it is.
_IMAGES = ("", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1")
_NEEDED = "ImagePositionPatient, ImageOrientationPatient and PixelSpacing"


class NotASlice(UserError):
    """A DICOM image that lies nowhere, such as a screen shot.

    Args:
        message: The sentence.
        series: Unique identifier of its series.
    """

    def __init__(self, message: str, series: str) -> None:
        super().__init__(message)
        self.series = series


@dataclass(frozen=True)
class Frame:
    """One two-dimensional image.

    Attributes:
        file: Where it is.
        index: From 0 in a multi-frame file; None in a classic one.
        series: Unique identifier, number and description of its series.
        reference: Frame of reference; images that share it share world coordinates.
        size: Rows, columns.
        position: Centre of the first pixel, LPS mm.
        orientation: (2, 3): directions of a row (rising column) and of a column (rising row), LPS.
        spacing: Distance of rows, of columns, mm.
        thickness: Of the slice, mm; None where it is not said.
        slope: From stored values to the scanner's units.
        intercept: Likewise.
        part: ``magnitude``, ``phase``, ``real``, ``imag`` or empty.
        echo_ms: Echo time, if it is said.
        delay_ms: Inversion time, if it is said.
        about: BIDS sidecar fields.
    """

    file: Path
    index: int | None
    series: tuple[str, str, str]
    reference: str
    size: tuple[int, int]
    position: NDArray[np.float64]
    orientation: NDArray[np.float64]
    spacing: tuple[float, float]
    thickness: float | None
    slope: float
    intercept: float
    part: str
    echo_ms: float | None
    delay_ms: float | None
    about: Mapping[str, Any] = field(repr=False)


def dicom_files(place: Path) -> list[Path]:
    """The DICOM files of a folder (not below it), or the file itself, by name.

    Raises:
        UserError: If there is none.
    """
    if not place.exists():
        raise UserError(f"{place} does not exist")
    if place.is_file():
        if not _looks_like_dicom(place):
            raise UserError(f"{place} is neither NIfTI (.nii, .nii.gz) nor DICOM")
        return [place]
    found = sorted(p for p in place.iterdir() if p.is_file() and not p.name.startswith("."))
    files = [p for p in found if p.name != "DICOMDIR" and _looks_like_dicom(p)]
    if not files:
        below = sorted(p.name for p in place.iterdir() if p.is_dir())
        hint = f"; it has the folders {', '.join(below[:5])}: name the one of the series" if below else ""
        raise UserError(f"{place} holds no DICOM file{hint}")
    return files


def read_frames(file: Path) -> list[Frame]:
    """The frames of a file; none of a DICOM directory or of an object without pixels.

    Raises:
        UserError: If it is damaged.
        NotASlice: If it is in colour, or does not say where its images lie.
    """
    dataset = read_dataset(file, pixels=False)
    kind = _text(dataset, "SOPClassUID")
    if not hasattr(dataset, "Rows"):
        directory = (
            str(getattr(getattr(dataset, "file_meta", None), "MediaStorageSOPClassUID", "")) == _DIRECTORY
        )
        if kind in _IMAGES and not directory:
            raise UserError(f"{file} ends before its image, expected a whole DICOM file")
        return []
    if int(getattr(dataset, "SamplesPerPixel", 1)) != 1:
        uid = _text(dataset, "SeriesInstanceUID")
        raise NotASlice(f"{file} is a colour image, expected grey values of a scanner", uid)
    several = hasattr(dataset, "PerFrameFunctionalGroupsSequence")
    count = int(getattr(dataset, "NumberOfFrames", 1) or 1) if several else 1
    try:
        return [_frame(file, dataset, index if several else None) for index in range(count)]
    except UserError:
        raise
    except Exception as error:  # values of a damaged header fail in as many ways as there are types
        raise UserError(f"{file} has a header that cannot be understood: {_reason(error)}") from None


def read_dataset(file: Path, *, pixels: bool) -> Any:
    """Read a file.

    Raises:
        UserError: If pydicom is not installed, or the file is damaged.
    """
    try:
        import pydicom
    except ImportError:
        raise UserError(
            f"{file} is DICOM, and reading that needs pydicom: pip install 'taskgan[dicom]', or convert to NIfTI"
        ) from None
    # It warns of values that are sloppy and readable, twice; what matters of them is seen in the image.
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pydicom.dcmread(file, stop_before_pixels=not pixels)
    except Exception as error:
        raise UserError(f"{file} cannot be read as DICOM: {_reason(error)}") from None


def read_pixels(file: Path) -> NDArray[Any]:
    """Stored values of a file, (rows, columns) or (frames, rows, columns).

    Raises:
        UserError: If they are damaged or in a compression that cannot be decoded here.
    """
    dataset = read_dataset(file, pixels=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(dataset.pixel_array)
    except Exception as error:
        raise UserError(
            f"{file}: its pixels cannot be read{_compression(dataset)}: {_reason(error)}"
        ) from None


def _compression(dataset: Any) -> str:
    """A hint where pixels are compressed; empty where they are not, or the header has an unknown coding."""
    syntax: Any = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    try:
        packed = bool(syntax.is_compressed)
    except (AttributeError, ValueError):
        return ""
    return f" ({syntax.name}; decompress them first, for example with dcmconv)" if packed else ""


def _frame(file: Path, dataset: Any, index: int | None) -> Frame:
    find = finder(dataset, index)
    position = find("PlanePositionSequence", "ImagePositionPatient")
    orientation = find("PlaneOrientationSequence", "ImageOrientationPatient")
    spacing = find("PixelMeasuresSequence", "PixelSpacing")
    uid = _text(dataset, "SeriesInstanceUID")
    if position is None or orientation is None or spacing is None:
        raise NotASlice(f"{file} does not say where its image lies, expected {_NEEDED}", uid)
    part = part_of(dataset, find)
    slope, intercept = scaling(dataset, find, index, part)
    return Frame(
        file=file,
        index=index,
        series=(uid, _text(dataset, "SeriesNumber"), _text(dataset, "SeriesDescription")),
        reference=_text(dataset, "FrameOfReferenceUID"),
        size=(int(dataset.Rows), int(dataset.Columns)),
        position=np.array([float(v) for v in position]),
        orientation=np.array([float(v) for v in orientation]).reshape(2, 3),
        spacing=(float(spacing[0]), float(spacing[1])),
        thickness=number(find("PixelMeasuresSequence", "SpacingBetweenSlices"))
        or number(find("PixelMeasuresSequence", "SliceThickness")),
        slope=slope,
        intercept=intercept,
        part=part,
        echo_ms=echo_ms(find),
        delay_ms=delay_ms(find),
        about=acquisition(find),
    )


def _text(dataset: Any, keyword: str) -> str:
    value = getattr(dataset, keyword, None)
    return "" if value is None else str(value).strip()


def _looks_like_dicom(path: Path) -> bool:
    if path.name.lower().endswith(_SUFFIXES):
        return True
    with path.open("rb") as handle:
        handle.seek(128)
        return handle.read(4) == b"DICM"


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
