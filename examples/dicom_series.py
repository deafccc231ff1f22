"""A made-up PET series, as a scanner might export it: a head of ellipsoids with noise, nobody's.

python examples/dicom_series.py STUDY            # STUDY/pet/IM0001.dcm …
taskgan info STUDY
taskgan restore RUN/model STUDY -o OUT --suv
"""

import argparse
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence

PET = "1.2.840.10008.5.1.4.1.1.128"
ROOT = "2.25.20200102"  # made up, as all of it


def head(size: int, slices: int, seed: int) -> np.ndarray:
    """Activity in Bq/ml, (columns, rows, slices): grey and white matter, ventricles, Poisson noise of a low dose."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in (size, size, slices)), indexing="ij", sparse=True)
    radius = np.sqrt((x / 0.72) ** 2 + (y / 0.88) ** 2 + (z / 1.05) ** 2)
    activity = 9000.0 * (radius < 1) - 4500.0 * (radius < 0.8) - 3000.0 * ((x / 0.15) ** 2 + (y / 0.3) ** 2 + z**2 < 1)
    return np.random.default_rng(seed).poisson(activity.clip(0) / 300) * 300.0


def item(**values: object) -> Sequence:
    """A sequence of one item."""
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return Sequence([dataset])


def image(volume: np.ndarray, k: int, edges: tuple[float, float]) -> Dataset:
    """One slice; its slope is its own, as in PET series."""
    plane, new = volume[:, :, k].T, Dataset()
    slope = f"{max(plane.max(), 1.0) / 32767:.9g}"
    drug = item(
        Radiopharmaceutical="Florbetaben", RadiopharmaceuticalStartTime="101500", RadionuclideTotalDose="300000000",
        RadionuclideHalfLife="6586.2", RadionuclidePositronFraction="0.97",
    )  # fmt: skip
    rows, columns = plane.shape
    corner = [-edges[0] * (columns - 1) / 2, -edges[0] * (rows - 1) / 2, edges[1] * (k - volume.shape[2] / 2)]
    values = {
        "SOPClassUID": PET, "SOPInstanceUID": f"{ROOT}.1.1.{k + 1}", "StudyInstanceUID": ROOT, "Modality": "PT",
        "SeriesInstanceUID": f"{ROOT}.1", "FrameOfReferenceUID": f"{ROOT}.9", "SeriesNumber": 1,
        "InstanceNumber": k + 1, "PatientName": "Made^Up", "PatientID": "example", "PatientBirthDate": "",
        "PatientSex": "O",
        "PatientWeight": "70", "StudyDate": "20200102", "StudyTime": "100000", "StudyID": "1", "AccessionNumber": "",
        "ReferringPhysicianName": "", "SeriesDescription": "made-up low dose", "SeriesDate": "20200102",
        "SeriesTime": "114500", "AcquisitionDate": "20200102", "AcquisitionTime": "114500", "Manufacturer": "none",
        "ImageType": ["ORIGINAL", "PRIMARY"], "Units": "BQML", "CountsSource": "EMISSION", "DecayCorrection": "START",
        "SeriesType": ["STATIC", "IMAGE"], "NumberOfSlices": volume.shape[2], "ImageIndex": k + 1,
        "CorrectedImage": ["DECY", "ATTN", "SCAT"], "FrameReferenceTime": "300000", "ActualFrameDuration": "600000",
        "RadiopharmaceuticalInformationSequence": drug, "SliceThickness": f"{edges[1]:g}",
        "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"], "ImagePositionPatient": [f"{v:g}" for v in corner],
        "PixelSpacing": [f"{edges[0]:g}"] * 2, "Rows": rows, "Columns": columns, "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15,
        "PixelRepresentation": 0, "RescaleSlope": slope, "RescaleIntercept": "0",
        "PixelData": np.rint(plane / float(slope)).astype("<u2").tobytes(),
    }  # fmt: skip
    for keyword, value in values.items():
        setattr(new, keyword, value)
    new.file_meta = FileMetaDataset()
    new.file_meta.MediaStorageSOPClassUID, new.file_meta.MediaStorageSOPInstanceUID = PET, new.SOPInstanceUID
    new.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    return new


def main() -> None:
    """Write the series."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="folder to make")
    parser.add_argument("--size", type=int, default=112, help="rows and columns, of 2 mm")
    parser.add_argument("--slices", type=int, default=40, help="of 4 mm")
    parser.add_argument("--seed", type=int, default=0, help="of the noise")
    options = parser.parse_args()
    folder = options.study / "pet"
    folder.mkdir(parents=True)
    volume = head(options.size, options.slices, options.seed)
    for k in range(options.slices):
        image(volume, k, (2.0, 4.0)).save_as(folder / f"IM{k + 1:04d}.dcm", enforce_file_format=True)
    print(f"{folder}: {options.slices} images; next: taskgan info {options.study}")


if __name__ == "__main__":
    main()
