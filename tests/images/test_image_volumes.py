import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from taskgan.cohort.slices import to_slices, to_volume, with_neighbours
from taskgan.core.errors import UserError
from taskgan.images.intensity import fit_intensity
from taskgan.images.volumes import read_shape, read_sidecar, read_volume, stem, write_volume
from taskgan.recipe import IntensityTransform

AFFINE = np.array([[-2.0, 0, 0, 90], [0, 2, 0.1, -120], [0, -0.1, 3, -70], [0, 0, 0, 1]])


def test_what_is_written_reads_back_with_affine_and_sidecar(tmp_path: Path) -> None:
    data = np.random.default_rng(0).normal(size=(5, 6, 7)).astype(np.float32)
    path = tmp_path / "sub-1_pet.nii.gz"
    write_volume(path, data, AFFINE, side={"Units": "Bq/mL"})
    back = read_volume(path)
    np.testing.assert_array_equal(back.data, data)
    np.testing.assert_allclose(back.affine, AFFINE, atol=1e-6)
    assert back.voxel_size == pytest.approx((2.0, 2.0025, 3.0017), abs=1e-3)
    assert read_sidecar(path) == {"Units": "Bq/mL"}
    assert stem(path) == "sub-1_pet"
    assert read_shape(path)[0] == (5, 6, 7)


def test_same_values_same_bytes(tmp_path: Path) -> None:
    data = np.ones((4, 4, 4), np.float32)
    write_volume(tmp_path / "a.nii.gz", data, AFFINE)
    write_volume(tmp_path / "b.nii.gz", data, AFFINE)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_scaled_integers_come_in_their_units_and_go_out_unscaled(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.arange(8, dtype=np.int16).reshape(2, 2, 2), AFFINE)
    image.header.set_slope_inter(0.5, 10)
    nib.save(image, tmp_path / "scaled.nii")
    read = read_volume(tmp_path / "scaled.nii")
    write_volume(tmp_path / "out.nii.gz", read.data, read.affine, like=read.header)
    again = read_volume(tmp_path / "out.nii.gz")
    np.testing.assert_allclose(again.data, read.data)
    assert read.data.min() != 0
    assert again.header.get_data_dtype() == np.float32


def bad_files(folder: Path) -> dict[str, tuple[Path, str]]:
    nan = np.zeros((3, 3, 3), np.float32)
    nan[0, 0, :2] = np.nan
    write_volume(folder / "nan.nii.gz", nan, AFFINE)
    write_volume(folder / "whole.nii.gz", np.random.default_rng(0).random((20, 20, 20)), AFFINE)
    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3, 2), np.float32), AFFINE), folder / "four.nii.gz")
    (folder / "text.nii").write_text("not an image")
    (folder / "short.nii.gz").write_bytes((folder / "whole.nii.gz").read_bytes()[:2000])
    (folder / "gz.nii.gz").write_bytes(gzip.compress(b"nothing"))
    (folder / "image.gif").write_bytes(b"")
    return {
        "nan": (folder / "nan.nii.gz", "2 NaN or infinite voxels"),
        "four": (folder / "four.nii.gz", "3×3×3×2, expected a 3D volume"),
        "text": (folder / "text.nii", "cannot be read as NIfTI"),
        "short": (folder / "short.nii.gz", "cannot be read as NIfTI"),
        "gz": (folder / "gz.nii.gz", "cannot be read as NIfTI"),
        "gif": (folder / "image.gif", "image.gif cannot be read as PNG, JPEG, TIFF, BMP, WebP or GIF"),
        "absent": (folder / "absent.nii.gz", "does not exist"),
    }


@pytest.mark.parametrize("name", ["nan", "four", "text", "short", "gz", "gif", "absent"])
def test_what_is_no_volume_is_one_sentence_that_names_it(tmp_path: Path, name: str) -> None:
    path, expected = bad_files(tmp_path)[name]
    with pytest.raises(UserError, match=expected) as caught:
        read_volume(path)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=3, max_dims=3, max_side=5), elements=st.floats(0, 9, width=32)))
def test_slices_and_back(volume: np.ndarray) -> None:
    np.testing.assert_array_equal(to_volume(to_slices(volume)), volume)


@given(st.integers(1, 6), st.integers(0, 2), st.integers(1, 3), st.data())
def test_neighbours_centre_first_and_ends_repeated(slices: int, n: int, inputs: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, slices - 1))
    stack = np.arange(slices * inputs, dtype=np.float32).reshape(slices, inputs, 1, 1)
    picked = with_neighbours(stack, index, n)
    assert picked.shape == (inputs * (2 * n + 1), 1, 1)
    np.testing.assert_array_equal(picked[:inputs], stack[index])
    assert set(picked.ravel()) <= set(stack.ravel())


@given(st.sampled_from(["mean_nonzero", "mean_foreground", "percentile"]), st.floats(0.01, 1e4))
def test_the_transform_follows_the_images_scale_and_inverts(kind: str, factor: float) -> None:
    image = np.random.default_rng(1).gamma(2, size=(6, 6, 6)).astype(np.float32)
    image[:2] = 0
    transform = IntensityTransform.model_validate({"kind": kind})
    one, scaled = fit_intensity(transform, image), fit_intensity(transform, image * np.float32(factor))
    assert scaled.scale == pytest.approx(one.scale * factor, rel=1e-4)
    np.testing.assert_allclose(one.invert(one.apply(image)), image, rtol=1e-5)


def test_an_empty_image_cannot_be_scaled() -> None:
    with pytest.raises(UserError, match=r"x\.nii has no positive values"):
        fit_intensity(IntensityTransform(), np.zeros((3, 3, 3), np.float32), "x.nii")


@pytest.mark.parametrize(
    ("offset", "value", "expected"),
    [
        (70, np.int16(9999), "data code 9999"),
        (42, np.int16(-5), "cannot be read"),
        (280, np.float32(np.nan), "affine with NaN"),
    ],
)
def test_a_damaged_header_is_one_sentence_and_no_noise(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], offset: int, value: np.generic, expected: str
) -> None:
    path = tmp_path / "x.nii"
    image = nib.Nifti1Image(np.ones((4, 4, 2), np.float32), np.diag([2.0, 2, 2, 1]))
    image.set_sform(image.affine, code="scanner")
    nib.save(image, path)
    raw = bytearray(path.read_bytes())
    raw[offset : offset + value.nbytes] = value.tobytes()
    path.write_bytes(raw)
    with pytest.raises(UserError, match=expected) as caught:
        read_volume(path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", [np.complex64, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])])
def test_voxels_that_are_no_real_numbers_are_refused(tmp_path: Path, kind: object) -> None:
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 2), kind), np.eye(4)), tmp_path / "x.nii")
    with pytest.raises(UserError, match="expected real numbers"):
        read_volume(tmp_path / "x.nii")


def test_values_beyond_float32_are_refused_without_a_warning(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.full((2, 2, 2), 1e300), np.eye(4)), tmp_path / "x.nii")
    with pytest.raises(UserError, match="8 NaN or infinite"):
        read_volume(tmp_path / "x.nii")
