"""A table of DICOM folders gives what a table of the same values in NIfTI gives."""

import numpy as np
import pytest

from dicom_files import PET, uid, write_series
from exported import AFFINE, SHAPE, Export, save
from taskgan.cohort.pairs import read_pairs
from taskgan.core.errors import Problems
from taskgan.images.volumes import read_sidecar, read_volume
from taskgan.prepare.mr.cohort import prepare_mr
from taskgan.prepare.mr.plan import MrPreparation

SIEMENS = {"Manufacturer": "SIEMENS", "RepetitionTime": "4350"}


@pytest.fixture
def both(tmp_path):
    """One subject: its acquisition in one DICOM folder, a contrast in another; the same as NIfTI files."""
    rng = np.random.default_rng(5)
    (tmp_path / "dicom").mkdir()
    (tmp_path / "nifti").mkdir()
    dicom, nifti = Export(tmp_path / "dicom"), Export(tmp_path / "nifti")
    number = 0
    for delay in (150, 4200):
        for echo, te in ((1, 21), (2, 95)):
            for part, letter in (("magnitude", "M"), ("phase", "P")):
                number += 1
                data = rng.integers(0, 4096, SHAPE).astype(np.uint16)
                data[0, 0, 0], data[0, 0, 1] = 0, 4095
                header = {"ImageType": ["ORIGINAL", "PRIMARY", letter, "ND"], "InversionTime": str(delay),
                          "EchoTime": str(te), **SIEMENS}  # fmt: skip
                slope, zero = (2, -4096) if part == "phase" else (1, 0)
                write_series(dicom.folder / f"new{number}", data, AFFINE, RescaleSlope=str(slope),
                             RescaleIntercept=str(zero), **header)  # fmt: skip
                (dicom.folder / "mdme").mkdir(exist_ok=True)
                for file in (dicom.folder / f"new{number}").iterdir():
                    file.rename(dicom.folder / "mdme" / f"{number}_{file.name}")
                save(nifti.folder / f"{number}.nii.gz", (data * float(slope) + zero).astype(np.float32))
                key = {"delay_ms": delay, "echo": echo, "part": part}
                dicom.add("A", "mdme", "input", **key)
                nifti.add("A", f"{number}.nii.gz", "input", **key)
    data = rng.integers(1, 900, SHAPE).astype(np.uint16)
    write_series(dicom.folder / "flair", data, AFFINE, series=2, **SIEMENS)
    save(nifti.folder / "flair.nii.gz", data.astype(np.float32))
    dicom.add("A", "flair", "target", name="T2-FLAIR")
    nifti.add("A", "flair.nii.gz", "target", name="T2-FLAIR")
    return dicom, nifti


def test_dicom_is_nifti(both, tmp_path):
    first, second = (
        read_pairs(prepare_mr(export.table(), tmp_path / f"c{number}", MrPreparation()))
        for number, export in enumerate(both)
    )
    for one, other in zip(first, second, strict=True):
        assert one.columns == other.columns
        for column in ("degraded", "clean", "delay1_echo1_real", "delay1_echo2_imag", "delay2_echo1_imag"):
            a, b = read_volume(one.path(column)), read_volume(other.path(column))
            np.testing.assert_allclose(a.data, b.data, rtol=1e-6, atol=1e-7)
            np.testing.assert_allclose(a.affine, b.affine, atol=1e-4)
        side = read_sidecar(one.path("delay1_echo2_real"))
        assert (side["EchoTime"], side["InversionTime"], side["RepetitionTime"]) == (0.095, 0.15, 4.35)
    text = "".join(p.read_text() for p in (tmp_path / "c0").rglob("*") if p.suffix in (".json", ".yaml", ".csv"))
    for secret in ("Secret", "4711", "20200102", str(tmp_path)):
        assert secret not in text


def test_frames_of_reference_decide_whether_resampling_is_allowed(both, tmp_path):
    dicom, _ = both
    moved = AFFINE.copy()
    moved[0, 3] += 1
    data = np.random.default_rng(1).integers(1, 900, SHAPE).astype(np.uint16)
    for reference in (uid(99), uid(98)):
        for file in (dicom.folder / "flair").iterdir():
            file.unlink()
        write_series(dicom.folder / "flair", data, moved, series=2, FrameOfReferenceUID=reference, **SIEMENS)
        settings = MrPreparation(resample=True)
        if reference == uid(99):
            prepare_mr(dicom.table(), tmp_path / "c", settings)
        else:
            with pytest.raises(Problems, match="have different DICOM frames of reference: register one"):
                prepare_mr(dicom.table(), tmp_path / "d", settings)


def test_times_of_the_table_are_held_against_the_header(both, tmp_path, capsys):
    dicom, _ = both
    for row in dicom.rows:
        if row["role"] == "input":
            row["te_ms"] = 22 if row["echo"] == 1 else 120
    prepare_mr(dicom.table("te_ms"), tmp_path / "c", MrPreparation())
    notes = capsys.readouterr().out
    assert "EchoTime 95 ms in its header and te_ms 120 in the table" in notes
    assert "te_ms 22 in the table" not in notes  # a nominal time


def test_swapped_delays_are_noted(both, tmp_path, capsys):
    dicom, _ = both
    files = sorted((dicom.folder / "mdme").iterdir())
    for file in files:
        name = "d150" if int(file.name.split("_")[0]) <= 4 else "d4200"
        (dicom.folder / name).mkdir(exist_ok=True)
        file.rename(dicom.folder / name / file.name)
    for row in dicom.rows:
        if row["role"] == "input":
            row["path"] = "d4200" if row["delay_ms"] == 150 else "d150"
    prepare_mr(dicom.table(), tmp_path / "c", MrPreparation())
    notes = capsys.readouterr().out
    assert "d4200 has InversionTime 4200 ms in its header and delay_ms 150 in the table" in notes
    assert "d150 has InversionTime 150 ms in its header and delay_ms 4200 in the table" in notes


def test_two_targets_of_one_dual_echo_series(both, tmp_path):
    dicom, _ = both
    dicom.rows = [row for row in dicom.rows if row["role"] == "input"]
    rng = np.random.default_rng(2)
    for number, te in enumerate(("15", "90")):
        write_series(dicom.folder / "new", rng.integers(1, 900, SHAPE).astype(np.uint16), AFFINE, series=3,
                     EchoTime=te, **SIEMENS)  # fmt: skip
        (dicom.folder / "dual").mkdir(exist_ok=True)
        for file in (dicom.folder / "new").iterdir():
            file.rename(dicom.folder / "dual" / f"{number}_{file.name}")
    dicom.add("A", "dual", "target", name="PDw", echo=1)
    dicom.add("A", "dual", "target", name="T2w", te_ms=90)
    pairs = read_pairs(prepare_mr(dicom.table("te_ms"), tmp_path / "c", MrPreparation()))
    echoes = {pair.columns["contrast"]: read_sidecar(pair.clean)["EchoTime"] for pair in pairs}
    assert echoes == {"PDw": 0.015, "T2w": 0.09}


def test_pet_is_no_t1w(both, tmp_path):
    dicom, _ = both
    for file in (dicom.folder / "flair").iterdir():
        file.unlink()
    data = np.random.default_rng(1).integers(1, 900, SHAPE).astype(np.uint16)
    write_series(dicom.folder / "flair", data, AFFINE, series=2, Modality="PT", SOPClassUID=PET)
    with pytest.raises(Problems, match="flair is PT by its DICOM header .*expected MR"):
        prepare_mr(dicom.table(), tmp_path / "c", MrPreparation())


def test_a_part_that_the_header_contradicts(both, tmp_path):
    dicom, _ = both
    for file in sorted((dicom.folder / "mdme").iterdir()):
        if not file.name.startswith("1_"):
            file.unlink()
    with pytest.raises(Problems) as caught:
        prepare_mr(dicom.table(), tmp_path / "c", MrPreparation())
    text = "\n".join(caught.value.problems)
    assert "mdme holds magnitude by its DICOM header, expected phase" in text
