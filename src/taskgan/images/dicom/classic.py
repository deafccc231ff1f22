"""One frame of an Enhanced MR or PET image as an instance of the classic class (PS3.3 A.4, A.21)."""

import copy
from functools import lru_cache
from pathlib import Path
from typing import Any

from taskgan.core.errors import UserError
from taskgan.core.parse import error_text, quoted
from taskgan.images.dicom.frames import Frame, quiet, read_dataset
from taskgan.images.dicom.header import Find, delay_ms, echo_ms, finder, first_number, header_text, moment

CLASSIC = {  # SOP class and modality by the enhanced class
    "1.2.840.10008.5.1.4.1.1.4.1": ("1.2.840.10008.5.1.4.1.1.4", "MR"),
    "1.2.840.10008.5.1.4.1.1.130": ("1.2.840.10008.5.1.4.1.1.128", "PT"),
}
# Of the multi-frame modules alone.
_LEFT = (
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "NumberOfFrames"),
    *("DimensionOrganizationSequence", "DimensionIndexSequence", "DimensionOrganizationType", "PixelPresentation"),
    *("VolumetricProperties", "VolumeBasedCalculationTechnique", "ComplexImageComponent", "AcquisitionContrast"),
    *("ContentQualification", "ConcatenationUID", "InConcatenationNumber", "InConcatenationTotalNumber"),
    *("SOPInstanceUIDOfConcatenationSource", "ConcatenationFrameOffsetNumber", "EchoPulseSequence"),
    *("RepresentativeFrameNumber", "CineRate", "AcquisitionDateTime", "AcquisitionDuration", "ResonantNucleus"),
    *("DecayCorrected", "AttenuationCorrected", "ScatterCorrected", "DeadTimeCorrected", "RandomsCorrected"),
    *("GantryMotionCorrected", "PatientMotionCorrected", "CountLossNormalizationCorrected"),
    *("NonUniformRadialSamplingCorrected", "SensitivityCalibrated", "DetectorNormalizationCorrection"),
    *("IterativeReconstructionMethod", "AttenuationCorrectionTemporalRelationship", "AttenuationCorrectionSource"),
    *("DecayCorrectionDateTime", "PatientPhysiologicalStateSequence", "TypeOfDetectorMotion"),
)
# Functional group, keyword there, keyword of the classic class.
_NUMBERS = (
    ("PixelMeasuresSequence", "SliceThickness", "SliceThickness"),
    ("PixelMeasuresSequence", "SpacingBetweenSlices", "SpacingBetweenSlices"),
    ("MRTimingAndRelatedParametersSequence", "RepetitionTime", "RepetitionTime"),
    ("MRTimingAndRelatedParametersSequence", "FlipAngle", "FlipAngle"),
    ("MRAveragesSequence", "NumberOfAverages", "NumberOfAverages"),
    ("PETFrameCorrectionFactorsSequence", "DecayFactor", "DecayFactor"),
    ("PETFrameCorrectionFactorsSequence", "DoseCalibrationFactor", "DoseCalibrationFactor"),
    ("PETFrameCorrectionFactorsSequence", "ScatterFractionFactor", "ScatterFractionFactor"),
    ("PETFrameCorrectionFactorsSequence", "DeadTimeFactor", "DeadTimeFactor"),
)
_VECTORS = (
    ("PlanePositionSequence", "ImagePositionPatient"),
    ("PlaneOrientationSequence", "ImageOrientationPatient"),
    ("PixelMeasuresSequence", "PixelSpacing"),
)
_PULSES = {"SPIN": ["SE"], "GRADIENT": ["GR"], "BOTH": ["SE", "GR"]}
# Units and SUVType by the code (UCUM) of the values of an Enhanced PET image.
_UNITS = {
    "Bq/ml": ("BQML", ""), "{counts}": ("CNTS", ""), "{counts}/s": ("CPS", ""), "{propcounts}": ("PROPCNTS", ""),
    "{SUVbw}g/ml": ("GML", "BW"), "g/ml{SUVbw}": ("GML", "BW"), "g/ml": ("GML", "BW"),
    "{SUVlbm}g/ml": ("GML", "LBM"), "g/ml{SUVlbm}": ("GML", "LBM"),
}  # fmt: skip
_CORRECTIONS = {  # terms of CorrectedImage
    "DecayCorrected": "DECY", "AttenuationCorrected": "ATTN", "ScatterCorrected": "SCAT", "DeadTimeCorrected": "DTIM",
    "GantryMotionCorrected": "MOTN", "RandomsCorrected": "RAN", "NonUniformRadialSamplingCorrected": "RADL",
    "SensitivityCalibrated": "DCAL", "DetectorNormalizationCorrection": "NORM",
}  # fmt: skip


def frame_header(frame: Frame) -> Any:
    """The data set that a frame is in, without pixels; of a multi-frame file read once for all its frames."""
    return _dataset(frame.file, frame.file.stat().st_mtime_ns)


def classic_header(frame: Frame) -> Any:
    """The header of a frame as of a file of its own; not to be changed where it is one. Errors: :func:`as_classic`."""
    source = frame_header(frame)
    try:
        with quiet():
            return source if frame.index is None else as_classic(source, frame.index)
    except UserError:
        raise
    except Exception as error:  # values of a damaged header fail in as many ways as there are types
        raise UserError(f"has a header that cannot be understood: {error_text(error)}") from None


@lru_cache(maxsize=2)
def _dataset(file: Path, stamp: int) -> Any:
    del stamp
    return read_dataset(file, pixels=False)


def as_classic(source: Any, index: int) -> Any:
    """The header of one frame (from 0) of a multi-frame file of a class in :data:`CLASSIC`, without pixels.

    Raises:
        UserError: If the classic class cannot say what the frame is; the message names the attribute.
    """
    find = finder(source, index)
    new = copy.deepcopy(_without_frames(source))
    new.file_meta = copy.deepcopy(source.file_meta)
    new.SOPClassUID, new.Modality = CLASSIC[str(source.SOPClassUID)]
    new.InstanceNumber = index + 1
    for group, keyword in _VECTORS:
        setattr(new, keyword, [_decimal(v) for v in find(group, keyword)])
    for group, keyword, classic in _NUMBERS:
        value = first_number(find(group, keyword))
        if value is not None:
            setattr(new, classic, _decimal(value))
    when = str(find("FrameContentSequence", "FrameAcquisitionDateTime") or getattr(source, "AcquisitionDateTime", ""))
    if len(when) >= 14:
        new.AcquisitionDate, new.AcquisitionTime = when[:8], _clock(when)
    if new.Modality == "MR":
        _set_mr(new, source, find)
    else:
        _set_pet(new, source, find)
    return new


def _set_mr(new: Any, source: Any, find: Find) -> None:
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


def _set_pet(new: Any, source: Any, find: Find) -> None:
    """Series and image modules of classic PET (PS3.3 C.8.9.1, C.8.9.4) from those of Enhanced PET (C.8.22)."""
    code = find("RealWorldValueMappingSequence", "MeasurementUnitsCodeSequence")
    unit = header_text(code[0], "CodeValue") if code else ""
    if unit not in _UNITS:
        raise UserError(f"has MeasurementUnitsCodeSequence {quoted(unit)}, expected one of {', '.join(_UNITS)}")
    new.Units, suv = _UNITS[unit]
    if suv:
        new.SUVType = suv
    corrected = [term for name, term in _CORRECTIONS.items() if str(getattr(source, name, "")) == "YES"]
    new.CorrectedImage, new.DecayCorrection = corrected, _decay_correction(new, source)
    count = int(getattr(source, "NumberOfFrames", 1) or 1)
    new.SeriesType, new.CountsSource, new.NumberOfSlices = ["STATIC", "IMAGE"], "EMISSION", count
    new.ImageIndex, new.ImageType = new.InstanceNumber, [*map(str, getattr(source, "ImageType", ())[:2])]
    for keyword in ("CollimatorType", "PatientOrientation", "AcquisitionDate", "AcquisitionTime"):
        if keyword not in new:
            setattr(new, keyword, None)
    length = first_number(find("FrameContentSequence", "FrameAcquisitionDuration"))
    new.ActualFrameDuration = None if length is None else round(length)
    middle = str(find("FrameContentSequence", "FrameReferenceDateTime") or "")
    start = moment(header_text(new, "SeriesDate") + header_text(new, "SeriesTime"))
    after = None if start is None or (at := moment(middle)) is None else (at - start).total_seconds()
    new.FrameReferenceTime = _decimal(1000 * after if after is not None and after >= 0 else (length or 0) / 2)


def _decay_correction(new: Any, source: Any) -> str:
    """To which time values are corrected: START of the first frame, ADMINistration, or NONE; else a UserError."""
    if str(getattr(source, "DecayCorrected", "")) != "YES":
        return "NONE"
    text = header_text(source, "DecayCorrectionDateTime")
    drugs = getattr(source, "RadiopharmaceuticalInformationSequence", None) or ()
    injected = moment(header_text(drugs[0], "RadiopharmaceuticalStartDateTime")) if drugs else None
    frames = getattr(source, "PerFrameFunctionalGroupsSequence", None) or ()
    contents = [frame.FrameContentSequence[0] for frame in frames if "FrameContentSequence" in frame]
    begun = [when for one in contents if (when := moment(header_text(one, "FrameAcquisitionDateTime"))) is not None]
    for name, when in (("ADMIN", injected), ("START", min(begun, default=None))):
        if when is not None and when == moment(text):
            if name == "START":  # from which readers of the classic class compute the SUV
                new.SeriesDate, new.SeriesTime = text[:8], _clock(text)
            return name
    raise UserError(f"has DecayCorrectionDateTime {quoted(text)}, expected the time of injection or of the first frame")


def _clock(text: str) -> str:
    """The time of a date and time, without its zone."""
    return text[8:].split("+")[0].split("-")[0]


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
