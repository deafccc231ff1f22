"""A series in, a derived series out: same study, grid and units, new identifiers, nothing of the old pixels."""

import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest

from dicom_files import uid, write_enhanced, write_pet, write_series
from small_models import write
from taskgan.core.artefact import verify
from taskgan.core.errors import Failed, UserError
from taskgan.images.dicom.derive import Derivation, decimal_slope, write_derived
from taskgan.images.dicom.series import SeriesFilter, find_series, read_series
from taskgan.images.dicom.suv import suv_factor
from taskgan.images.volumes import read_sidecar, read_volume
from taskgan.model.folder import read_model
from taskgan.model.restorer import Restorer
from taskgan.restore.run import restore

AFFINE = np.array([[-2.0, 0, 0, 30], [0, -2.0, 0, 40], [0, 0, 2.5, 7], [0, 0, 0, 1]])
SHAPE = (17, 14, 5)
MR = {"EchoTime": "90", "RepetitionTime": "4000", "StudyInstanceUID": uid(1, 1), "EchoTrainLength": "1"}


def stored(seed: int = 0) -> np.ndarray:
    image = np.random.default_rng(seed).gamma(2.0, 900, SHAPE).clip(1, 4095).astype(np.uint16)
    image[:2] = 0
    return image


def slices(folder: Path) -> list[Any]:
    """Data sets by position."""
    return sorted((pydicom.dcmread(p) for p in folder.iterdir()), key=lambda d: float(d.ImagePositionPatient[2]))


def wanted(model: Path, source: Path) -> np.ndarray:
    return Restorer.from_folder(model, precision="32").restore_volume(read_volume(source).data).image


def errors(program: str, *files: Path) -> Counter[str]:
    run = subprocess.run([program, *map(str, files)], capture_output=True, text=True, errors="replace", check=False)
    return Counter(line for line in (run.stdout + run.stderr).splitlines() if line.startswith("Error"))


def test_pet_keeps_all_but_pixels_and_identifiers(model: Path, tmp_path: Path) -> None:
    source = write_pet(tmp_path / "pet", stored(), AFFINE)
    restore(model, [source], tmp_path / "out", precision="32")
    out = tmp_path / "out" / "pet"
    volume = read_volume(out)
    np.testing.assert_allclose(volume.affine, read_volume(source).affine, atol=1e-9)
    image = wanted(model, source)
    old, new = slices(source), slices(out)
    for k, (before, after) in enumerate(zip(old, new, strict=True)):
        assert np.abs(volume.data[:, :, k] - image[:, :, k]).max() <= float(after.RescaleSlope) / 2 * (1 + 1e-6)
        assert len(str(after["RescaleSlope"].value.original_string)) <= 16
        for keyword in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID", "SOPClassUID", "Units", "SeriesTime",
                        "AcquisitionTime", "DecayCorrection", "DecayFactor", "InstanceNumber", "Manufacturer",
                        "ImagePositionPatient", "RadiopharmaceuticalInformationSequence"):  # fmt: skip
            assert after[keyword] == before[keyword], keyword
        assert after.ImageType == ["DERIVED", "PRIMARY"]
        assert after.SourceImageSequence[0].ReferencedSOPInstanceUID == before.SOPInstanceUID
        assert after.ContributingEquipmentSequence[0].Manufacturer == "taskgan"
        assert read_model(model)[1].checksum in after.DerivationDescription
        assert after.ImageComments.startswith("research, not for diagnosis")
        assert after.BurnedInAnnotation == "NO"
        assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID
    assert len({d.RescaleSlope for d in new}) > 1
    assert len({d.SeriesInstanceUID for d in new}) == 1 != len({d.SeriesInstanceUID for d in (*old, *new)})
    assert len({d.SOPInstanceUID for d in (*old, *new)}) == 10
    assert len(new[0].SeriesDescription) <= 64
    assert new[0].SeriesNumber != old[0].SeriesNumber
    assert verify(tmp_path / "out")[1] == []


def test_identifiers_are_those_of_model_source_and_settings(model: Path, tmp_path: Path) -> None:
    source = write_pet(tmp_path / "pet", stored(), AFFINE)
    for name in ("a", "b"):
        restore(model, [source], tmp_path / name, precision="32")
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / n / "pet").iterdir()} for n in ("a", "b"))
    assert first == second
    other = write(tmp_path / "other", seed=5)
    restore(other, [source], tmp_path / "c", precision="32")
    restore(model, [source], tmp_path / "d", samples=2)
    uids = [slices(tmp_path / n / "pet")[0].SeriesInstanceUID for n in ("a", "c", "d")]
    assert len(set(uids)) == 3
    assert read_volume(tmp_path / "d" / "pet_sd.nii.gz").data.shape == SHAPE


def test_mr_loses_what_spoke_of_the_old_pixels(model: Path, tmp_path: Path) -> None:
    private = ((0x2005, 0x0010, "LO", "Philips MR Imaging DD 001"), (0x2005, 0x100E, "FL", 0.04))
    header = {
        **MR, "Manufacturer": "Philips", "RescaleSlope": "2.5", "RescaleIntercept": "-1", "WindowCenter": "100",
        "WindowWidth": "200", "SmallestImagePixelValue": 0, "LossyImageCompression": "01", "OverlayRows": None,
    }  # fmt: skip
    header.pop("OverlayRows")
    write_series(tmp_path / "t2", stored(), AFFINE, private=(*private, (0x6000, 0x0010, "US", 14)), **header)
    restore(model, [tmp_path / "t2"], tmp_path / "out", precision="32")
    image = wanted(model, tmp_path / "t2")
    derived = slices(tmp_path / "out" / "t2")
    np.testing.assert_allclose(read_volume(tmp_path / "out" / "t2").data, image, atol=float(derived[0].RescaleSlope))
    for dataset in derived:
        assert dataset.LossyImageCompression == "01"
        assert not any(e.tag.is_private or e.tag.group == 0x6000 for e in dataset)
        assert not {"WindowCenter", "SmallestImagePixelValue"} & set(dataset.dir())


def test_an_enhanced_file_becomes_classic_instances(model: Path, tmp_path: Path) -> None:
    write_enhanced(tmp_path / "mr.dcm", [(stored(), 0.5, 0.0, "MAGNITUDE", 600, 21)], AFFINE)
    dataset = pydicom.dcmread(tmp_path / "mr.dcm")
    dataset.StudyInstanceUID, dataset.EchoPulseSequence = uid(1, 1), "SPIN"
    dataset.save_as(tmp_path / "mr.dcm", enforce_file_format=True)
    restore(model, [tmp_path / "mr.dcm"], tmp_path / "out", precision="32")
    derived = slices(tmp_path / "out" / "mr.dcm")
    image = wanted(model, tmp_path / "mr.dcm")
    np.testing.assert_allclose(
        read_volume(tmp_path / "out" / "mr.dcm").data, image, atol=max(float(d.RescaleSlope) for d in derived)
    )
    first = derived[0]
    assert (first.SOPClassUID, first.ImageType[0]) == ("1.2.840.10008.5.1.4.1.1.4", "DERIVED")
    assert list(first.ScanningSequence) == ["SE", "IR"]
    if shutil.which("dciodvfy"):  # the made-up file lacks much, but what is mapped is right
        said = "".join(errors("dciodvfy", next((tmp_path / "out" / "mr.dcm").iterdir())))
        assert not any(name in said for name in ("ImageType", "InversionTime", "ScanningSequence", "EchoTime"))
    assert (float(first.EchoTime), float(first.InversionTime), float(first.RepetitionTime)) == (21, 600, 4350)
    numbers = {int(d.SourceImageSequence[0].ReferencedFrameNumber) for d in derived}
    assert numbers == {1, 2, 3, 4, 5} == {int(d.InstanceNumber) for d in derived}
    assert len({d.SOPInstanceUID for d in derived}) == 5


def test_a_study_and_a_table_of_series(model: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    write_pet(study / "a", stored(1), AFFINE, series=3)
    write_pet(study / "both", stored(2), AFFINE, series=4)
    for path in write_pet(tmp_path / "new", stored(3), AFFINE, series=5).iterdir():
        path.rename(study / "both" / path.name)
    write_series(study / "shot", stored()[:, :, :1], AFFINE, series=9, SamplesPerPixel=3)
    restore(model, [study], tmp_path / "out", precision="32")
    assert {p.name for p in (tmp_path / "out").iterdir() if p.is_dir()} == {"a", "both_4", "both_5"}
    restore(model, [study / "a"], tmp_path / "alone", precision="32")
    np.testing.assert_array_equal(read_volume(tmp_path / "out" / "a").data, read_volume(tmp_path / "alone" / "a").data)
    for number in (4, 5):  # two series of one folder
        derived, before = tmp_path / "out" / f"both_{number}", read_volume(study / "both", series=str(number)).data
        image = Restorer.from_folder(model, precision="32").restore_volume(before).image
        np.testing.assert_allclose(read_volume(derived).data, image, atol=float(image.max()) / 65535)
    (study / "pairs.csv").write_text(f"case,degraded,degraded_series\nx.1,both,{uid(5)}\ny,a,\n")
    restore(model, [study / "pairs.csv"], tmp_path / "table", precision="32")
    first, second = slices(tmp_path / "out" / "both_5"), slices(tmp_path / "table" / "x.1")
    assert [d.SOPInstanceUID for d in first] == [d.SOPInstanceUID for d in second]
    assert (tmp_path / "table" / "restored.csv").read_text().splitlines() == ["case,restored", "x.1,x.1", "y,y"]
    with pytest.raises(Failed, match="is itself a restoration by taskgan"):
        shutil.copytree(tmp_path / "alone" / "a", study / "derived")
        (study / "pairs.csv").unlink()
        restore(model, [study], tmp_path / "again", precision="32")


def test_whole_series_or_none_and_nothing_before_all_is_right(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_pet(tmp_path / "pet", stored(), AFFINE)
    ct = tmp_path / "ct"
    write_series(ct, stored(), AFFINE, SOPClassUID="1.2.840.10008.5.1.4.1.1.2", Modality="CT", **MR)
    with pytest.raises(
        UserError, match=r"SOP class '1.2.840.10008.5.1.4.1.1.2', expected MR or PET, classic or enhanced"
    ):
        restore(model, [ct], tmp_path / "out")
    thinned = shutil.copytree(source, tmp_path / "thinned")
    next(thinned.glob("*_4.dcm")).unlink()
    with pytest.raises(UserError, match="its NumberOfSlices is 5, expected a whole series"):
        restore(model, [thinned], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    restore(model, [source], tmp_path / "out", precision="32")
    before = {p.name: p.read_bytes() for p in (tmp_path / "out" / "pet").iterdir()}
    restore(model, [source], tmp_path / "out", precision="32")  # already done
    calls: list[Path] = []
    real = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name.startswith("IM") and (calls.append(path) or len(calls) == 3):
            raise OSError(28, "No space left on device")
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        restore(model, [source], tmp_path / "out", precision="32", overwrite=True)
    monkeypatch.undo()
    assert {p.name: p.read_bytes() for p in (tmp_path / "out" / "pet").iterdir()} == before
    next((tmp_path / "out" / "pet").iterdir()).unlink()
    restore(model, [source], tmp_path / "out", precision="32")
    assert {p.name: p.read_bytes() for p in (tmp_path / "out" / "pet").iterdir()} == before


def test_notes_of_the_reader_reach_sidecar_and_comments(model: Path, tmp_path: Path) -> None:
    source = write_pet(tmp_path / "pet", stored(), AFFINE, PixelPaddingValue=0)
    restore(model, [source], tmp_path / "out", precision="32")
    note = "140 voxels of padding (PixelPaddingValue), which are 0 here"
    assert any(note in text for text in read_sidecar(tmp_path / "out" / "pet")["Warnings"])
    first = slices(tmp_path / "out" / "pet")[0]
    assert note in first.ImageComments
    assert "PixelPaddingValue" not in first


def test_values_below_zero_are_signed_in_all_slices(tmp_path: Path) -> None:
    write_series(tmp_path / "t1", stored(), AFFINE, **MR)
    series = find_series(tmp_path / "t1", SeriesFilter())
    values = np.random.default_rng(0).normal(5, 1, (17, 14, 5)).astype(np.float32)
    values[0, 0, 2] = -7
    write_derived(tmp_path / "out", series, values, Derivation("m", "d", "k", "1", contrast="synthetic T2w"))
    derived = slices(tmp_path / "out")
    assert {d.PixelRepresentation for d in derived} == {1}
    assert {d.ScanningSequence for d in derived} == {"RM"}
    assert not derived[0].EchoTime
    back, _, _ = read_series(tmp_path / "out", SeriesFilter())
    slopes = np.array([float(d.RescaleSlope) for d in derived])
    assert (np.abs(back - values) <= slopes / 2 * (1 + 1e-4)).all()


@pytest.mark.parametrize(("peak", "most"), [(1.0, 65535), (123456.789, 32767), (1e-38, 65535), (3e38, 32767)])
def test_the_slope_as_written_holds_the_peak(peak: float, most: int) -> None:
    text = decimal_slope(peak, most)
    assert len(text) <= 16
    assert 0.999 < peak / float(text) / most <= 1


@pytest.mark.parametrize("kind", ["pet", "mr"])
def test_others_read_the_derived_series_and_have_no_more_against_it(model: Path, tmp_path: Path, kind: str) -> None:
    if kind == "pet":
        source = write_pet(tmp_path / "in", stored(), AFFINE)
    else:
        source = tmp_path / "in"
        write_series(source, stored(), AFFINE, **MR, ScanningSequence="SE", SequenceVariant="NONE", ScanOptions="",
                     ImageType=["ORIGINAL", "PRIMARY", "M"], MRAcquisitionType="2D", AccessionNumber="",
                     RescaleSlope="1", RescaleIntercept="0", RescaleType="US")  # fmt: skip
    restore(model, [source], tmp_path / "out", precision="32")
    derived = tmp_path / "out" / "in"
    image = read_volume(derived)
    ran = False
    if shutil.which("dcm2niix"):
        ran = True
        (tmp_path / "nii").mkdir()
        subprocess.run(["dcm2niix", "-o", tmp_path / "nii", "-f", "x", derived], check=True, capture_output=True)
        other = nib.load(tmp_path / "nii" / "x.nii")
        other = nib.as_closest_canonical(other)
        np.testing.assert_allclose(other.affine, image.affine, atol=1e-4)
        np.testing.assert_allclose(other.get_fdata(), image.data, rtol=1e-4, atol=float(image.data.max()) / 32767)
    if shutil.which("dciodvfy"):
        ran = True
        before, after = (errors("dciodvfy", sorted(folder.iterdir())[0]) for folder in (source, derived))
        assert not set(after) - set(before)
        assert not errors("dcentvfy", *sorted(derived.iterdir())) - errors("dcentvfy", *sorted(source.iterdir()))
    if not ran:
        pytest.skip("neither dcm2niix nor dciodvfy (dicom3tools) is installed")


def test_suv_of_source_and_restoration_agree_and_is_said(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_pet(tmp_path / "pet", stored(), AFFINE)
    restore(model, [source], tmp_path / "out", precision="32", suv=True)
    assert "maximum SUV (body weight)" in capsys.readouterr().out
    factors = [suv_factor(find_series(p, SeriesFilter())) for p in (source, tmp_path / "out" / "pet")]
    assert factors[0] == factors[1] > 0
    bare = write_pet(tmp_path / "bare", stored(), AFFINE, PatientWeight="")
    restore(model, [bare], tmp_path / "other", precision="32", suv=True)
    assert "bare: no SUV, it has no PatientWeight" in capsys.readouterr().out


def test_a_page_of_a_series_is_a_pdf_in_its_study(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib (extra report) is not installed")
    source = write_pet(tmp_path / "pet", stored(), AFFINE)
    restore(model, [source], tmp_path / "out", precision="32", pdf=True)
    path = tmp_path / "out" / "pet_page.dcm"
    page, first = pydicom.dcmread(path), slices(tmp_path / "out" / "pet")[0]
    assert (page.Modality, page.StudyInstanceUID) == ("DOC", first.StudyInstanceUID)
    assert page.EncapsulatedDocument.startswith(b"%PDF")
    assert len(page.EncapsulatedDocument) - page.EncapsulatedDocumentLength in (0, 1)
    content = path.read_bytes()
    restore(model, [source], tmp_path / "out", precision="32", pdf=True)
    assert path.read_bytes() == content
    assert verify(tmp_path / "out") == (1, [])
    path.write_bytes(content[:-2] + b"xx")
    assert verify(tmp_path / "out") == (1, [f"{path} was changed"])
    restore(model, [source], tmp_path / "out", precision="32", overwrite=True)
    assert not path.exists(), "a page of images that are there no more"
    restore(model, [source], tmp_path / "out", precision="32", pdf=True)
    assert path.read_bytes() == content
    assert verify(tmp_path / "out") == (1, [])
    if shutil.which("dciodvfy"):
        assert not errors("dciodvfy", path)
    nib.save(nib.Nifti1Image(stored().astype("f4"), AFFINE), tmp_path / "x.nii")
    with pytest.raises(UserError, match="x.nii is no DICOM series"):
        restore(model, [tmp_path / "x.nii"], tmp_path / "no", pdf=True)
    assert not (tmp_path / "no").exists()
