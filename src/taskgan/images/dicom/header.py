"""What a DICOM header says of one image, from a classic file or from a frame of a multi-frame one.

Attributes are found by their keyword. In an enhanced multi-frame file most of them are in functional groups, of the
frame or shared by all frames (DICOM PS3.3 C.7.6.16); in a classic file the same keywords are at the top.
"""

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from taskgan.core.errors import UserError
from taskgan.core.parse import quoted

Find = Callable[[str, str], Any]

_PARTS = {
    **dict.fromkeys(("M", "MAGNITUDE"), "magnitude"),
    **dict.fromkeys(("P", "PHASE", "PHASE MAP"), "phase"),
    **dict.fromkeys(("R", "REAL"), "real"),
    **dict.fromkeys(("I", "IMAGINARY"), "imag"),
}
_PREFIXES = {"M": "magnitude", "P": "phase", "R": "real", "I": "imag"}
_GE_PARTS = ("magnitude", "phase", "real", "imag")
_ENHANCED_PET = "1.2.840.10008.5.1.4.1.1.130"
_GE_IMAGE_TYPE = (0x0043, 0x102F)
# Private elements lie in the block that their creator reserved: another one in another file.
_PHILIPS_GROUP = 0x2005
_PHILIPS_SCALE = ("philips mr imaging dd 001", 0x0E)
_PHILIPS_FRAME = ("philips mr imaging dd 005", 0x0F)
# Only these go into sidecars: nothing that tells who was scanned, where or when.
_TEXTS = ("Manufacturer", "ManufacturerModelName", "ScanningSequence", "SequenceVariant", "MRAcquisitionType")
_BIDS_NAMES = {"ManufacturerModelName": "ManufacturersModelName"}


def finder(dataset: Any, frame: int | None) -> Find:
    """A function ``(functional group, keyword) -> value`` of a classic file, or of a frame (from 0) of another."""
    places: list[Any] = []
    if frame is not None:
        own = getattr(dataset, "PerFrameFunctionalGroupsSequence", None)
        shared = getattr(dataset, "SharedFunctionalGroupsSequence", None)
        places = [*([own[frame]] if own else []), *([shared[0]] if shared else [])]

    def find(group: str, keyword: str) -> Any:
        """A value of the frame's own group, else the shared one's, else the data set's; None where none has it."""
        for place in places:
            items = getattr(place, group, None)
            value = getattr(items[0], keyword, None) if items else None
            if not _nothing(value):
                return value
        value = getattr(dataset, keyword, None)
        return None if _nothing(value) else value

    return find


def first_number(value: Any) -> float | None:
    """A header's value as a number (the first of several), or None."""
    if not isinstance(value, str | bytes) and hasattr(value, "__len__"):
        value = value[0] if len(value) else None
    try:
        number = None if value is None else float(value)
    except (TypeError, ValueError):
        return None
    return number if number is None or math.isfinite(number) else None


def header_text(header: Any, keyword: str) -> str:
    """A value as text; empty where there is none."""
    return str(getattr(header, keyword, "") or "")


def moment(text: str) -> datetime | None:
    """A DICOM date and time, whole seconds and a fraction; None where it is none."""
    whole, _, fraction = text.split("+")[0].partition(".")
    try:
        when = datetime.strptime(whole, "%Y%m%d%H%M%S")
    except ValueError:
        return None
    return when + timedelta(seconds=float(f"0.{fraction}") if fraction.isdecimal() else 0)


def complex_part(dataset: Any, find: Find) -> str:
    """``magnitude``, ``phase``, ``real`` or ``imag``; empty where the header does not tell."""
    component = find("MRImageFrameTypeSequence", "ComplexImageComponent")
    if component is not None and str(component).upper() in _PARTS:
        return _PARTS[str(component).upper()]
    vendor = first_number(_private(dataset, _GE_IMAGE_TYPE))
    if vendor is not None and vendor in range(len(_GE_PARTS)):
        return _GE_PARTS[int(vendor)]
    frame_type = find("MRImageFrameTypeSequence", "FrameType") or find("", "ImageType") or ()
    types = [frame_type] if isinstance(frame_type, str) else [str(word).strip().upper() for word in frame_type]
    for word in types[2:]:
        if word in _PARTS:
            return _PARTS[word]
        letter, mark, _ = word.partition("_")
        if mark and letter in _PREFIXES:  # Philips: M_SE, R_IR
            return _PREFIXES[letter]
    return ""


@dataclass(frozen=True)
class Scaling:
    """How stored values become those of the scanner: slope · stored + intercept.

    Attributes:
        slope: Not zero.
        intercept: In the scanner's units.
        source: Where that comes from: ``RescaleSlope``, ``the Philips scale slope``, ``RealWorldValueMapping`` or
            ``nothing``. All slices of a series must have the same.
        notes: What the header says besides, and is not used.
    """

    slope: float = 1.0
    intercept: float = 0.0
    source: str = "nothing"
    notes: tuple[str, ...] = ()


def scaling(dataset: Any, find: Find, frame: int | None, part: str) -> Scaling:
    """Slope and intercept from stored values to the scanner's units.

    Philips rescales every series for display; its private scale slope takes that back, so that the images of one
    acquisition are in one unit: (slope · stored + intercept) / (slope · scale slope)
    (10.1593/tlo.13811). Phase is an angle and is not taken back. A mapping to real-world values counts where there is
    no rescale slope, and in Enhanced PET, which says its units there alone.

    Raises:
        UserError: If a value is no number or the slope is 0. The message is the end of a sentence.
    """
    group = "PixelValueTransformationSequence"
    slope = _exact_number("RescaleSlope", find(group, "RescaleSlope"))
    intercept = _exact_number("RescaleIntercept", find(group, "RescaleIntercept")) or 0.0
    if slope == 0:
        raise UserError("has RescaleSlope 0, expected another number")
    maker = str(getattr(dataset, "Manufacturer", "")).lower()
    scale = first_number(_philips_scale(dataset, frame)) if "philips" in maker and part != "phase" else None
    mapping = _real_world_mapping(find)
    if scale:
        return Scaling(1.0 / scale, intercept / ((slope or 1.0) * scale), "the Philips scale slope")
    real = header_text(dataset, "SOPClassUID") == _ENHANCED_PET or (slope is None and not intercept)
    if real and mapping is not None:
        return Scaling(mapping[0], mapping[1], "RealWorldValueMapping")
    notes: tuple[str, ...] = ()
    if mapping is not None and not math.isclose(mapping[0], slope or 1.0, rel_tol=1e-6):
        notes = (
            f"a RealWorldValueMapping (slope {mapping[0]:g}, {mapping[2] or 'no unit'}) that is not used: values are "
            "those of RescaleSlope",
        )
    return Scaling(slope or 1.0, intercept, "nothing" if slope is None else "RescaleSlope", notes)


def _exact_number(keyword: str, value: Any) -> float | None:
    """A number of which nothing may be guessed; None where there is none."""
    if value is None:
        return None
    number = first_number(value)
    if number is None:
        raise UserError(f"has {keyword} {quoted(str(value))}, expected a number")
    return number


def _real_world_mapping(find: Find) -> tuple[float, float, str] | None:
    """Slope, intercept and unit of the first linear mapping."""
    items = find("", "RealWorldValueMappingSequence") or find("RealWorldValueMappingSequence", "RealWorldValueSlope")
    if items is None:
        return None
    if isinstance(items, int | float):
        zero = first_number(find("RealWorldValueMappingSequence", "RealWorldValueIntercept"))
        units = find("RealWorldValueMappingSequence", "MeasurementUnitsCodeSequence")
        slope: float | None = float(items)
    else:
        slope = first_number(getattr(items[0], "RealWorldValueSlope", None))
        zero = first_number(getattr(items[0], "RealWorldValueIntercept", None))
        units = getattr(items[0], "MeasurementUnitsCodeSequence", None)
    return (slope, zero or 0.0, str(getattr(units[0], "CodeValue", "")) if units else "") if slope else None


def _philips_scale(dataset: Any, frame: int | None) -> Any:
    """The private scale slope: of the frame's own private group in a multi-frame file, or at the top.

    Raises:
        UserError: If it has lost its creator, without which nobody knows what the number is.
    """
    if frame is not None:
        groups = getattr(dataset, "PerFrameFunctionalGroupsSequence", None)
        inner = _created(groups[frame], *_PHILIPS_FRAME) if groups else None
        if inner is not None and len(inner) and (own := _created(inner[0], *_PHILIPS_SCALE)) is not None:
            return _decoded(own)
    value = _created(dataset, *_PHILIPS_SCALE)
    orphan = dataset.get((_PHILIPS_GROUP, 0x100E))
    if value is None and orphan is not None and dataset.get((_PHILIPS_GROUP, 0x0010)) is None:
        raise UserError(
            "has the private element (2005,100E) without its creator (2005,0010), expected both: values cannot be "
            "told from those of the display"
        )
    return _decoded(value)


def _created(dataset: Any, creator: str, element: int) -> Any:
    """Value of a private element by its creator and its place in the creator's block; None where there is none."""
    for block in range(0x10, 0x100):
        owner = dataset.get((_PHILIPS_GROUP, block))
        if owner is not None and str(owner.value).strip().lower() == creator:
            entry = dataset.get((_PHILIPS_GROUP, block << 8 | element))
            if entry is not None:
                return entry.value
    return None


def sidecar_fields(find: Find) -> dict[str, Any]:
    """What a BIDS sidecar may say of the acquisition; times in seconds."""
    timing = "MRTimingAndRelatedParametersSequence"
    fields: dict[str, Any] = {}
    for keyword in _TEXTS:
        value = find("", keyword)
        if value is not None:
            name = _BIDS_NAMES.get(keyword, keyword)
            several = not isinstance(value, str) and hasattr(value, "__iter__")
            fields[name] = [str(v) for v in value] if several else str(value)
    times = {"RepetitionTime": first_number(find(timing, "RepetitionTime"))}
    times |= {"EchoTime": echo_ms(find), "InversionTime": delay_ms(find)}
    fields |= {name: round(ms / 1000, 7) for name, ms in times.items() if ms}
    for name, group, keyword in (
        ("FlipAngle", timing, "FlipAngle"),
        ("MagneticFieldStrength", "", "MagneticFieldStrength"),
        ("SliceThickness", "PixelMeasuresSequence", "SliceThickness"),
    ):
        value = first_number(find(group, keyword))
        if value is not None:
            fields[name] = value
    return fields


def echo_ms(find: Find) -> float | None:
    """Echo time."""
    effective = first_number(find("MREchoSequence", "EffectiveEchoTime"))
    return first_number(find("MREchoSequence", "EchoTime")) if effective is None else effective


def delay_ms(find: Find) -> float | None:
    """Time from inversion or saturation to the excitation; None where there is none."""
    several = first_number(find("MRModifierSequence", "InversionTimes"))
    single = first_number(find("MRModifierSequence", "InversionTime")) if several is None else several
    return single or None


def _nothing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _private(dataset: Any, tag: tuple[int, int]) -> Any:
    """A private element at the top."""
    element = dataset.get(tag)
    return None if element is None else _decoded(element.value)


def _decoded(value: Any) -> Any:
    """Private elements of unknown type come as bytes: a float, or a short, little endian."""
    if isinstance(value, bytes) and len(value) in (2, 4):
        return struct.unpack("<f" if len(value) == 4 else "<h", value)[0]
    return value
