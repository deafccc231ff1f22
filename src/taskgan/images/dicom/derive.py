"""A restored volume as a derived series: the source's headers, new pixels, and what is no longer true taken out.

Identifiers are made of the source's and of what decides the values, so that the same restoration has the same ones
everywhere and another one others.
"""

import copy
import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.core.errors import UserError
from taskgan.core.files import atomic_folder
from taskgan.core.parse import error_text, quoted
from taskgan.images.dicom.classic import classic_header, frame_header
from taskgan.images.dicom.frames import Frame, quiet
from taskgan.images.dicom.series import ENHANCED_MR, ENHANCED_PT, MR, PT, Series

MAKER = "taskgan"
NOT_FOR_DIAGNOSIS = "research, not for diagnosis"
_LOSSY = tuple(f"1.2.840.10008.1.2.4.{end}" for end in ("50", "51", "81", "91", "93", "203"))
_SERIES_DESCRIPTION, _DERIVATION, _COMMENTS = 64, 1024, 10240  # characters of LO, ST and LT
# Of the old pixels, or signatures over them.
_UNTRUE = (
    *("SmallestImagePixelValue", "LargestImagePixelValue", "SmallestPixelValueInSeries", "LargestPixelValueInSeries"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit", "RealWorldValueMappingSequence", "ModalityLUTSequence"),
    *("VOILUTSequence", "IconImageSequence", "DigitalSignaturesSequence", "MACParametersSequence"),
    *("EncryptedAttributesSequence", "InstanceCreationDate", "InstanceCreationTime", "InstanceCreatorUID"),
    *("DataSetTrailingPadding", "PixelAspectRatio", "PixelDataProviderURL", "ExtendedOffsetTable"),
    *("ExtendedOffsetTableLengths", "PixelIntensityRelationship", "PixelIntensityRelationshipSign"),
)
_WINDOW = ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction")
# Of the contrast that was measured, where another one is made of it.
_CONTRAST = ("SequenceName", "InversionTime", "FlipAngle", "EchoNumbers", "EchoTrainLength")


@dataclass(frozen=True)
class Derivation:
    """What was done to a series.

    Attributes:
        description: One sentence with the model's checksum.
        key: What decides the values besides the source: model, settings.
        version: Of this software.
        contrast: What is shown where it is not the source's contrast; empty where it is.
    """

    model: str
    description: str
    key: str
    version: str
    warnings: tuple[str, ...] = ()
    contrast: str = ""


def check_derivable(series: Series, place: Path) -> None:
    """Refuse, before the work, what no derived series can be written of.

    Raises:
        UserError: If it is not MR or PET (classic or enhanced), has frames that the classic class cannot tell of,
            says of no study, or is a restoration itself.
    """
    source = frame_header(series.first)
    if series.first.sop_class not in (MR, ENHANCED_MR, PT, ENHANCED_PT):
        raise UserError(
            f"{place} has images of the SOP class {quoted(series.first.sop_class)}, expected MR or PET, classic or "
            "enhanced: no derived series can be written of it"
        )
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        if not getattr(source, keyword, None):
            raise UserError(f"{place} has no {keyword} ({series.first.file.name}), expected one to derive from")
    try:
        for frame in series.frames if series.first.index is not None else ():
            classic_header(frame)
    except UserError as error:
        raise UserError(f"{place} {error}") from None
    for step in getattr(source, "ContributingEquipmentSequence", None) or ():
        if str(getattr(step, "Manufacturer", "")) == MAKER:
            raise UserError(f"{place} is itself a restoration by {MAKER}, expected a series of a scanner")


def write_derived(folder: Path, series: Series, values: NDArray[np.float32], derivation: Derivation) -> None:
    """Write a series, whole or not at all: a folder, made or replaced, of one file a slice, in their order.

    Values (columns, rows, slices) are in the order of the source; a UserError where its headers cannot be written.
    """
    encoded = []
    signed = bool(values.min() < 0)  # one representation for a series
    for frame, plane in zip(series.frames, np.moveaxis(values, 2, 0), strict=True):
        try:
            dataset, buffer = derived_dataset(frame, plane.T, derivation, signed=signed), io.BytesIO()
            with quiet():
                dataset.save_as(buffer, enforce_file_format=True)
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"{frame.file} has a header that cannot be written: {error_text(error)}") from None
        encoded.append(buffer.getvalue())
    with atomic_folder(folder) as partial:
        for number, content in enumerate(encoded, start=1):
            (partial / f"IM{number:04d}.dcm").write_bytes(content)


def derived_dataset(frame: Frame, plane: NDArray[np.float32], derivation: Derivation, *, signed: bool) -> Any:
    """The data set of one slice (rows, columns); ``signed``: values below 0 can be stored."""
    source = frame_header(frame)
    with quiet():
        new = copy.deepcopy(source) if frame.index is None else classic_header(frame)
        _remove_untrue(new, frame)
        _set_pixels(new, plane, signed)
        _set_identity(new, source, frame, derivation)
        if derivation.contrast:
            _set_contrast(new)
    return new


def _remove_untrue(new: Any, frame: Frame) -> None:
    lossy = str(getattr(new.file_meta, "TransferSyntaxUID", "")) in _LOSSY
    if lossy and not getattr(new, "LossyImageCompression", None):
        new.LossyImageCompression = "01"
    if frame.sop_class not in (PT, ENHANCED_PT):
        new.remove_private_tags()  # they hold scales of the old pixels; those of PET hold what SUV needs
    windows = () if frame.scaling.source in ("RescaleSlope", "nothing") else _WINDOW  # in units of the display
    _remove(new, (*_UNTRUE, *windows))
    for element in list(new):
        overlay_or_curve = element.tag.group & 0xFF00 in (0x5000, 0x6000)
        palette = element.keyword.endswith(("PaletteColorLookupTableDescriptor", "PaletteColorLookupTableData"))
        if overlay_or_curve or palette:
            del new[element.tag]


def _remove(new: Any, keywords: Iterable[str]) -> None:
    for keyword in keywords:
        if keyword in new:
            delattr(new, keyword)


def _set_pixels(new: Any, plane: NDArray[np.float32], signed: bool) -> None:
    """Values as 16-bit numbers and the slope that the DS string says: |value − stored · slope| ≤ slope / 2."""
    slope = decimal_slope(float(np.abs(plane.astype(np.float64)).max()), 32767 if signed else 65535)
    stored = np.rint(plane.astype(np.float64) / float(slope))
    new.Rows, new.Columns = plane.shape
    new.SamplesPerPixel, new.BitsAllocated, new.BitsStored, new.HighBit = 1, 16, 16, 15
    new.PixelRepresentation = int(signed)
    new.RescaleIntercept, new.RescaleSlope = "0", slope
    if new.SOPClassUID == MR and not getattr(new, "RescaleType", None):
        new.RescaleType = "US"
    new.PixelData = stored.astype("<i2" if signed else "<u2").tobytes()
    new["PixelData"].VR = "OW"


def decimal_slope(peak: float, most: int) -> str:
    """The slope as a DS string (16 characters), with which ``peak`` is stored as at most ``most``."""
    if not peak:
        return "1"
    text = f"{peak / most:.9g}"
    return text if float(text) * most >= peak else f"{peak / most * (1 + 1e-8):.9g}"


def _set_identity(new: Any, source: Any, frame: Frame, derivation: Derivation) -> None:
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    own = frame.instance[0] if frame.index is None else f"{frame.instance[0]}/{frame.index}"
    new.SOPInstanceUID = derived_uid("image", own, derivation.key)
    new.SeriesInstanceUID = derived_uid("series", frame.series[0], derivation.key)
    new.SeriesNumber = _series_number(frame.series[1], derivation.key)
    shown = derivation.contrast or frame.series[2] or "series"
    suffix = f" restored by {_ascii(derivation.model)}"[: _SERIES_DESCRIPTION - 16]
    new.SeriesDescription = shown[: _SERIES_DESCRIPTION - len(suffix)] + suffix
    kind = [str(word) for word in getattr(new, "ImageType", None) or ()]
    new.ImageType = ["DERIVED", *(kind[1:] or ["PRIMARY"])]
    before = str(getattr(new, "DerivationDescription", "") or "")
    new.DerivationDescription = (f"{before}; " * bool(before) + _ascii(derivation.description))[-_DERIVATION:]
    new.ImageComments = "; ".join((NOT_FOR_DIAGNOSIS, *map(_ascii, derivation.warnings)))[:_COMMENTS]
    new.BurnedInAnnotation = "NO"
    reference = Dataset()
    reference.ReferencedSOPClassUID = source.SOPClassUID
    reference.ReferencedSOPInstanceUID = source.SOPInstanceUID
    if frame.index is not None:
        reference.ReferencedFrameNumber = frame.index + 1
    reference.PurposeOfReferenceCodeSequence = _code("121322", "Source image for image processing operation")
    new.SourceImageSequence = Sequence([reference])
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = _code("109102", "Processing Equipment")
    equipment.Manufacturer, equipment.ManufacturerModelName = MAKER, _ascii(derivation.model)[:64]
    equipment.SoftwareVersions = derivation.version[:64]
    equipment.ContributionDescription = _ascii(derivation.description)[:_DERIVATION]
    earlier = getattr(new, "ContributingEquipmentSequence", None) or ()
    new.ContributingEquipmentSequence = Sequence([*earlier, equipment])
    set_file_meta(new)


def set_file_meta(new: Any) -> None:
    """What stands before a data set in a file, Explicit VR Little Endian."""
    from pydicom.dataset import FileMetaDataset

    new.file_meta = FileMetaDataset()
    new.file_meta.MediaStorageSOPClassUID = new.SOPClassUID
    new.file_meta.MediaStorageSOPInstanceUID = new.SOPInstanceUID
    new.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"


def _set_contrast(new: Any) -> None:
    """A contrast that no sequence measured has none of its parameters; attributes of type 2 stay, empty."""
    _remove(new, (*_CONTRAST, *_WINDOW))
    new.ScanningSequence, new.SequenceVariant = "RM", "NONE"
    new.EchoTime = new.RepetitionTime = new.EchoTrainLength = None


def derived_uid(*parts: str) -> str:
    """A unique identifier (2.25 and 128 bits, PS3.5 B.2) that is a function of its parts."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def _series_number(source: str, key: str) -> int:
    """Behind the source's thousandfold; other models have other numbers, as far as three digits go."""
    number = int(source) if source.isdecimal() and len(source) <= 6 else 0
    return number * 1000 + int(hashlib.sha256(key.encode()).hexdigest(), 16) % 1000


def _code(value: str, meaning: str) -> Any:
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return Sequence([item])


def _ascii(text: str) -> str:
    """What every character set of a source can hold, without the separator of values."""
    return text.encode("ascii", "replace").decode().replace("\\", "/")
