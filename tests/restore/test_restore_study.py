"""Enhanced PET written back as classic PET; which series of a study are restored; series that are evaluated."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from dicom_files import uid, write_pet, write_series
from enhanced_pet import write_enhanced_pet
from fake_cohort import StubReader
from taskgan.core.errors import Failed, UserError
from taskgan.core.tables import read_table
from taskgan.evaluate.run import evaluate
from taskgan.images.dicom.series import SeriesFilter, find_series
from taskgan.images.dicom.suv import suv_factor
from taskgan.images.volumes import read_volume
from taskgan.model.restorer import Restorer
from taskgan.restore.run import restore

AFFINE = np.array([[-2.0, 0, 0, 30], [0, -2.0, 0, 40], [0, 0, 2.5, 7], [0, 0, 0, 1]])


def stored(seed: int = 0, shape: tuple[int, ...] = (17, 14, 5)) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2.0, 900, shape).clip(1, 4095).astype(np.uint16)


def slices(folder: Path) -> list[Any]:
    return sorted((pydicom.dcmread(p) for p in folder.iterdir()), key=lambda d: float(d.ImagePositionPatient[2]))


def test_enhanced_pet_becomes_classic_pet(model: Path, tmp_path: Path) -> None:
    source = write_enhanced_pet(tmp_path / "pt.dcm", stored(), AFFINE)
    before = read_volume(source)
    np.testing.assert_allclose(before.data.max(), (stored() * (0.5 + 0.1 * np.arange(5))).max(), rtol=1e-6)
    restore(model, [source], tmp_path / "out", precision="32", suv=True)
    derived = slices(tmp_path / "out" / "pt.dcm")
    image = Restorer.from_folder(model, precision="32").restore_volume(before.data).image
    after = read_volume(tmp_path / "out" / "pt.dcm")
    np.testing.assert_allclose(after.affine, before.affine, atol=1e-6)
    np.testing.assert_allclose(after.data, image, atol=max(float(d.RescaleSlope) for d in derived) / 2 * 1.001)
    first = derived[0]
    assert first.SOPClassUID == "1.2.840.10008.5.1.4.1.1.128"
    assert (first.Units, first.DecayCorrection, list(first.CorrectedImage)) == (
        "BQML",
        "START",
        ["DECY", "ATTN", "SCAT"],
    )
    assert (first.SeriesTime, first.AcquisitionTime, first.ActualFrameDuration) == ("114500", "114500", 600000)
    assert (float(first.FrameReferenceTime), float(first.DecayFactor), first.NumberOfSlices) == (300000, 1.02, 5)
    assert [d.ImageIndex for d in derived] == [d.InstanceNumber for d in derived] == [1, 2, 3, 4, 5]
    assert not {"DecayCorrected", "PerFrameFunctionalGroupsSequence", "NumberOfFrames"} & set(first.dir())
    factors = [suv_factor(find_series(p, SeriesFilter())) for p in (source, tmp_path / "out" / "pt.dcm")]
    classic = write_pet(tmp_path / "classic", stored(), AFFINE)
    assert factors[0] == factors[1] == pytest.approx(suv_factor(find_series(classic, SeriesFilter())))


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"unit": "mm2/s"}, r"has MeasurementUnitsCodeSequence 'mm2/s', expected one of Bq/ml"),
        (
            {"DecayCorrectionDateTime": "20200102090000"},
            "has DecayCorrectionDateTime '20200102090000', expected the time",
        ),
    ],
)
def test_what_classic_pet_cannot_say_is_refused_by_name(
    model: Path, tmp_path: Path, header: dict[str, Any], words: str
) -> None:
    source = write_enhanced_pet(tmp_path / "pt.dcm", stored(), AFFINE, **header)
    with pytest.raises(UserError, match=words):
        restore(model, [source], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_decay_correction_to_injection_and_none(model: Path, tmp_path: Path) -> None:
    for name, header, expected in (
        ("admin", {"DecayCorrectionDateTime": "20200102101500"}, "ADMIN"),
        ("none", {"DecayCorrected": "NO"}, "NONE"),
    ):
        source = write_enhanced_pet(tmp_path / name / "pt.dcm", stored(), AFFINE, **header)
        restore(model, [source], tmp_path / "out" / name, precision="32")
        first = slices(tmp_path / "out" / name / "pt.dcm")[0]
        assert (first.DecayCorrection, first.SeriesTime) == (expected, "114000")


def test_series_of_a_study_are_picked(model: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    write_pet(study / "a", stored(1), AFFINE, series=3, SeriesDescription="PET AC low")
    write_pet(study / "b", stored(2), AFFINE, series=4, SeriesDescription="PET NAC")
    ct = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "Modality": "CT", "StudyInstanceUID": uid(1, 1)}
    write_series(study / "c", stored(), AFFINE, series=2, **ct)
    for number, (selectors, names) in enumerate(
        ((["PT"], {"a", "b"}), (["*ac low"], {"a"}), (["4"], {"b"}), ([uid(3), "pet nac"], {"a", "b"}))
    ):
        out = tmp_path / f"out{number}"
        restore(model, [study], out, precision="32", series=selectors)
        assert {path.name for path in out.iterdir() if path.is_dir()} == names
    with pytest.raises(UserError, match=r"holds no series MR or 9; it holds .*3 PT 'PET AC low'"):
        restore(model, [study], tmp_path / "no", series=["MR", "9"])
    with pytest.raises(Failed, match="1 of 3 images are left out"):  # all of it: the CT is named
        restore(model, [study], tmp_path / "all", precision="32")
    (study / "pairs.csv").write_text("case,degraded\nx,a\n")
    with pytest.raises(UserError, match=r"a is no series of a DICOM folder: --series picks"):
        restore(model, [study], tmp_path / "no", series=["PT"])


def test_restored_series_are_evaluated(model: Path, tmp_path: Path) -> None:
    cohort = tmp_path / "cohort"
    lines = ["case,subject,split,degraded,clean,label"]
    for number in range(3):
        for kind, seed in (("low", 10 + number), ("full", 20 + number)):
            write_pet(cohort / f"s{number}" / kind, stored(seed, (16, 16, 4)), AFFINE, series=seed)
        lines.append(f"c{number},p{number},test,s{number}/low,s{number}/full,{number % 2}")
    (cohort / "pairs.csv").write_text("\n".join(lines) + "\n")
    restore(model, [cohort], tmp_path / "restored", precision="32")
    readers = {"task": StubReader(), "judge": StubReader(1.55, 5.0)}
    out = evaluate(tmp_path / "restored", cohort, tmp_path / "evaluation", readers=readers)
    rows = read_table(out / "cases.csv", ("case", "psnr"))
    assert {row["case"] for _, row in rows} == {"c0", "c1", "c2"}
    clean, own = (read_volume(p).data for p in (cohort / "s0" / "full", tmp_path / "restored" / "c0"))
    (psnr,) = {float(row["psnr"]) for _, row in rows if row["case"] == "c0" and row["method"] == "gan"}
    assert psnr == pytest.approx(10 * np.log10(np.ptp(clean) ** 2 / np.mean((own - clean) ** 2)), abs=0.1)


def test_restored_enhanced_pet_has_no_errors_of_its_mapping(model: Path, tmp_path: Path) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (dicom3tools) is not installed")
    source = write_enhanced_pet(tmp_path / "pt.dcm", stored(), AFFINE)
    restore(model, [source], tmp_path / "out", precision="32")
    file = next((tmp_path / "out" / "pt.dcm").iterdir())
    run = subprocess.run(["dciodvfy", file], capture_output=True, text=True, errors="replace", check=False)
    said = [line for line in (run.stdout + run.stderr).splitlines() if line.startswith("Error")]
    # The made-up file lacks what a patient and a drug have besides; what was mapped is right.
    mapped = (
        *("Units", "DecayCorrection", "CorrectedImage", "SeriesType", "CountsSource", "NumberOfSlices", "ImageIndex"),
        *("FrameReferenceTime", "ActualFrameDuration", "DecayFactor", "ImageType", "Collimator", "SUVType"),
    )
    assert not [line for line in said if any(name in line for name in mapped)]
