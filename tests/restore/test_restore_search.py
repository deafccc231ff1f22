"""What a folder holds: links, capitals, pairs of files, data sets; what is left out is named."""

import gzip
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from small_models import AFFINE, save, volume, write
from taskgan.core.errors import UserError
from taskgan.images.volumes import read_volume
from taskgan.model.folder import read_model, write_model
from taskgan.restore.run import restore


def restored(out: Path) -> list[str]:
    return sorted(p.relative_to(out).as_posix() for p in out.rglob("*.nii.gz"))


def test_links_to_folders_are_followed_once(model: Path, tmp_path: Path) -> None:
    save(tmp_path / "store" / "a.nii.gz", volume())
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "s1").symlink_to(tmp_path / "store")
    (tmp_path / "store" / "loop").symlink_to(tmp_path / "in")
    restore(model, [tmp_path / "in"], tmp_path / "out")
    assert restored(tmp_path / "out") == ["s1/a.nii.gz"]


def test_what_is_left_out_is_named(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "in" / "a.nii.gz", volume())
    (tmp_path / "in" / "annexed.nii.gz").symlink_to(tmp_path / "nowhere.nii.gz")
    (tmp_path / "in" / "b.mgz").write_bytes(b"")
    restore(model, [tmp_path / "in"], tmp_path / "out")
    said = capsys.readouterr().out
    assert "links that lead nowhere: annexed.nii.gz" in said
    assert "of a format that is not read: b.mgz" in said


def test_capitals_and_pairs_of_files_are_read(model: Path, tmp_path: Path) -> None:
    raw = nib.Nifti1Image(volume(), AFFINE).to_bytes()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "UPPER.NII.GZ").write_bytes(gzip.compress(raw))
    (tmp_path / "in" / "PLAIN.NII").write_bytes(raw)
    nib.save(nib.Nifti1Pair(volume(), AFFINE), tmp_path / "in" / "pair.img")
    restore(model, [tmp_path / "in"], tmp_path / "out", precision="32")
    assert restored(tmp_path / "out") == ["PLAIN.nii.gz", "UPPER.nii.gz", "pair.nii.gz"]
    one, *others = (read_volume(tmp_path / "out" / name) for name in restored(tmp_path / "out"))
    for other in others:
        np.testing.assert_array_equal(one.data, other.data)
        np.testing.assert_allclose(one.affine, other.affine, atol=1e-5)


def test_a_pair_without_header_and_analyze_are_refused(model: Path, tmp_path: Path) -> None:
    nib.save(nib.Nifti1Pair(volume(), AFFINE), tmp_path / "pair.img")
    nib.save(nib.AnalyzeImage(volume(), np.diag([2, 2, 2, 1])), tmp_path / "old.img")
    (tmp_path / "pair.hdr").unlink()
    with pytest.raises(UserError, match=r"has no pair\.hdr beside it"):
        restore(model, [tmp_path / "pair.img"], tmp_path / "out")
    with pytest.raises(UserError, match=r"Analyze 7\.5, which does not say what is left and right"):
        restore(model, [tmp_path / "old.img"], tmp_path / "out")
    save(tmp_path / "a.nii.gz", volume())
    with pytest.raises(UserError, match=r"out\.img cannot be written"):
        restore(model, [tmp_path / "a.nii.gz"], tmp_path / "out.img")


def test_nifti_2_stays(model: Path, tmp_path: Path) -> None:
    image = nib.Nifti2Image(volume(), AFFINE)
    nib.save(image, tmp_path / "two.nii.gz")
    restore(model, [tmp_path / "two.nii.gz"], tmp_path / "out")
    back = nib.load(tmp_path / "out" / "two.nii.gz")
    assert isinstance(back, nib.Nifti2Image)
    np.testing.assert_array_equal(back.affine, AFFINE)


def test_of_a_bids_data_set_only_the_models_kind_is_restored(tmp_path: Path) -> None:
    model, root = write(tmp_path / "model"), tmp_path / "bids"
    for name in ("pet/sub-01_pet", "pet/sub-01_trc-fbb_desc-x_pet", "anat/sub-01_T1w", "anat/sub-01_dseg"):
        save(root / "sub-01" / f"{name}.nii.gz", volume())
    save(root / "derivatives" / "other" / "sub-01" / "sub-01_pet.nii.gz", volume())
    (root / "dataset_description.json").write_text(json.dumps({"Name": "x", "BIDSVersion": "1.10.0"}))
    out = root / "derivatives" / "taskgan"
    restore(model, [root], out)
    wanted = ["sub-01/pet/sub-01_desc-taskgan_pet.nii.gz", "sub-01/pet/sub-01_trc-fbb_desc-taskgan_pet.nii.gz"]
    assert restored(out) == wanted
    description = json.loads((out / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert description["GeneratedBy"][0]["Name"] == "taskgan"
    shutil.rmtree(root / "sub-01" / "pet")
    with pytest.raises(UserError, match="holds no _pet image"):
        restore(model, [root], tmp_path / "none")


def test_the_card_knows_the_suffix(tmp_path: Path) -> None:
    state, card = read_model(write(tmp_path / "model"))
    seen = card.seen.model_copy(update={"suffix": "T1w"})
    write_model(tmp_path / "mr", state, card.model_copy(update={"seen": seen}))
    for name in ("sub-01_T1w", "sub-01_pet"):
        save(tmp_path / "bids" / "sub-01" / f"{name}.nii.gz", volume())
    (tmp_path / "bids" / "dataset_description.json").write_text("{}")
    restore(tmp_path / "mr", [tmp_path / "bids"], tmp_path / "out")
    assert restored(tmp_path / "out") == ["sub-01/sub-01_desc-taskgan_T1w.nii.gz"]
