"""An Enhanced PET file as PS3.3 A.56 has it: one frame a slice, units in the real-world mapping."""

from pathlib import Path

import numpy as np
import pydicom

from dicom_files import decimal, geometry, item, new_dataset, set_pixels, uid

ENHANCED_PET = "1.2.840.10008.5.1.4.1.1.130"


def write_enhanced_pet(file: Path, stored: np.ndarray, affine: np.ndarray, *, unit: str = "Bq/ml", **header) -> Path:
    """Slopes of the mapping rise from slice to slice; ``header`` changes attributes at the top."""
    lps, edges, orientation = geometry(affine)
    dataset = new_dataset(ENHANCED_PET, uid(8, 8))
    drug = item(
        Radiopharmaceutical="Florbetaben", RadiopharmaceuticalStartDateTime="20200102101500",
        RadionuclideTotalDose="300000000", RadionuclideHalfLife="6586.2",
    )  # fmt: skip
    values = {
        "Modality": "PT", "StudyInstanceUID": uid(1, 1), "SeriesInstanceUID": uid(8), "SeriesNumber": 8,
        "SeriesDate": "20200102", "SeriesTime": "114000", "FrameOfReferenceUID": uid(99), "PatientWeight": "70",
        "ImageType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], "Manufacturer": "SIEMENS", "InstanceNumber": 1,
        "AcquisitionDateTime": "20200102114500", "DecayCorrected": "YES", "AttenuationCorrected": "YES",
        "ScatterCorrected": "YES", "DeadTimeCorrected": "NO", "DecayCorrectionDateTime": "20200102114500",
        "RadiopharmaceuticalInformationSequence": drug, **header,
    }  # fmt: skip
    for name, value in values.items():
        setattr(dataset, name, value)
    dataset.SharedFunctionalGroupsSequence = item(
        PlaneOrientationSequence=item(ImageOrientationPatient=orientation),
        PixelMeasuresSequence=item(PixelSpacing=decimal([edges[1], edges[0]]), SliceThickness=decimal([edges[2]])[0]),
    )
    frames = []
    for k in range(stored.shape[2]):
        frame = pydicom.dataset.Dataset()
        frame.PlanePositionSequence = item(ImagePositionPatient=decimal((lps @ [0, 0, k, 1])[:3]))
        frame.FrameContentSequence = item(
            FrameAcquisitionDateTime="20200102114500", FrameReferenceDateTime="20200102115000",
            FrameAcquisitionDuration=600000.0,
        )  # fmt: skip
        frame.PETFrameCorrectionFactorsSequence = item(DecayFactor=1.02)
        frame.PixelValueTransformationSequence = item(RescaleSlope="1", RescaleIntercept="0", RescaleType="US")
        units = item(CodeValue=unit, CodingSchemeDesignator="UCUM", CodeMeaning=unit)
        frame.RealWorldValueMappingSequence = item(
            RealWorldValueSlope=0.5 + 0.1 * k, RealWorldValueIntercept=0.0, MeasurementUnitsCodeSequence=units
        )
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = pydicom.sequence.Sequence(frames)
    dataset.NumberOfFrames = len(frames)
    set_pixels(dataset, np.stack([stored[:, :, k].T for k in range(stored.shape[2])]))
    file.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(file, enforce_file_format=True)
    return file
