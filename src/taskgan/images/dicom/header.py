"""What a DICOM header says of one image, from a classic file or from a frame of a multi-frame one.

Attributes are found by their keyword. In an enhanced multi-frame file most of them are in functional groups, of the
frame or shared by all frames (DICOM PS3.3 C.7.6.16); in a classic file the same keywords are at the top.
"""

import math
import struct
from collections.abc import Callable
from typing import Any

Find = Callable[[str, str], Any]

_PARTS = {
    **dict.fromkeys(("M", "MAGNITUDE"), "magnitude"),
    **dict.fromkeys(("P", "PHASE", "PHASE MAP"), "phase"),
    **dict.fromkeys(("R", "REAL"), "real"),
    **dict.fromkeys(("I", "IMAGINARY"), "imag"),
}
_PREFIXES = {"M": "magnitude", "P": "phase", "R": "real", "I": "imag"}
_GE_PARTS = ("magnitude", "phase", "real", "imag")
_GE_IMAGE_TYPE = (0x0043, 0x102F)
_PHILIPS_SCALE = (0x2005, 0x100E)
_PHILIPS_FRAME = (0x2005, 0x140F)
# Only these go into sidecars: nothing that tells who was scanned, where or when.
_TEXTS = (
    "Manufacturer",
    "ManufacturerModelName",
    "ScanningSequence",
    "SequenceVariant",
    "MRAcquisitionType",
)
_BIDS_NAMES = {"ManufacturerModelName": "ManufacturersModelName"}


def finder(dataset: Any, frame: int | None) -> Find:
    """A function ``(functional group, keyword) -> value``, None where there is none.

    Args:
        dataset: Of a file.
        frame: From 0 in a multi-frame file; None in a classic one.
    """
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
        found = None if value is None else float(value)
    except (TypeError, ValueError):
        return None
    return found if found is None or math.isfinite(found) else None


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


def scaling(dataset: Any, find: Find, frame: int | None, part: str) -> tuple[float, float]:
    """Slope and intercept from stored values to the scanner's units.

    Philips rescales every series for display; its private scale slope takes that back, so that the images of one
    acquisition are in one unit: (slope · stored + intercept) / (slope · scale slope)
    (10.1593/tlo.13811). Phase is an angle and is not taken back.
    """
    group = "PixelValueTransformationSequence"
    rescale = first_number(find(group, "RescaleSlope")), first_number(find(group, "RescaleIntercept"))
    slope = 1.0 if rescale[0] in (None, 0.0) else float(rescale[0] or 1.0)
    intercept = rescale[1] or 0.0
    scale = first_number(_private(dataset, _PHILIPS_SCALE, frame))
    maker = str(getattr(dataset, "Manufacturer", "")).lower()
    if part != "phase" and "philips" in maker and scale:
        return 1.0 / scale, intercept / (slope * scale)
    return slope, intercept


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
    times = {
        "RepetitionTime": find(timing, "RepetitionTime"),
        "EchoTime": echo_ms(find),
        "InversionTime": delay_ms(find),
    }
    for name, value in times.items():
        ms = first_number(value)
        if ms:
            fields[name] = round(ms / 1000, 7)
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


def _private(dataset: Any, tag: tuple[int, int], frame: int | None = None) -> Any:
    """A private element: of the frame's own private group in a Philips multi-frame file, or at the top."""
    if frame is not None:
        groups = getattr(dataset, "PerFrameFunctionalGroupsSequence", None)
        inner = groups[frame].get(_PHILIPS_FRAME) if groups else None
        element = inner.value[0].get(tag) if inner is not None and len(inner.value) else None
        if element is not None:
            return _decoded(element.value)
    element = dataset.get(tag)
    return None if element is None else _decoded(element.value)


def _decoded(value: Any) -> Any:
    """Private elements of unknown type come as bytes: a float, or a short, little endian."""
    if isinstance(value, bytes) and len(value) in (2, 4):
        return struct.unpack("<f" if len(value) == 4 else "<h", value)[0]
    return value
