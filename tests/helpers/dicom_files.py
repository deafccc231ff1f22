"""Small DICOM files as scanners write them: classic, one a slice, and enhanced multi-frame."""

from pathlib import Path

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom", reason="pydicom is not installed")

CLASSIC = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED = "1.2.840.10008.5.1.4.1.1.4.1"
PET = "1.2.840.10008.5.1.4.1.1.128"
EXPLICIT = "1.2.840.10008.1.2.1"
ROOT = "1.2.826.0.1.3680043.8.498."


def uid(*parts: object) -> str:
    """A unique identifier that is the same in every run."""
    return ROOT + ".".join(str(part) for part in parts)


def decimal(values) -> list[str]:
    """Decimal strings of at most 16 characters."""
    return [f"{float(value):.9g}" for value in values]


def new_dataset(kind: str, instance: str):
    dataset = pydicom.dataset.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = kind
    dataset.file_meta.MediaStorageSOPInstanceUID = instance
    dataset.file_meta.TransferSyntaxUID = EXPLICIT
    dataset.SOPClassUID = kind
    dataset.SOPInstanceUID = instance
    dataset.Modality = "MR"
    dataset.PatientName = "Secret^Person"
    dataset.PatientID = "4711"
    dataset.StudyDate = "20200102"
    return dataset


def set_pixels(dataset, stored: np.ndarray) -> None:
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = 16
    dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    dataset.PixelData = np.ascontiguousarray(stored).tobytes()


def geometry(affine: np.ndarray):
    """Rows and columns from a RAS affine whose first axis is the column and second the row of a slice."""
    lps = np.diag([-1.0, -1, 1, 1]) @ affine
    edges = np.linalg.norm(lps[:3, :3], axis=0)
    return lps, edges, decimal([*(lps[:3, 0] / edges[0]), *(lps[:3, 1] / edges[1])])


def write_series(folder: Path, stored: np.ndarray, affine: np.ndarray, *, series: int = 1, private=(), **header):
    """A classic series, one file a slice, named so that their order is not that of the slices.

    Args:
        folder: Where.
        stored: (columns, rows, slices), 16-bit integers.
        affine: Voxel to world, RAS mm.
        series: Its number.
        private: (group, element, type, value) of private elements.
        header: Further attributes of every file; None takes one away.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lps, edges, orientation = geometry(affine)
    for k in range(stored.shape[2]):
        dataset = new_dataset(CLASSIC, uid(series, k + 1))
        dataset.SeriesInstanceUID = uid(series)
        dataset.SeriesNumber = series
        dataset.SeriesDescription = f"series {series}"
        dataset.FrameOfReferenceUID = uid(99)
        dataset.ImagePositionPatient = decimal((lps @ [0, 0, k, 1])[:3])
        dataset.ImageOrientationPatient = orientation
        dataset.PixelSpacing = decimal([edges[1], edges[0]])
        dataset.SliceThickness = decimal([edges[2]])[0]
        set_pixels(dataset, stored[:, :, k].T)
        for name, value in header.items():
            if value is None:
                delattr(dataset, name)
            else:
                setattr(dataset, name, value)
        for group, element, kind, value in private:
            dataset.add_new((group, element), kind, value)
        # Neither the names nor the files' order tells where a slice lies.
        name = f"IM{series:03d}_{(7 * k + 3) % stored.shape[2]:03d}_{k}.dcm"
        dataset.save_as(folder / name, enforce_file_format=True)


def pet_header(k: int, slices: int) -> dict[str, object]:
    """What classic PET needs besides, of slice k; values that a validator has nothing against."""
    drug = item(
        Radiopharmaceutical="Florbetaben", RadiopharmaceuticalStartTime="101500", RadionuclideTotalDose="300000000",
        RadionuclideHalfLife="6586.2", RadionuclidePositronFraction="0.97",
        RadionuclideCodeSequence=_code("C-111A1", "SRT", "^18^Fluorine"),
        RadiopharmaceuticalCodeSequence=_code("C-E0273", "SRT", "Florbetaben F^18^"),
        AdministrationRouteCodeSequence=_code("G-D101", "SNM3", "Intravenous route"),
    )  # fmt: skip
    return {
        **dict.fromkeys(("StudyID", "AccessionNumber", "PatientOrientation", "Laterality", "PatientSex"), ""),
        **dict.fromkeys(("PatientBirthDate", "ReferringPhysicianName", "PositionReferenceIndicator"), ""),
        "SOPClassUID": PET, "Modality": "PT", "ImageType": ["ORIGINAL", "PRIMARY"], "StudyInstanceUID": uid(1, 1),
        "StudyTime": "100000", "SeriesDate": "20200102", "SeriesTime": "114500", "AcquisitionDate": "20200102",
        "AcquisitionTime": "114500", "ContentDate": "20200102", "ContentTime": "115000", "PatientWeight": "70",
        "PatientSize": "1.75", "Manufacturer": "SIEMENS", "PatientPosition": "HFS", "InstanceNumber": k + 1,
        "AcquisitionNumber": 1, "ImageIndex": k + 1, "Units": "BQML", "CountsSource": "EMISSION",
        "SeriesType": ["STATIC", "IMAGE"], "NumberOfSlices": slices, "CorrectedImage": ["DECY", "ATTN", "SCAT"],
        "DecayCorrection": "START", "CollimatorType": "NONE", "FrameReferenceTime": "300000", "DecayFactor": "1.02",
        "ActualFrameDuration": "600000", "RescaleIntercept": "0", "RescaleSlope": decimal([0.5 + 0.1 * k])[0],
        "ScatterCorrectionMethod": "model", "AttenuationCorrectionMethod": "CT", "RandomsCorrectionMethod": "DLYD",
        "ReconstructionMethod": "OSEM", "EnergyWindowRangeSequence": item(
            EnergyWindowLowerLimit="435", EnergyWindowUpperLimit="650"
        ),
        "RadiopharmaceuticalInformationSequence": drug, "PatientOrientationCodeSequence": _recumbent(),
        "PatientGantryRelationshipCodeSequence": _code("F-10470", "SRT", "headfirst"),
    }  # fmt: skip


def _code(value: str, scheme: str, meaning: str):
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def _recumbent():
    sequence = _code("F-10450", "SRT", "recumbent")
    sequence[0].PatientOrientationModifierCodeSequence = _code("F-10340", "SRT", "supine")
    return sequence


def write_pet(folder: Path, stored: np.ndarray, affine: np.ndarray, **header) -> Path:
    """A classic PET series with a slope of its own in every slice; :func:`write_series` has the arguments."""
    write_series(folder, stored, affine, **header)
    for path in folder.iterdir():
        k = int(path.stem.rsplit("_", 1)[1])
        dataset = pydicom.dcmread(path)
        for name, value in pet_header(k, stored.shape[2]).items():
            if name not in header:
                setattr(dataset, name, value)
        dataset.file_meta.MediaStorageSOPClassUID = PET
        dataset.save_as(path, enforce_file_format=True)
    return folder


def item(**values):
    """A sequence of one item."""
    dataset = pydicom.dataset.Dataset()
    for name, value in values.items():
        setattr(dataset, name, value)
    return pydicom.sequence.Sequence([dataset])


def write_enhanced(file: Path, images, affine: np.ndarray, **header) -> None:
    """A multi-frame file whose frames are mixed: the slices of the first image from the top, then of the next.

    Args:
        file: Where.
        images: (stored (columns, rows, slices), slope, intercept, component, delay in ms, echo time in ms).
        affine: As above.
        header: Further attributes at the top.
    """
    lps, edges, orientation = geometry(affine)
    dataset = new_dataset(ENHANCED, uid(7, 7))
    for name, value in header.items():
        setattr(dataset, name, value)
    dataset.SeriesInstanceUID = uid(7)
    dataset.SeriesNumber = 7
    dataset.FrameOfReferenceUID = uid(99)
    dataset.SharedFunctionalGroupsSequence = item(
        PlaneOrientationSequence=item(ImageOrientationPatient=orientation),
        PixelMeasuresSequence=item(PixelSpacing=decimal([edges[1], edges[0]]), SliceThickness=decimal([edges[2]])[0]),
        MRTimingAndRelatedParametersSequence=item(RepetitionTime="4350", FlipAngle="90"),
    )
    frames, pixels = [], []
    for stored, slope, intercept, component, delay, echo in images:
        for k in reversed(range(stored.shape[2])):
            frame = pydicom.dataset.Dataset()
            frame.PlanePositionSequence = item(ImagePositionPatient=decimal((lps @ [0, 0, k, 1])[:3]))
            frame.PixelValueTransformationSequence = item(
                RescaleSlope=decimal([slope])[0], RescaleIntercept=decimal([intercept])[0], RescaleType="US"
            )
            frame.MRImageFrameTypeSequence = item(ComplexImageComponent=component)
            frame.MREchoSequence = item(EffectiveEchoTime=float(echo))
            frame.MRModifierSequence = item(InversionTimes=[float(delay)])
            frames.append(frame)
            pixels.append(stored[:, :, k].T)
    dataset.PerFrameFunctionalGroupsSequence = pydicom.sequence.Sequence(frames)
    dataset.NumberOfFrames = len(frames)
    set_pixels(dataset, np.stack(pixels))
    file.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(file, enforce_file_format=True)
