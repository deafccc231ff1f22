"""Slices are found by the affine, and what is made of them is put back."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from small_models import save, volume, write
from taskgan.cohort.grids import resolved_axes
from taskgan.cohort.pairs import read_pairs, write_pairs
from taskgan.images.orientation import slice_axes
from taskgan.images.volumes import read_shape, read_volume
from taskgan.recipe import Data
from taskgan.restore.run import restore

LAS = np.array([[-2.0, 0.1, 0, 30], [0.1, 2.0, 0, -20], [0, 0, 2.5, 7], [0, 0, 0, 1]])


def reorient(path: Path, codes: str, target: Path) -> Path:
    image = nib.load(path)
    turn = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(image.affine), nib.orientations.axcodes2ornt(tuple(codes))
    )
    nib.save(image.as_reoriented(turn), target)
    return target


@pytest.mark.parametrize(
    ("codes", "edges", "wanted"),
    [
        ("LAS", (2, 2, 2), "LAS"),
        ("RAS", (1, 1, 6), "RAS"),
        ("PSR", (1, 1, 1), "RPS"),
        ("PIR", (1, 1, 1), "RPI"),
        ("PSR", (1, 1, 5), "PSR"),  # thick sagittal slices stay what was acquired
        ("PSR", (1, 5, 1), "RPS"),
    ],
)
def test_slices_are_axial_unless_thick_ones_were_acquired(codes: str, edges: tuple[int, ...], wanted: str) -> None:
    affine = np.eye(4)
    affine[:3, :3] = 0
    for column, (row, sign) in enumerate(nib.orientations.axcodes2ornt(tuple(codes)).astype(int)):
        affine[row, column] = sign * edges[column]
    assert slice_axes(affine) == wanted


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_affine_that_is_no_number_has_no_axes(value: float) -> None:
    affine = np.eye(4)
    affine[1, 1] = value
    assert slice_axes(affine) == ""


@pytest.mark.parametrize("codes", ["PSR", "PIR", "ASL", "RAS", "LPI"])
def test_a_file_in_other_axes_is_restored_as_the_same_image(codes: str, tmp_path: Path) -> None:
    model = write(tmp_path / "model", Data(axes="LAS"))
    source = save(tmp_path / "las.nii.gz", volume(), LAS)
    turned = reorient(source, codes, tmp_path / f"{codes}.nii.gz")
    restore(model, [source, turned], tmp_path / "out", precision="32")
    back = nib.load(tmp_path / "out" / f"{codes}.nii.gz")
    assert "".join(nib.aff2axcodes(back.affine)) == codes
    np.testing.assert_allclose(back.affine, nib.load(turned).affine, atol=1e-4)
    again = reorient(tmp_path / "out" / f"{codes}.nii.gz", "LAS", tmp_path / "again.nii.gz")
    np.testing.assert_array_equal(read_volume(again).data, read_volume(tmp_path / "out" / "las.nii.gz").data)


def test_reading_in_axes_has_shape_and_affine_of_its_header(tmp_path: Path) -> None:
    source = save(tmp_path / "las.nii.gz", volume(), LAS)
    turned = reorient(source, "PSR", tmp_path / "psr.nii.gz")
    one, other = read_volume(source), read_volume(turned, axes="LAS")
    np.testing.assert_array_equal(one.data, other.data)
    np.testing.assert_allclose(one.affine, other.affine, atol=1e-4)
    shape, affine = read_shape(turned, "LAS")
    assert shape == other.data.shape
    np.testing.assert_allclose(affine, other.affine)
    assert other.axes == "LAS"


def test_the_first_training_image_decides_for_a_mixed_cohort(tmp_path: Path) -> None:
    source = save(tmp_path / "a.nii.gz", volume(), np.diag([2.0, 2.0, 2.0, 1.0]))
    reorient(source, "PSR", tmp_path / "b.nii.gz")
    rows = [
        {"case": n, "subject": n, "split": s, "degraded": f"{n}.nii.gz", "clean": f"{n}.nii.gz", "label": 0}
        for n, s in (("a", "test"), ("b", "train"))
    ]
    write_pairs(tmp_path / "pairs.csv", rows)
    assert resolved_axes(Data(), read_pairs(tmp_path)).axes == "RPS"
    assert resolved_axes(Data(axes="RAS"), read_pairs(tmp_path)).axes == "RAS"


def test_series_of_one_folder_record_their_axes(tmp_path: Path) -> None:
    """They are read nearest to RAS, whatever they were acquired in; a NIfTI file in other axes is turned to that."""
    dicom = pytest.importorskip("dicom_files")
    sagittal = np.array([[0, 0, 2.0, 0], [2.0, 0, 0, 0], [0, -2.0, 0, 0], [0, 0, 0, 1]])
    stored = np.arange(4 * 6 * 8, dtype=np.uint16).reshape(4, 6, 8)
    for number in (1, 2):
        dicom.write_series(tmp_path / "dicom", stored, sagittal, series=number)
    rows = [{"case": "a", "subject": "a", "split": "train", "degraded": "dicom", "degraded_series": "1", "label": 0}]
    write_pairs(tmp_path / "pairs.csv", rows)
    assert resolved_axes(Data(), read_pairs(tmp_path, ("case", "subject", "degraded"))).axes == "RAS"


def test_zero_slices_stay_zero(tmp_path: Path) -> None:
    model = write(tmp_path / "model")
    image = volume()
    image[:, :, -1] = 0
    source = save(tmp_path / "pet.nii.gz", image, LAS)
    restore(model, [source], tmp_path / "out")
    restored = read_volume(tmp_path / "out" / "pet.nii.gz").data
    assert not restored[:, :, -1].any()
    assert restored[:, :, :-1].any(axis=(0, 1)).all()
    restore(model, [source], tmp_path / "drawn", samples=2)
    for name in ("pet.nii.gz", "pet_sd.nii.gz"):
        assert not read_volume(tmp_path / "drawn" / name).data[:, :, -1].any()
