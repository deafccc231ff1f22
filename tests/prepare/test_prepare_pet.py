"""A centre's exports as a cohort: tables as spreadsheets write them, data sets, frames, units; made by code."""

import json
import math
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from small_models import AFFINE, save
from taskgan.cohort.pairs import read_pairs
from taskgan.core.errors import Failed, LeftOut, Problems, UserError
from taskgan.core.files import read_yaml
from taskgan.images.volumes import read_sidecar, read_volume
from taskgan.prepare.pet.cohort import prepare_pet
from taskgan.prepare.pet.load import lower_dose, measured_noise, suv_factor
from taskgan.prepare.pet.rows import PetPreparation

SHAPE = (26, 22, 8)


def scan(seed: int, noise: float = 0.05) -> np.ndarray:
    rng = np.random.default_rng(seed)
    body = np.zeros(SHAPE)
    body[4:22, 4:18] = 1 + 20 * np.abs(ndimage.gaussian_filter(rng.normal(size=SHAPE), 3))[4:22, 4:18]
    return (1000 * body * np.clip(1 + noise * rng.normal(size=SHAPE), 0, None)).astype(np.float32)


def export(folder: Path, count: int = 6, header: str = "subject;low;standard;label") -> Path:
    """``low/`` and ``standard/``, and a table as Excel writes it: semicolons, BOM, CRLF, empty rows, ``1.0``."""
    lines = [header]
    for k in range(count):
        rng = np.random.default_rng(90 + k)
        full = scan(k)
        save(folder / "standard" / f"{k:02d}.nii.gz", full)
        save(
            folder / "low" / f"{k:02d}.nii.gz", (full * np.clip(1 + 0.3 * rng.normal(size=SHAPE), 0, None)).astype("f4")
        )
        lines.append(f"{k:02d};low/{k:02d}.nii.gz;standard/{k:02d}.nii.gz;{k % 2}.0")
    table = folder / "scans.csv"
    table.write_bytes("\r\n".join([*lines, ";;;", ""]).encode("utf-8-sig"))
    return table


def test_a_table_of_a_spreadsheet_becomes_a_cohort(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = export(tmp_path)
    out = prepare_pet(table, tmp_path / "cohort")
    pairs = read_pairs(out)
    assert [pair.subject for pair in pairs] == [f"{k:02d}" for k in range(6)], "leading zeros stay"
    assert {pair.split for pair in pairs} == {"train", "val", "test"}
    assert [pair.label for pair in pairs] == [0, 1] * 3
    first = pairs.rows[0]
    assert first.clean is not None
    assert first.degraded.name == "sub-00_rec-low_pet.nii.gz"
    np.testing.assert_array_equal(read_volume(first.clean).data, scan(0))
    assert "warning" not in capsys.readouterr().out
    prepare_pet(table, out)
    assert "already done" in capsys.readouterr().out


def test_what_is_wrong_in_a_table_is_named(tmp_path: Path) -> None:
    table = export(tmp_path, header="Subject;low;standard;label")
    with pytest.raises(UserError, match="Subject must be written subject"):
        prepare_pet(table, tmp_path / "cohort")
    text = export(tmp_path).read_text("utf-8-sig")
    table.write_text(text.replace("\n03;", "\n02;"))
    with pytest.raises(Problems, match=r"row 5 \(02\) lists the subject 02 again, after row 4"):
        prepare_pet(table, tmp_path / "cohort")
    table.write_text(text.replace("low;", "few;", 1))
    with pytest.raises(UserError, match="--simulate-dose 1 to make them"):
        prepare_pet(table, tmp_path / "cohort")
    assert not (tmp_path / "cohort").exists()


def test_a_broken_scan_is_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = export(tmp_path, 8)
    (tmp_path / "low" / "03.nii.gz").write_bytes(b"no image")
    nan = scan(4)
    nan[0, 0, 0] = np.nan
    save(tmp_path / "standard" / "04.nii.gz", nan)
    with pytest.raises(
        Failed, match=r"(?s)2 of 8 scans are left out; .* --skip: 2 problems.* 03: .* 04: .*--zero-nan makes them 0"
    ):
        prepare_pet(table, tmp_path / "cohort")
    with pytest.raises(LeftOut, match=r"(?s)cohort was made without 2 of its inputs: .*1 NaN or infinite voxels"):
        prepare_pet(table, tmp_path / "cohort")
    assert "already done" in capsys.readouterr().out
    assert len(read_pairs(tmp_path / "cohort")) == 6
    skipping = PetPreparation(skip=("03",), zero_nan=True)
    prepare_pet(table, tmp_path / "cohort", skipping, overwrite=True)
    assert len(read_pairs(tmp_path / "cohort")) == 7
    with pytest.raises(UserError, match="no subject or case 99 to skip"):
        prepare_pet(table, tmp_path / "other", PetPreparation(skip=("99",)))


def test_units_and_swapped_files_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = export(tmp_path)
    save(tmp_path / "standard" / "02.nii.gz", scan(2) / 100)
    save(tmp_path / "standard" / "04.nii.gz", scan(5))
    save(tmp_path / "standard" / "05.nii.gz", scan(4))
    prepare_pet(table, tmp_path / "cohort")
    said = capsys.readouterr().out
    assert "but not of 02 (0.0" in said
    assert "case 04 resembles the clean one of case 05" in said
    assert len(read_yaml(tmp_path / "cohort" / "cohort.yaml")["notes"]) == 3


def test_grids_may_differ_by_axes_by_a_tolerance_or_be_resampled(tmp_path: Path) -> None:
    table = export(tmp_path, 12)
    image = nib.load(tmp_path / "low" / "00.nii.gz")
    turn = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(image.affine), nib.orientations.axcodes2ornt("PSR")
    )
    nib.save(image.as_reoriented(turn), tmp_path / "low" / "00.nii.gz")
    off = AFFINE.copy()
    off[0, 3] += 0.02
    save(tmp_path / "low" / "01.nii.gz", scan(1), off)
    save(tmp_path / "low" / "02.nii.gz", scan(2)[:-2])
    with pytest.raises(Failed, match=r"(?s)2 of 12 scans are left out.* 01: .* 02: "):
        prepare_pet(table, tmp_path / "a")
    with pytest.raises(Failed, match=r"(?s)1 of 12 scans are left out.* 02: "):
        prepare_pet(table, tmp_path / "b", PetPreparation(tolerance=0.05))
    pairs = read_pairs(prepare_pet(table, tmp_path / "c", PetPreparation(resample=True)))
    assert all(read_volume(pair.degraded).data.shape == SHAPE for pair in pairs)


def test_frames_are_cases_or_one_or_their_mean(tmp_path: Path) -> None:
    table = export(tmp_path, 3, header="subject;low;standard;kind")
    for folder in ("low", "standard"):
        for k in range(3):
            frames = np.stack([scan(k), 3 * scan(k)], axis=3)
            save(tmp_path / folder / f"{k:02d}.nii.gz", frames)
    every = read_pairs(prepare_pet(table, tmp_path / "every"), ())
    assert [pair.case for pair in every][:2] == ["00_desc-frame00", "00_desc-frame01"]
    for settings, factor in ((PetPreparation(frame=1), 3), (PetPreparation(mean=True), 2)):
        out = prepare_pet(table, tmp_path / f"x{factor}", settings)
        np.testing.assert_allclose(read_volume(read_pairs(out, ()).rows[0].degraded).data, factor * scan(0), rtol=1e-6)


def test_a_bids_data_set_with_sessions_labels_and_inherited_sidecars(tmp_path: Path) -> None:
    root = tmp_path / "bids"
    lines = ["participant_id\tamyloid"]
    for k in range(3):
        for session in ("1", "2"):
            folder = root / f"sub-{k:02d}" / f"ses-{session}" / "pet"
            for rec in ("dose01", "full"):
                save(folder / f"sub-{k:02d}_ses-{session}_rec-{rec}_pet.nii.gz", scan(k))
        lines.append(f"sub-{k:02d}\t1")
    (root / "participants.tsv").write_text("\n".join(lines) + "\n")
    (root / "dataset_description.json").write_text("{}")
    (root / "pet.json").write_text(json.dumps({"TracerName": "FBB", "Units": "Bq/mL", "PatientName": "secret"}))
    (root / "sub-00" / "sub-00_rec-full_pet.json").write_text(json.dumps({"TracerName": "FDG"}))
    out = prepare_pet(root, tmp_path / "cohort", PetPreparation(low="rec-dose01", label="amyloid"))
    pairs = read_pairs(out)
    assert [pair.case for pair in pairs][:2] == ["00_ses-1", "00_ses-2"]
    assert {pair.label for pair in pairs} == {1.0}
    first = pairs.rows[0]
    assert first.clean is not None
    assert read_sidecar(first.clean) == {"TracerName": "FDG", "Units": "Bq/mL"}
    assert read_sidecar(first.degraded) == {"TracerName": "FBB", "Units": "Bq/mL"}
    with pytest.raises(Problems, match=r"has 2 standard images .*expected one \(--standard TEXT\)"):
        prepare_pet(root, tmp_path / "x", PetPreparation(simulate_dose=1))


def test_suv_is_by_weight_and_decayed_dose() -> None:
    side: dict[str, Any] = {"Units": "Bq/mL", "InjectedRadioactivity": 300, "InjectedRadioactivityUnits": "MBq"}
    side |= {"TracerRadionuclide": "F18", "ImageDecayCorrected": True, "InjectionStart": 0}
    assert suv_factor(side | {"ImageDecayCorrectionTime": 0}, {"weight": "75"}, "x") == pytest.approx(75000 / 300e6)
    later = suv_factor(side | {"ImageDecayCorrectionTime": 6586.2}, {"weight": "75"}, "x")
    assert later == pytest.approx(2 * 75000 / 300e6)
    with pytest.raises(UserError, match=r"x lacks a weight in kg \(column weight\)"):
        suv_factor(side, {}, "x")


def test_simulated_low_dose_is_noisier_unbiased_and_zero_where_nothing_is(tmp_path: Path) -> None:
    table = export(tmp_path)
    out = prepare_pet(table, tmp_path / "cohort", PetPreparation(simulate_dose=25))
    pair = read_pairs(out).rows[0]
    low, full = read_volume(pair.degraded).data, scan(0)
    assert not low[full == 0].any()
    assert low.mean() == pytest.approx(full.mean(), rel=0.06)
    before, after = (measured_noise(image)[0] for image in (full, low))
    assert 1.5 < after / before < 2.5, "the square root of 4"
    assert "approximation" in read_sidecar(pair.degraded)["DoseReduction"]
    assert "approximation" in (out / "README").read_text()


def test_the_reach_of_noise_is_measured() -> None:
    rng = np.random.default_rng(3)
    for reach in (0.6, 1.2):
        white = ndimage.gaussian_filter(rng.normal(size=(60, 60, 20)), reach)
        image = (1 + 0.1 * white / white.std()).astype(np.float32)
        size, measured = measured_noise(image)
        assert measured == pytest.approx(reach, rel=0.15)
        assert size == pytest.approx(0.1, rel=0.15)
    flat = np.ones((30, 30, 10), np.float32)
    with pytest.raises(UserError, match="no noise that can be measured"):
        lower_dose(flat, 1, rng)
    assert math.isfinite(float(lower_dose(image, 1, rng).sum()))
