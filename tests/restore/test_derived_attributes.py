"""Attribute by attribute: what of a source's header may not stay in a derived series, and what has to."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from dicom_files import item, uid, write_pet, write_series
from taskgan.images.dicom.derive import Derivation, derived_dataset, write_derived
from taskgan.images.dicom.series import SeriesFilter, find_series
from taskgan.restore.run import restore

AFFINE = np.diag([-2.0, -2, 3, 1])
STORED = np.random.default_rng(0).integers(1, 900, (16, 16, 3)).astype(np.uint16)
MR = {"EchoTime": "90", "RepetitionTime": "4000", "StudyInstanceUID": uid(1, 1), "EchoTrainLength": "1"}


def derived(folder: Path, **derivation: Any) -> Any:
    """The data set of the first slice of a series."""
    series = find_series(folder, SeriesFilter())
    values: dict[str, Any] = {"model": "m", "description": "restored", "key": "k", "version": "1", **derivation}
    return derived_dataset(series.first, np.ones((16, 16), np.float32), Derivation(**values), signed=False)


def edited(folder: Path, **attributes: Any) -> Path:
    write_series(folder, STORED, AFFINE, **MR)
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        for name, value in attributes.items():
            setattr(dataset, name, value)
            if dataset[name].VR == "US or SS":
                dataset[name].VR = "US"
        dataset.save_as(path, enforce_file_format=True)
    return folder


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("SmallestImagePixelValue", 1),
        ("LargestImagePixelValue", 899),
        ("SmallestPixelValueInSeries", 1),
        ("LargestPixelValueInSeries", 899),
        ("PixelPaddingValue", 0),
        ("IconImageSequence", item(Rows=1)),
        ("ModalityLUTSequence", item(LUTExplanation="x")),
        ("VOILUTSequence", item(LUTExplanation="x")),
        ("RealWorldValueMappingSequence", item(RealWorldValueSlope=1.0, RealWorldValueIntercept=0.0)),
        ("DigitalSignaturesSequence", item(MACIDNumber=1)),
        ("MACParametersSequence", item(MACIDNumber=1)),
        ("InstanceCreationTime", "101010"),
        ("RedPaletteColorLookupTableDescriptor", [1, 0, 16]),
    ],
)
def test_nothing_of_the_old_pixels_stays(tmp_path: Path, keyword: str, value: object) -> None:
    assert keyword not in derived(edited(tmp_path / "mr", **{keyword: value}))


@pytest.mark.parametrize("group", [0x5000, 0x5002, 0x6000, 0x601E])
def test_curves_and_overlays_do_not_stay(tmp_path: Path, group: int) -> None:
    write_series(tmp_path / "mr", STORED, AFFINE, private=((group, 0x0010, "US", 16),), **MR)
    assert not [element for element in derived(tmp_path / "mr") if element.tag.group == group]


def test_a_source_that_was_lossy_stays_so(tmp_path: Path) -> None:
    folder = edited(tmp_path / "once", LossyImageCompression="01", LossyImageCompressionRatio="8")
    assert (derived(folder).LossyImageCompression, derived(folder).LossyImageCompressionRatio) == ("01", 8)
    assert "LossyImageCompression" not in derived(edited(tmp_path / "never"))
    folder = edited(tmp_path / "now")
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51"])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000
        dataset.save_as(path, enforce_file_format=True)
    assert derived(folder).LossyImageCompression == "01"


def test_texts_are_as_long_as_they_may_be(tmp_path: Path) -> None:
    folder = edited(tmp_path / "mr", SeriesDescription="T2 " * 21, DerivationDescription="before")
    new = derived(folder, model="ein Modell mit Umläut und \\ " * 5, description="d" * 2000, warnings=("w" * 20000,))
    assert len(new.SeriesDescription) <= 64
    assert "restored by ein Modell" in new.SeriesDescription
    assert len(new.DerivationDescription) <= 1024
    assert len(new.ImageComments) <= 10240
    assert "\\" not in new.SeriesDescription
    assert derived(folder).DerivationDescription == "before; restored"


def test_what_is_acquired_stays(tmp_path: Path) -> None:
    own = {
        "PatientName": "A^B", "StudyDate": "20200102", "SeriesDate": "20200102", "SeriesTime": "101010",
        "AcquisitionTime": "101011", "ContentTime": "101012", "ProtocolName": "t2", "MagneticFieldStrength": "3",
        "InstanceNumber": 4, "FrameOfReferenceUID": uid(99), "PatientPosition": "HFS", "Manufacturer": "SIEMENS",
        "WindowCenter": "100", "WindowWidth": "50",
    }  # fmt: skip
    new = derived(edited(tmp_path / "mr", **own))
    assert {name: str(new[name].value) for name in own} == {name: str(value) for name, value in own.items()}
    step = new.ContributingEquipmentSequence[-1]
    assert step.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    assert new.SourceImageSequence[0].PurposeOfReferenceCodeSequence[0].CodeValue == "121322"


def test_private_elements_of_pet_stay_as_suv_may_need_them(tmp_path: Path) -> None:
    private = ((0x7053, 0x0010, "LO", "Philips PET Private Group"), (0x7053, 0x1000, "DS", "0.5"))
    source = write_pet(tmp_path / "pet", STORED, AFFINE, private=private)
    series = find_series(source, SeriesFilter())
    write_derived(tmp_path / "out", series, np.ones((16, 16, 3), np.float32), Derivation("m", "d", "k", "1"))
    new = pydicom.dcmread(next((tmp_path / "out").iterdir()))
    assert new.private_block(0x7053, "Philips PET Private Group")[0].value == 0.5


def test_a_dicomdir_is_restored(model: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    write_pet(study / "A", STORED, AFFINE)
    records = []
    for number, path in enumerate(sorted((study / "A").iterdir())):
        path.rename(study / "A" / f"IM{number}")
        records.append(item(DirectoryRecordType="IMAGE", ReferencedFileID=["A", f"IM{number}"])[0])
    directory = pydicom.Dataset()
    directory.DirectoryRecordSequence = pydicom.Sequence(records)
    directory.file_meta = pydicom.dataset.FileMetaDataset()
    directory.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    directory.file_meta.MediaStorageSOPInstanceUID = uid(3, 3)
    directory.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    directory.save_as(study / "DICOMDIR", enforce_file_format=True)
    restore(model, [study / "DICOMDIR"], tmp_path / "out", precision="32")
    assert len(list((tmp_path / "out" / "A").iterdir())) == 3
