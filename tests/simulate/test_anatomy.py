from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from taskgan.core.errors import UserError
from taskgan.simulate.anatomy import (
    CSF,
    FAT,
    GREY,
    SKULL,
    SOFT,
    VESSELS,
    WHITE,
    brainweb_anatomy,
    brainweb_files,
    mni_anatomy,
)

SHARED = Path(__file__).parents[3] / "shared" / "data" / "brainweb"


def _volumes(anatomy):
    voxel = abs(np.linalg.det(anatomy.affine[:3, :3])) / 1000.0
    return anatomy.maps.sum(axis=(1, 2, 3), dtype=np.float64) * voxel


def test_mni_head_has_plausible_volumes(mni):
    volumes = _volumes(mni)
    assert 800 < volumes[GREY] < 1200
    assert 500 < volumes[WHITE] < 800
    assert 200 < volumes[CSF] < 600
    assert 500 < volumes[SKULL] < 1200
    assert 500 < volumes[SOFT] < 1200


def test_mni_fractions_are_fractions(mni):
    assert mni.maps.min() >= 0
    assert mni.maps.sum(axis=0).max() <= 1 + 1e-5


def test_mni_shells_are_in_order_from_the_brain_outwards(mni):
    """Along a ray from the middle of the brain to the left: brain, then skull, then scalp, then air."""
    middle = np.linalg.inv(mni.affine) @ [0.0, -20.0, 20.0, 1.0]
    x, y, z = np.round(middle[:3]).astype(int)
    ray = mni.maps[:, : x + 1, y, z][:, ::-1]
    tissue = np.where(ray.sum(axis=0) > 0.5, ray.argmax(axis=0), -1)
    last_brain = np.flatnonzero((tissue == GREY) | (tissue == WHITE)).max()
    skull, scalp = np.flatnonzero(tissue == SKULL), np.flatnonzero(tissue == SOFT)
    assert last_brain < skull.min() <= skull.max() < scalp.min()
    assert tissue[scalp.max() + 1] == -1
    assert 5 <= len(skull) * 2 <= 10


def test_detailed_mni_head_has_marrow_in_its_skull_and_fat_under_its_skin(mni):
    detailed = mni_anatomy(2.0, detailed=True)
    np.testing.assert_array_equal(detailed.maps[:CSF], mni.maps[:CSF])
    np.testing.assert_allclose(detailed.maps.sum(axis=0), mni.maps.sum(axis=0), atol=0.3)  # skin ends 1 mm later
    middle = np.linalg.inv(mni.affine) @ [0.0, -20.0, 20.0, 1.0]
    x, y, z = np.round(middle[:3]).astype(int)
    ray = detailed.maps[:, : x + 1, y, z][:, ::-1]
    depth = {t: (ray[t] * np.arange(x + 1)).sum() / ray[t].sum() for t in (SKULL, FAT, SOFT)}
    assert depth[SKULL] < depth[FAT] < depth[SOFT]
    marrow = ray[FAT] * (np.arange(x + 1) < np.flatnonzero(ray[SKULL] > 0.3).max())
    assert marrow.max() > 0.4
    assert not detailed.maps[VESSELS].any()


def test_mni_box_holds_the_whole_head(mni):
    total = mni.maps.sum(axis=0)
    for axis in range(3):
        ends = np.take(total, [0, -1], axis=axis)
        assert ends.max() == 0


def _labels(path, shape=(24, 24, 24), value=None):
    labels = np.zeros(shape, dtype=np.uint8)
    labels[4:20, 4:20, 4:20] = 7
    labels[6:18, 6:18, 6:18] = 2
    labels[9:15, 9:15, 9:15] = 3
    if value is not None:
        labels[0, 0, 0] = value
    nib.save(nib.Nifti1Image(labels, np.diag([0.5, 0.5, 0.5, 1.0])), path)
    return path


def test_brainweb_blocks_keep_volume_and_place(tmp_path):
    anatomy = brainweb_anatomy(_labels(tmp_path / "subject99_tissue.nii.gz"))
    volumes = _volumes(anatomy)
    assert anatomy.name == "brainweb-subject99"
    assert volumes[WHITE] == pytest.approx(6**3 / 8 / 1000)
    assert volumes[GREY] == pytest.approx((12**3 - 6**3) / 8 / 1000)
    assert volumes[SKULL] == pytest.approx((16**3 - 12**3) / 8 / 1000)
    assert ((anatomy.maps > 0) & (anatomy.maps < 1)).any()
    # The centre of the white cube stays where it was.
    index = np.argwhere(anatomy.maps[WHITE] > 0)
    weight = anatomy.maps[WHITE][tuple(index.T)]
    centre = anatomy.affine[:3, :3] @ ((index * weight[:, None]).sum(0) / weight.sum()) + anatomy.affine[:3, 3]
    np.testing.assert_allclose(centre, 11.5 * 0.5, atol=1e-5)


def test_brainweb_errors_name_the_file(tmp_path):
    with pytest.raises(UserError, match="nowhere does not exist"):
        brainweb_files(tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds no file named"):
        brainweb_files(tmp_path)
    bad = _labels(tmp_path / "bad_tissue.nii.gz", value=77)
    with pytest.raises(UserError, match=r"bad_tissue.nii.gz does not hold BrainWeb"):
        brainweb_anatomy(bad)
    (tmp_path / "worse_tissue.nii").write_bytes(b"no")
    with pytest.raises(UserError, match="cannot be read"):
        brainweb_anatomy(tmp_path / "worse_tissue.nii")
    assert [p.name for p in brainweb_files(tmp_path)] == ["bad_tissue.nii.gz", "worse_tissue.nii"]


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data/brainweb is absent")
def test_real_brainweb_head():
    anatomy = brainweb_anatomy(brainweb_files(SHARED)[0], 4.0)
    volumes = _volumes(anatomy)
    assert 700 < volumes[GREY] < 1300
    assert 400 < volumes[WHITE] < 900
    brain = np.argwhere(anatomy.maps[[GREY, WHITE]].sum(axis=0) > 0.5).mean(axis=0)
    np.testing.assert_allclose(anatomy.affine[:3, :3] @ brain + anatomy.affine[:3, 3], [0, -18, 10], atol=8)


def test_a_head_without_voxels_or_directions_is_a_sentence(tmp_path):
    for shape, affine in (((0, 4, 4), np.eye(4)), ((4, 4, 4), np.diag([1.0, 1, 0, 1]))):
        image = nib.Nifti1Image(np.zeros(shape, np.uint8), None)
        image.header.set_sform(affine, code=1)
        (tmp_path / "a_tissue.nii").write_bytes(image.to_bytes())
        with pytest.raises(UserError, match="a_tissue.nii"):
            brainweb_anatomy(tmp_path / "a_tissue.nii")
