import numpy as np
import pytest
from scipy import ndimage

from phantom_brain import VOXEL, brain_masks, contrast_image
from taskgan.evaluate.cases import CASE_COLUMNS, OPTIONAL_COLUMNS
from taskgan.evaluate.observers import ObserverView, observe, observers
from taskgan.judges.lesions import Detector

RNG = np.random.default_rng(5)
MASKS = brain_masks(5, RNG)
CLEAN = contrast_image(MASKS, "T2-FLAIR", RNG, noise=0.02)
DETECTOR = Detector(np.array([10.0, 40.0, 10.0, 10.0]), 0.0, 4.0)
ALL = observers({"T2-FLAIR": DETECTOR})


def shown(image, masks=MASKS, condition="T2-FLAIR"):
    return observe(ALL, ObserverView(image.astype(np.float32), CLEAN, masks, VOXEL, condition))


def test_a_row_gets_what_its_masks_allow_and_no_more() -> None:
    every = shown(CLEAN)
    assert set(every) < {*CASE_COLUMNS, *OPTIONAL_COLUMNS}
    assert not any(name.startswith("suvr") for name in every)
    tissue = {name: MASKS[name] for name in ("white", "grey")}
    assert set(shown(CLEAN, tissue)) == {"grey_white", "grey_white_error"}
    assert shown(CLEAN, {"mask": MASKS["mask"]}) == {}


def test_the_clean_image_has_no_error() -> None:
    found = shown(CLEAN)
    assert {value for name, value in found.items() if name.endswith("_error")} == {0.0}
    assert found["grey_white"] == pytest.approx(1.2, rel=0.01)
    assert found["csf_white"] == pytest.approx(0.1, rel=0.05)
    assert found["lesion_white"] == pytest.approx(1.6, rel=0.02)
    assert found["lesions_true"] == found["lesions_found"] == 5
    assert found["lesions_false"] == 0


def test_blur_costs_contrast_of_tissue_and_lesions() -> None:
    found = shown(ndimage.gaussian_filter(CLEAN, (1.5, 1.5, 0)))
    assert found["lesion_white_error"] < -0.1
    assert found["grey_white_error"] < 0
    assert found["csf_white_error"] > 0.1


def test_a_bright_rim_and_a_grid_are_seen_by_their_own_observers() -> None:
    near = ndimage.binary_dilation(MASKS["csf"], np.ones((3, 3, 1))) & MASKS["brain"] & ~MASKS["lesions"]
    rim = shown(np.where(near, CLEAN + 40, CLEAN))
    assert rim["rim_error"] == pytest.approx(0.4, abs=0.05)
    wave = 4.0 * (np.arange(CLEAN.shape[0]) % 4 < 2)[:, None, None]
    assert shown(CLEAN + wave)["checkerboard_error"] > 1e-3
    assert abs(shown(CLEAN + wave)["rim_error"]) < 0.05


def test_an_unknown_condition_has_lesions_but_no_detector() -> None:
    found = shown(CLEAN, condition="T1w")
    assert found["lesions_true"] == 5
    assert "lesion_auc" not in found
    assert "lesion_white" in found
