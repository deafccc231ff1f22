"""Files to frames: which DICOM images a folder holds, without their pixels."""

import logging
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.core.errors import UserError
from taskgan.core.parse import MAX_VOXELS_VARIABLE, check_voxels, error_text, max_voxels, quoted
from taskgan.images.dicom.header import (
    Find,
    Scaling,
    complex_part,
    delay_ms,
    echo_ms,
    finder,
    first_number,
    scaling,
    sidecar_fields,
)

_SUFFIXES = (".dcm", ".dicom", ".ima")
_DIRECTORY = "1.2.840.10008.1.3.10"
# MR images, classic and enhanced; the empty one is of a file that ends before it says what it is.
_IMAGES = ("", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1")
_DECODERS = {  # transfer syntaxes by the start of their name, and what unpacks them outside of Python
    "JPEG-LS": "dcmdjpls",
    "JPEG 2000": "gdcmconv --raw",
    "High-Throughput": "gdcmconv --raw",
    "JPEG": "dcmdjpeg",
    "RLE": "dcmdrle",
}
_DEFLATED = "1.2.840.10008.1.2.1.99"
_PREAMBLE, _MAGIC, _GROUP_LENGTH = 128, b"DICM", 12  # bytes before the file meta information (PS3.10, 7.1)
_HEADERS = 64 * 2**20  # bytes beside the pixels
_CHUNK = 2**20
_LONGEST_FIRST = 64  # bytes of the first element of a file without preamble
_FILTERS = RLock()
_NEEDED = "ImagePositionPatient, ImageOrientationPatient and PixelSpacing"


class NotASlice(UserError):
    """A DICOM image that lies nowhere, such as a screen shot; ``series`` is the unique identifier of its series."""

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
        spacing_between: Distance of the centres of neighbouring slices, mm; None where it is not said.
        scaling: From stored values to the scanner's units.
        padding: Stored values (lowest, highest) that are no measurement; None where there are none.
        part: ``magnitude``, ``phase``, ``real``, ``imag`` or empty.
        echo_ms: Echo time, if it is said.
        delay_ms: Inversion time, if it is said.
        metadata: BIDS sidecar fields.
        modality: ``MR``, ``PT``, …
        sop_class: Its unique identifier.
        instance: Unique identifier of the image, and its number; None where it has none.
        expected_images: How many images the acquisition has by its header, and in which attribute; None where that
            is not said.
        notes: What of the header is not used, for warnings.
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
    spacing_between: float | None
    scaling: Scaling
    padding: tuple[int, int] | None
    part: str
    echo_ms: float | None
    delay_ms: float | None
    metadata: Mapping[str, Any] = field(repr=False)
    modality: str = ""
    sop_class: str = ""
    instance: tuple[str, int | None] = ("", None)
    expected_images: tuple[int, str] | None = None
    notes: tuple[str, ...] = ()


def dicom_files(place: Path) -> list[Path]:
    """The DICOM files of a folder (not below it), or the file itself, by name; a UserError where there is none."""
    if not place.exists():
        raise UserError(f"{place} does not exist")
    if place.is_file():
        if not _looks_like_dicom(place):
            raise UserError(f"{place} is neither NIfTI (.nii, .nii.gz) nor DICOM")
        return [place]
    files = sorted(_members(place))
    if not files:
        below = sorted(p.name for p in place.iterdir() if p.is_dir())
        hint = f"; it has the folders {', '.join(below[:5])}: name the one of the series" if below else ""
        raise UserError(f"{place} holds no DICOM file{hint}")
    return files


def has_dicom(place: Path) -> bool:
    """Whether a file is DICOM, or a folder holds such files (not below it)."""
    return _looks_like_dicom(place) if place.is_file() else next(_members(place), None) is not None


def _members(folder: Path) -> Iterator[Path]:
    """The DICOM files in a folder; none where it is no folder."""
    for path in folder.glob("[!.]*"):
        if path.is_file() and path.name != "DICOMDIR" and _looks_like_dicom(path):
            yield path


def read_frames(file: Path) -> list[Frame]:
    """The frames of a file; none of a DICOM directory or of an object without pixels.

    Raises:
        UserError: If it is damaged.
        NotASlice: If it is in colour, or does not say where its images lie.
    """
    dataset = read_dataset(file, pixels=False)
    try:
        return _frames(file, dataset)
    except UserError:
        raise
    except Exception as error:  # values of a damaged header fail in as many ways as there are types
        raise UserError(f"{file} has a header that cannot be understood: {error_text(error)}") from None


def _frames(file: Path, dataset: Any) -> list[Frame]:
    kind = _text(dataset, "SOPClassUID")
    if not hasattr(dataset, "Rows"):
        directory = str(getattr(getattr(dataset, "file_meta", None), "MediaStorageSOPClassUID", "")) == _DIRECTORY
        if kind in _IMAGES and not directory:
            raise UserError(f"{file} ends before its image, expected a whole DICOM file")
        return []
    if int(getattr(dataset, "SamplesPerPixel", 1)) != 1:
        uid = _text(dataset, "SeriesInstanceUID")
        raise NotASlice(f"{file} is a colour image, expected grey values of a scanner", uid)
    groups: Any = getattr(dataset, "PerFrameFunctionalGroupsSequence", None)
    several = groups is not None
    count = int(getattr(dataset, "NumberOfFrames", 1) or 1) if several else 1
    if several and count > len(groups):
        raise UserError(f"{file} tells of {count} frames and describes {len(groups)}, expected as many")
    check_voxels(file, (int(dataset.Rows), int(dataset.Columns), count))
    return [_frame(file, dataset, index if several else None) for index in range(count)]


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings of pydicom's, of values that are sloppy and readable; one thread at a time, as Python's filters are
    of the process.
    """
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_dataset(file: Path, *, pixels: bool) -> Any:
    """Read a file; a UserError where it is damaged or pydicom is not installed."""
    try:
        import pydicom
    except ImportError:
        raise UserError(
            f"{file} is DICOM, and reading that needs pydicom: pip install 'taskgan[dicom]', or convert to NIfTI"
        ) from None
    # It warns of values that are sloppy and readable, twice; what matters of them is seen in the image.
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    try:
        with quiet():
            _check_inflated(file)
            return pydicom.dcmread(file, stop_before_pixels=not pixels, force=_lacks_preamble(file))
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{file} cannot be read as DICOM: {error_text(error)}") from None


def _check_inflated(file: Path) -> None:
    """Refuse a deflated data set that is larger than any image may be: pydicom unpacks it at once."""
    from pydicom.filereader import read_file_meta_info

    limit = 2 * max_voxels() + _HEADERS
    with file.open("rb") as handle:
        handle.seek(_PREAMBLE)
        if handle.read(len(_MAGIC)) != _MAGIC:
            return
        meta: Any = read_file_meta_info(file)
        if str(meta.get("TransferSyntaxUID", "")) != _DEFLATED:
            return
        handle.seek(_PREAMBLE + len(_MAGIC) + _GROUP_LENGTH + int(meta.FileMetaInformationGroupLength))
        inflate, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while size <= limit and (packed := inflate.unconsumed_tail or handle.read(_CHUNK)):
            size += len(inflate.decompress(packed, _CHUNK))
    if size > limit:
        raise UserError(
            f"{file} unpacks to more than {limit} bytes, expected an image; set {MAX_VOXELS_VARIABLE} "
            "higher if that is right"
        )


def read_pixels(file: Path) -> NDArray[Any]:
    """Stored values of a file, (rows, columns) or (frames, rows, columns).

    Raises:
        UserError: If they are damaged or in a compression that cannot be decoded here.
    """
    dataset = read_dataset(file, pixels=True)
    try:
        shape = tuple(int(getattr(dataset, name, 1) or 1) for name in ("Rows", "Columns", "NumberOfFrames"))
        check_voxels(file, shape)
        with quiet():
            return np.asarray(dataset.pixel_array)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{file}: its pixels cannot be read{_compression(dataset)}: {error_text(error)}") from None


def _compression(dataset: Any) -> str:
    """A hint where pixels are compressed; empty where they are not, or the header has an unknown coding."""
    syntax: Any = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    try:
        packed = bool(syntax.is_compressed)
    except (AttributeError, ValueError):
        return ""
    if not packed:
        return ""
    tool = next((own for start, own in _DECODERS.items() if syntax.name.startswith(start)), "gdcmconv --raw")
    return f" ({syntax.name}: pip install 'taskgan[dicom]' has the decoders, or decompress them with {tool})"


def _frame(file: Path, dataset: Any, index: int | None) -> Frame:
    find = finder(dataset, index)
    position = find("PlanePositionSequence", "ImagePositionPatient")
    orientation = find("PlaneOrientationSequence", "ImageOrientationPatient")
    spacing = find("PixelMeasuresSequence", "PixelSpacing")
    uid = _text(dataset, "SeriesInstanceUID")
    if position is None or orientation is None or spacing is None:
        raise NotASlice(f"{file} does not say where its image lies, expected {_NEEDED}", uid)
    rows, columns = (float(v) for v in _values(file, "PixelSpacing", spacing, 2))
    part = complex_part(dataset, find)
    try:
        scale = scaling(dataset, find, index, part)
    except UserError as error:
        raise UserError(f"{file} {error}") from None
    number = first_number(getattr(dataset, "InstanceNumber", None))
    return Frame(
        file=file,
        index=index,
        series=(uid, _text(dataset, "SeriesNumber"), _text(dataset, "SeriesDescription")),
        reference=_text(dataset, "FrameOfReferenceUID"),
        size=(int(dataset.Rows), int(dataset.Columns)),
        position=_values(file, "ImagePositionPatient", position, 3),
        orientation=_values(file, "ImageOrientationPatient", orientation, 6).reshape(2, 3),
        spacing=(rows, columns),
        thickness=first_number(find("PixelMeasuresSequence", "SliceThickness")),
        spacing_between=first_number(find("PixelMeasuresSequence", "SpacingBetweenSlices")),
        scaling=scale,
        padding=_padding(dataset),
        part=part,
        echo_ms=echo_ms(find),
        delay_ms=delay_ms(find),
        metadata=sidecar_fields(find),
        modality=_text(dataset, "Modality"),
        sop_class=_text(dataset, "SOPClassUID"),
        instance=(_text(dataset, "SOPInstanceUID"), None if number is None or index is not None else int(number)),
        expected_images=_expected_images(find) if index is None else None,
        notes=(*scale.notes, *_display_notes(dataset)),
    )


def _expected_images(find: Find) -> tuple[int, str] | None:
    """Of a classic series; NumberOfSlices is of one frame in time and is held against the volume."""
    for keyword in ("NumberOfSlices", "ImagesInAcquisition"):
        count = first_number(find("", keyword))
        if count:
            return int(count), keyword
    return None


def _padding(dataset: Any) -> tuple[int, int] | None:
    first = first_number(getattr(dataset, "PixelPaddingValue", None))
    if first is None:
        return None
    last = first_number(getattr(dataset, "PixelPaddingRangeLimit", None))
    low, high = sorted((int(first), int(first if last is None else last)))
    return low, high


def _display_notes(dataset: Any) -> tuple[str, ...]:
    inverse = _text(dataset, "PhotometricInterpretation") == "MONOCHROME1"
    return ("MONOCHROME1 pixels, of which low ones are shown bright: values are as stored",) * inverse


def _values(file: Path, keyword: str, value: Any, count: int) -> NDArray[np.float64]:
    several = not isinstance(value, str | bytes) and hasattr(value, "__iter__")
    values = [float(v) for v in value] if several else [float(value)]
    if len(values) != count or not np.isfinite(values).all():
        raise UserError(f"{file} has {keyword} {quoted(values)}, expected {count} finite numbers")
    return np.array(values)


def _text(dataset: Any, keyword: str) -> str:
    value = getattr(dataset, keyword, None)
    return "" if value is None else str(value).strip()


def _looks_like_dicom(path: Path) -> bool:
    if path.name.lower().endswith(_SUFFIXES) or _lacks_preamble(path):
        return True
    with path.open("rb") as handle:
        return handle.read(132)[128:] == b"DICM"


def _lacks_preamble(path: Path) -> bool:
    """Whether a file begins with its first element, as some archives write them: (0002,xxxx) or (0008,xxxx)."""
    with path.open("rb") as handle:
        start = handle.read(132)
    if start[128:] == b"DICM" or len(start) < 132:
        return False
    group, element, kind = start[:2], int.from_bytes(start[2:4], "little"), start[4:6]
    explicit = kind in (b"UI", b"UL", b"OB", b"CS", b"DA", b"TM", b"SH", b"LO", b"AE")
    implicit = 0 < int.from_bytes(start[4:8], "little") <= _LONGEST_FIRST and kind[0] < 0x40
    known = element in (0x0000, 0x0001, 0x0002, 0x0005, 0x0008, 0x0012, 0x0016)
    return group in (b"\x02\x00", b"\x08\x00") and known and (explicit or implicit)
