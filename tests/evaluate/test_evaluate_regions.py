import numpy as np
import pytest

from taskgan.evaluate.regions import ratio


def test_the_ratio_of_means_and_nothing_of_the_scale() -> None:
    image = np.array([[[1.0, 3.0, 8.0, 4.0]]], np.float32)
    region, reference = (np.array([[row]], dtype=bool) for row in ([1, 1, 0, 0], [0, 0, 1, 0]))
    assert ratio(image, region, reference) == pytest.approx(0.25)
    assert ratio(1000 * image, region, reference) == pytest.approx(0.25)


def test_regions_that_are_too_small_or_dark_have_none() -> None:
    image = np.array([[[1.0, 3.0, 8.0, 0.0]]], np.float32)
    region, reference, dark, nothing = (
        np.array([[row]], dtype=bool) for row in ([1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0])
    )
    assert np.isnan(ratio(image, region, reference, least=2))
    assert np.isnan(ratio(image, region, dark))
    assert np.isnan(ratio(image, nothing, reference))
