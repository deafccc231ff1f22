"""Series that are not whole, not one volume or not what the table says: named, where they were silent."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from dicom_files import item, uid, write_enhanced, write_series
from taskgan.core.errors import UserError
from taskgan.images.dicom.series import SeriesFilter, find_series, list_series, read_series
from taskgan.images.volumes import read_shape, read_volume

AFFINE = np.diag([2.0, 2.0, 5.0, 1.0])
SHAPE = (8, 10, 6)
CREATOR = "Philips MR Imaging DD 001"
Edit = Callable[[Any, int], None]


def stored() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 4096, SHAPE).astype(np.uint16)


def series(folder: Path, edit: Edit | None = None, slices: range = range(6), **header: object) -> Path:
    """A series of six slices; ``edit`` changes the data set of slice k, numbers begin with 1."""
    write_series(folder, stored(), AFFINE, **header)
    for path in folder.iterdir():
        k = int(path.stem.rsplit("_", 1)[1])
        if k not in slices:
            path.unlink()
            continue
        dataset = pydicom.dcmread(path)
        dataset.InstanceNumber = dataset.get("InstanceNumber") or k + 1
        if edit is not None:
            edit(dataset, k)
        dataset.save_as(path, enforce_file_format=True)
    return folder


def refused(folder: Path, words: str, pick: SeriesFilter | None = None) -> None:
    with pytest.raises(UserError, match=words):
        read_series(folder, pick or SeriesFilter())


@pytest.mark.parametrize(
    ("header", "slices", "words"),
    [
        ({"SpacingBetweenSlices": "5"}, range(0, 6, 2), "10 mm apart and SpacingBetweenSlices is 5 mm"),
        ({}, range(0, 6, 2), "10 mm apart and SliceThickness is 5 mm"),
        ({"SliceThickness": "9", "InstanceNumber": "1", "ImagesInAcquisition": "6"}, range(0, 6, 2), "holds 3 images"),
        ({"ImagesInAcquisition": "6"}, range(4), "holds 4 images and its ImagesInAcquisition is 6"),
        ({"NumberOfSlices": 6}, range(4), "holds 4 images and its NumberOfSlices is 6"),
        ({"SliceThickness": "9"}, range(0, 6, 2), r"lacks the images with InstanceNumber 2, 4 \(2 between 1 and 5\)"),
    ],
)
def test_missing_slices_are_seen_by_gap_count_and_number(
    tmp_path: Path, header: dict[str, object], slices: range, words: str
) -> None:
    series(tmp_path / "whole", **header)
    read_series(tmp_path / "whole", SeriesFilter())
    refused(series(tmp_path / "thinned", slices=slices, **header), words)


def test_slices_lie_on_one_line_in_one_frame_of_reference(tmp_path: Path) -> None:
    def beside(dataset: Any, k: int) -> None:
        if 2 <= k < 4:
            dataset.ImagePositionPatient[0] += 20

    def stood_up(dataset: Any, k: int) -> None:
        if k > 3:
            dataset.FrameOfReferenceUID = uid(98)

    refused(series(tmp_path / "a", beside), r"_[23].dcm lies 20 mm beside the line of the other slices")
    refused(series(tmp_path / "b", stood_up), "has another FrameOfReferenceUID than")

    def tilted(dataset: Any, k: int) -> None:
        dataset.ImagePositionPatient[1] += 0.7 * k

    _, affine, _ = read_series(series(tmp_path / "c", tilted), SeriesFilter())
    np.testing.assert_allclose(affine[:3, 2], [0, -0.7, 5], atol=1e-6)  # one line, though not along the normal


def test_a_rescale_slope_is_in_all_slices_and_is_a_number(tmp_path: Path) -> None:
    def gap(dataset: Any, k: int) -> None:
        if k != 3:
            dataset.RescaleSlope, dataset.RescaleIntercept = "2", "-10"

    refused(series(tmp_path / "gap", gap), "takes its scale from (nothing|RescaleSlope), .*expected all slices in one")
    comma = series(tmp_path / "comma", RescaleSlope="1.5", RescaleIntercept="0")
    path = sorted(comma.iterdir())[2]
    path.write_bytes(path.read_bytes().replace(b"DS\x04\x001.5 ", b"DS\x04\x001,5 "))
    refused(comma, rf"{path.name} has RescaleSlope '1,5', expected a number")
    refused(series(tmp_path / "zero", RescaleSlope="0"), "has RescaleSlope 0, expected another number")


def test_another_modality_or_class_is_refused_where_one_is_meant(tmp_path: Path) -> None:
    pet = series(tmp_path / "pet", Modality="PT", SOPClassUID="1.2.840.10008.5.1.4.1.1.128")
    refused(pet, "pet is PT by its DICOM header .*expected MR", SeriesFilter(modality="MR"))
    read_series(pet, SeriesFilter(modality="PT"))
    shot = series(tmp_path / "shot", SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    refused(shot, r"SOP class 1.2.840.10008.5.1.4.1.1.7 .*expected one of MR", SeriesFilter(modality="MR"))


def test_the_philips_scale_is_found_by_its_creator(tmp_path: Path) -> None:
    header = {"Manufacturer": "Philips", "RescaleSlope": "2.5", "RescaleIntercept": "0"}

    def private(block: int, creator: str) -> tuple[tuple[int, int, str, object], ...]:
        owner = [(0x2005, block, "LO", creator)] if creator else []
        return (*owner, (0x2005, block << 8 | 0x0E, "FL", 0.01))

    for name, own, factor in (
        ("usual", private(0x10, CREATOR), 100),
        ("other block", private(0x11, CREATOR.upper()), 100),
        ("other creator", private(0x10, "Philips MR Imaging DD 002"), 2.5),
    ):
        values, _, _ = read_series(series(tmp_path / name, private=own, **header), SeriesFilter())
        np.testing.assert_allclose(values, stored() * float(factor), rtol=1e-5, err_msg=name)
    refused(series(tmp_path / "orphan", private=private(0x10, ""), **header), r"\(2005,100E\) without its creator")

    def some(dataset: Any, k: int) -> None:
        if k == 3:
            del dataset[0x2005, 0x100E]

    mixed = series(tmp_path / "some", some, private=private(0x10, CREATOR), **header)
    refused(mixed, "takes its scale from (RescaleSlope|the Philips scale slope)")


@pytest.mark.parametrize(("kind", "padding"), [("uint16", 63536), ("int16", -2000), ("int16", 63536)])
def test_padding_is_zero_and_said(tmp_path: Path, kind: str, padding: int) -> None:
    data = stored().astype(kind)
    data[:2] = np.int64(padding).astype(kind)
    write_series(tmp_path / "s", data, AFFINE, RescaleSlope="1", RescaleIntercept="7")
    for path in (tmp_path / "s").iterdir():
        dataset = pydicom.dcmread(path)
        dataset.add_new(0x00280120, "US" if padding > 0 else "SS", padding)
        dataset.save_as(path, enforce_file_format=True)
    values, _, found = read_series(tmp_path / "s", SeriesFilter())
    assert (values[:2] == 0).all()
    np.testing.assert_array_equal(values[2:], stored()[2:] + 7.0)
    assert found.notes == ("120 voxels of padding (PixelPaddingValue), which are 0 here",)
    assert read_volume(tmp_path / "s").notes == found.notes


def test_mappings_are_used_or_named_and_inverse_display_is_named(tmp_path: Path) -> None:
    mapping = item(
        RealWorldValueSlope=0.25, RealWorldValueIntercept=1.0, MeasurementUnitsCodeSequence=item(CodeValue="ms")
    )
    alone = series(tmp_path / "alone", RealWorldValueMappingSequence=mapping)
    np.testing.assert_allclose(read_series(alone, SeriesFilter())[0], stored() * 0.25 + 1)
    both = series(tmp_path / "both", RealWorldValueMappingSequence=mapping, RescaleSlope="2")
    values, _, found = read_series(both, SeriesFilter())
    np.testing.assert_allclose(values, stored() * 2)
    assert "RealWorldValueMapping (slope 0.25, ms) that is not used" in found.notes[0]
    inverse = series(tmp_path / "inverse", PhotometricInterpretation="MONOCHROME1")
    assert "MONOCHROME1" in find_series(inverse, SeriesFilter()).notes[0]


def test_echo_and_echo_time_pick_one_of_a_dual_echo_series(tmp_path: Path) -> None:
    for number, echo in enumerate(("15", "90")):
        write_series(tmp_path / "new", stored() + number, AFFINE, EchoTime=echo)
        for path in (tmp_path / "new").iterdir():
            (tmp_path / "s").mkdir(exist_ok=True)
            path.rename(tmp_path / "s" / f"{number}_{path.name}")
    refused(tmp_path / "s", "echo or te_ms of the row")
    for pick, number in ((SeriesFilter(echo=2), 1), (SeriesFilter(te_ms=15.4), 0), (SeriesFilter(te_ms=90), 1)):
        np.testing.assert_array_equal(read_series(tmp_path / "s", pick)[0], stored() + number)


@pytest.mark.parametrize("syntax", ["JPEGLosslessSV1", "JPEGLSLossless", "JPEG2000Lossless", "RLELossless"])
def test_lossless_compressions_are_decoded_or_the_right_tool_is_named(
    tmp_path: Path, syntax: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gdcm = pytest.importorskip("gdcm", reason="python-gdcm (extra dicom) is not installed")
    kind = getattr(pydicom.uid, syntax)
    folder = series(tmp_path / "s")
    for path in folder.iterdir():
        reader = gdcm.ImageReader()
        reader.SetFileName(str(path))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(kind)))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(path))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        dataset = pydicom.dcmread(path)
        dataset.SpacingBetweenSlices = "5"  # gdcm writes 1
        dataset.save_as(path, enforce_file_format=True)
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == kind
    np.testing.assert_array_equal(read_series(folder, SeriesFilter())[0], stored())
    tool = {"JPEGLosslessSV1": "dcmdjpeg", "JPEGLSLossless": "dcmdjpls", "RLELossless": "dcmdrle"}.get(
        syntax, "gdcmconv"
    )
    path.write_bytes(path.read_bytes()[:-60])
    monkeypatch.setattr(pydicom.Dataset, "pixel_array", property(lambda self: 1 / 0))
    refused(folder, rf"pip install 'taskgan\[dicom\]' has the decoders, or decompress them with {tool}")


def test_a_file_without_preamble_and_suffix_is_read(tmp_path: Path) -> None:
    folder = series(tmp_path / "s")
    for number, path in enumerate(sorted(folder.iterdir())):
        if number % 2:
            path.with_suffix("").write_bytes(path.read_bytes()[132:])
            path.unlink()
    (folder / "notes").write_text("no image " * 40)
    np.testing.assert_array_equal(read_series(folder, SeriesFilter())[0], stored())


def test_a_copy_is_left_out_with_a_note(tmp_path: Path) -> None:
    folder = series(tmp_path / "s")
    path = sorted(folder.iterdir())[1]
    (folder / "z.dcm").write_bytes(path.read_bytes())
    values, _, found = read_series(folder, SeriesFilter())
    np.testing.assert_array_equal(values, stored())
    assert found.notes == (f"z.dcm, the same file as {path.name}, which is left out",)


def test_fewer_groups_than_frames_are_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    write_enhanced(path, [(stored(), 1, 0, "MAGNITUDE", 100, 20)], AFFINE)
    whole = pydicom.dcmread(path)
    for name in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        dataset = pydicom.dcmread(path)
        setattr(dataset, name, pydicom.Sequence([]))
        dataset.save_as(path, enforce_file_format=True)
        refused(path, "tells of 6 frames and describes 0|does not say where its image lies")
        whole.save_as(path, enforce_file_format=True)
    dataset.PerFrameFunctionalGroupsSequence = whole.PerFrameFunctionalGroupsSequence[:4]
    dataset.save_as(path, enforce_file_format=True)
    refused(path, "tells of 6 frames and describes 4")
    whole.PerFrameFunctionalGroupsSequence[2].MRModifierSequence = pydicom.Sequence([])
    whole.PerFrameFunctionalGroupsSequence[2].PixelValueTransformationSequence = pydicom.Sequence([])
    whole.save_as(path, enforce_file_format=True)
    refused(path, "more than one is the one|takes its scale from")


def test_a_series_is_a_volume_wherever_a_nifti_file_is(tmp_path: Path) -> None:
    left = AFFINE @ np.diag([-1.0, -1, 1, 1])
    write_series(tmp_path / "s", stored(), left)
    volume = read_volume(tmp_path / "s")
    np.testing.assert_array_equal(volume.data, stored()[::-1, ::-1])
    assert (np.diag(volume.affine) > 0).all()
    shape, affine = read_shape(tmp_path / "s")
    assert shape == volume.data.shape
    np.testing.assert_array_equal(affine, volume.affine)


def test_the_series_of_a_study_and_of_a_dicomdir(tmp_path: Path) -> None:
    write_series(tmp_path / "study" / "A", stored(), AFFINE, series=401)
    write_series(tmp_path / "study" / "b", stored(), AFFINE, series=12)
    write_series(tmp_path / "new", stored() + 1, AFFINE, series=7)
    for path in (tmp_path / "new").iterdir():
        path.rename(tmp_path / "study" / "b" / path.name)
    study = tmp_path / "study"
    assert [one[:3] for one in list_series(study)] == [
        (study / "A", uid(401), "401"),
        (study / "b", uid(7), "7"),
        (study / "b", uid(12), "12"),
    ]
    np.testing.assert_array_equal(read_volume(study / "b", series=uid(7)).data, stored() + 1)
    for number, path in enumerate(sorted((study / "A").iterdir())):
        path.rename(study / "A" / f"IM{number}")
    records = [
        item(DirectoryRecordType="IMAGE", ReferencedFileID=["A", path.name])[0] for path in (study / "A").iterdir()
    ]
    directory = pydicom.Dataset()
    directory.file_meta = pydicom.dataset.FileMetaDataset()
    directory.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    directory.file_meta.MediaStorageSOPInstanceUID = uid(5)
    directory.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    directory.DirectoryRecordSequence = pydicom.Sequence(records)
    directory.save_as(study / "DICOMDIR", enforce_file_format=True)
    assert [one[:3] for one in list_series(study / "DICOMDIR")] == [(study / "A", uid(401), "401")]
    next((study / "A").iterdir()).unlink()
    with pytest.raises(UserError, match=r"DICOMDIR names .*expected a file that is there"):
        list_series(study / "DICOMDIR")
