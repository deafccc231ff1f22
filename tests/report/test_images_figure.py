from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from taskgan.page.style import axial_view, head_window
from taskgan.report.images import case_figure, load_panels
from taskgan.report.load import load_comparison


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (1, -1, 1), (-1, -1, -1)])
def test_display_is_radiological_whatever_the_files_axes(flips: tuple[int, int, int]) -> None:
    ras = np.zeros((5, 6, 3), np.float32)  # x to the patient's right, y forward, z up
    ras[4, 5, 2] = 1.0  # right, anterior, top
    stored = ras[:: flips[0], :: flips[1], :: flips[2]]
    shown = axial_view(np.ascontiguousarray(stored), np.diag([*(2.0 * f for f in flips), 1.0]))
    assert shown.shape == (6, 5, 3)
    assert np.argwhere(shown).tolist() == [[0, 0, 2]]  # first row, first column: anterior, patient's right


def test_display_follows_swapped_axes() -> None:
    data = np.zeros((3, 5, 6), np.float32)  # stored as z, x, y
    data[2, 4, 5] = 1.0
    affine = np.zeros((4, 4))
    affine[2, 0] = affine[0, 1] = affine[1, 2] = affine[3, 3] = 1.0
    assert np.argwhere(axial_view(data, affine)).tolist() == [[0, 0, 2]]


def test_the_head_box_keeps_a_margin_inside_the_image() -> None:
    image = np.zeros((40, 30), np.float32)
    image[10:20, 1:28] = 1.0
    assert head_window(image) == (slice(7, 23), slice(0, 30))
    assert head_window(np.zeros((4, 4), np.float32)) == (slice(None), slice(None))


def test_panels_are_in_suvr_of_the_clean_reference(evaluations: list[Path]) -> None:
    panels = load_panels(load_comparison(evaluations), "sub-01")
    assert panels is not None
    assert list(panels.images) == ["input", "l1", "gan", "task_gan", "clean"]
    assert panels.unit == "SUVR"
    assert len({image.shape for image in panels.images.values()}) == 1
    assert panels.aspect == pytest.approx(1.0)
    assert 1.3 < np.percentile(panels.images["clean"], 90) < 2.0


def test_panels_of_files_in_any_axes_are_the_same(evaluations: list[Path], tmp_path: Path) -> None:
    """Images and masks each in axes of their own: what is shown is radiological and the same."""
    comparison = load_comparison(evaluations)
    expected = load_panels(comparison, "sub-01")
    frame = comparison.frame
    mine = frame["case"] == "sub-01"
    axes = ["PSR", "LIP", "RAS", "SAR", "ILA", "ASL"]
    for number, (index, row) in enumerate(frame[mine].iterrows()):
        for shift, column in enumerate(("restored", "cortex", "reference")):
            image, path = nib.load(row[column]), tmp_path / f"{number}-{column}.nii.gz"
            codes = nib.orientations.axcodes2ornt(axes[(number + shift) % len(axes)])
            turn = nib.orientations.ornt_transform(nib.orientations.io_orientation(image.affine), codes)
            nib.save(image.as_reoriented(turn), path)
            frame.loc[index, column] = str(path)
    panels = load_panels(comparison, "sub-01")
    assert panels is not None
    assert expected is not None
    assert panels.unit == "SUVR"
    assert panels.aspect == pytest.approx(expected.aspect)
    for name, image in expected.images.items():
        np.testing.assert_allclose(panels.images[name], image, rtol=1e-5)


def test_a_case_is_drawn_and_one_whose_images_are_gone_is_left_out(evaluations: list[Path], tmp_path: Path) -> None:
    comparison = load_comparison(evaluations)
    panels = load_panels(comparison, "sub-02")
    assert panels is not None
    path = case_figure(comparison, panels, tmp_path / "a.png")
    with Image.open(path) as image:
        assert image.width > 800
        pixels = np.asarray(image.convert("RGB")).astype(int)
    red_or_blue = (np.abs(pixels[..., 0] - pixels[..., 2]) > 60).mean()
    assert 0.002 < red_or_blue < 0.5
    comparison.frame["clean"] = comparison.frame["restored"] = str(tmp_path / "gone.nii.gz")
    assert load_panels(comparison, "sub-02") is None
