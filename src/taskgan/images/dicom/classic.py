"""One frame of an Enhanced MR image as an instance of the classic class (DICOM PS3.3 A.4 from A.36)."""

import copy
from typing import Any

from taskgan.images.dicom.header import delay_ms, echo_ms, finder, first_number

_CLASSIC_MR = "1.2.840.10008.5.1.4.1.1.4"
# Of the multi-frame modules alone.
_LEFT = (
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "NumberOfFrames"),
    *("DimensionOrganizationSequence", "DimensionIndexSequence", "DimensionOrganizationType", "PixelPresentation"),
    *("VolumetricProperties", "VolumeBasedCalculationTechnique", "ComplexImageComponent", "AcquisitionContrast"),
    *("ContentQualification", "ConcatenationUID", "InConcatenationNumber", "InConcatenationTotalNumber"),
    *("SOPInstanceUIDOfConcatenationSource", "ConcatenationFrameOffsetNumber", "EchoPulseSequence"),
    *("RepresentativeFrameNumber", "CineRate", "AcquisitionDateTime", "AcquisitionDuration", "ResonantNucleus"),
)
# Functional group, keyword there, keyword of the classic class.
_NUMBERS = (
    ("PixelMeasuresSequence", "SliceThickness", "SliceThickness"),
    ("PixelMeasuresSequence", "SpacingBetweenSlices", "SpacingBetweenSlices"),
    ("MRTimingAndRelatedParametersSequence", "RepetitionTime", "RepetitionTime"),
    ("MRTimingAndRelatedParametersSequence", "FlipAngle", "FlipAngle"),
    ("MRAveragesSequence", "NumberOfAverages", "NumberOfAverages"),
)
_VECTORS = (
    ("PlanePositionSequence", "ImagePositionPatient"),
    ("PlaneOrientationSequence", "ImageOrientationPatient"),
    ("PixelMeasuresSequence", "PixelSpacing"),
)
_PULSES = {"SPIN": ["SE"], "GRADIENT": ["GR"], "BOTH": ["SE", "GR"]}


def as_classic(source: Any, index: int) -> Any:
    """The header of one frame, without pixels.

    Args:
        source: Data set of the multi-frame file.
        index: Of the frame, from 0; it becomes the instance number, from 1.
    """
    find = finder(source, index)
    new = copy.deepcopy(_without_frames(source))
    new.file_meta = copy.deepcopy(source.file_meta)
    new.SOPClassUID, new.Modality, new.InstanceNumber = _CLASSIC_MR, "MR", index + 1
    for group, keyword in _VECTORS:
        setattr(new, keyword, [_decimal(v) for v in find(group, keyword)])
    for group, keyword, classic in _NUMBERS:
        value = first_number(find(group, keyword))
        if value is not None:
            setattr(new, classic, _decimal(value))
    echo, delay = echo_ms(find), delay_ms(find)
    new.EchoTime = None if echo is None else _decimal(echo)
    if delay is not None:
        new.InversionTime = _decimal(delay)
    train = first_number(find("MRTimingAndRelatedParametersSequence", "EchoTrainLength"))
    new.EchoTrainLength = None if train is None else int(train)
    for keyword in ("SliceThickness", "RepetitionTime", "MRAcquisitionType", "ScanOptions", "PatientOrientation"):
        if keyword not in new:
            setattr(new, keyword, None)
    kind = find("MRImageFrameTypeSequence", "FrameType") or getattr(source, "ImageType", None) or ()
    words = [kind] if isinstance(kind, str) else [str(word) for word in kind]
    new.ImageType = [*words, *("ORIGINAL", "PRIMARY", "OTHER")[len(words) :]]
    new.ScanningSequence, new.SequenceVariant = _scanning(source, find), _variant(find)
    when = str(find("FrameContentSequence", "FrameAcquisitionDateTime") or getattr(source, "AcquisitionDateTime", ""))
    if len(when) >= 14:
        new.AcquisitionDate, new.AcquisitionTime = when[:8], when[8:].split("+")[0].split("-")[0]
    return new


def _without_frames(source: Any) -> Any:
    from pydicom.dataset import Dataset

    new = Dataset()
    left = set(_LEFT)
    for element in source:
        if element.keyword not in left:
            new.add(element)
    return new


def _scanning(source: Any, find: Any) -> list[str]:
    """ScanningSequence; RM (research mode) where the file does not say."""
    sequence = list(_PULSES.get(str(getattr(source, "EchoPulseSequence", "") or ""), []))
    inverted = find("MRModifierSequence", "InversionRecovery") == "YES" or delay_ms(find) is not None
    planar = find("", "EchoPlanarPulseSequence") == "YES"
    return [*sequence, *["IR"] * inverted, *["EP"] * planar] or ["RM"]


def _variant(find: Any) -> list[str]:
    variant = [
        name
        for name, group, keyword, none in (
            ("SK", "", "SegmentedKSpaceTraversal", "SINGLE"),
            ("MTC", "MRModifierSequence", "MagnetizationTransfer", "NONE"),
            ("SP", "MRModifierSequence", "Spoiling", "NONE"),
        )
        if str(find(group, keyword) or none) != none
    ]
    return variant or ["NONE"]


def _decimal(value: Any) -> str:
    """A DS string: at most 16 characters."""
    number = float(value)
    text = repr(number)
    return text if len(text) <= 16 else f"{number:.10g}"
