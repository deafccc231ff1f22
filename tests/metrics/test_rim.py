import numpy as np
import pytest
from scipy import ndimage

from phantom_brain import SHAPE, brain_masks, contrast_image
from taskgan.metrics.regions import brain_csf_border, rim_ratio

RNG = np.random.default_rng(0)
MASKS = brain_masks(0, RNG)


def test_the_border_lies_between_brain_and_csf_and_holds_no_csf() -> None:
    edge = brain_csf_border(MASKS["brain"], MASKS["csf"])
    assert edge.any()
    assert not (edge & MASKS["csf"]).any()
    near = ndimage.binary_dilation(MASKS["csf"], np.ones((3, 3, 1)))
    assert (near | ~edge).all()
    # CSF on its own, far from any brain, has no border.
    assert not brain_csf_border(np.zeros(SHAPE, bool), MASKS["csf"]).any()
    assert not (brain_csf_border(MASKS["brain"], MASKS["csf"], without=edge)).any()


def test_a_bright_rim_is_found_and_measured() -> None:
    flair = contrast_image(MASKS, "T2-FLAIR", RNG, noise=0.0)
    edge = brain_csf_border(MASKS["brain"], MASKS["csf"])
    bright = flair.copy()
    bright[edge] += 50.0  # half of white matter's signal
    before, after = rim_ratio(flair, edge, MASKS["white"]), rim_ratio(bright, edge, MASKS["white"])
    assert after - before == pytest.approx(0.5, abs=1e-5)
    assert np.isnan(rim_ratio(flair, np.zeros(SHAPE, bool), MASKS["white"]))


def test_of_one_uniform_tissue_the_rim_is_one() -> None:
    edge = brain_csf_border(MASKS["brain"], MASKS["csf"])
    assert rim_ratio(np.full(SHAPE, 7.0, np.float32), edge, MASKS["white"]) == pytest.approx(1.0)
