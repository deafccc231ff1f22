import numpy as np
import pytest

from taskgan.metrics.regions import region_ratio


def test_the_ratio_of_means_and_nothing_of_the_scale() -> None:
    image = np.array([[[1.0, 3.0, 8.0, 4.0]]], np.float32)
    region, reference = (np.array([[row]], dtype=bool) for row in ([1, 1, 0, 0], [0, 0, 1, 0]))
    assert region_ratio(image, region, reference) == pytest.approx(0.25)
    assert region_ratio(1000 * image, region, reference) == pytest.approx(0.25)


def test_regions_that_are_too_small_or_dark_have_none() -> None:
    image = np.array([[[1.0, 3.0, 8.0, 0.0]]], np.float32)
    region, reference, dark, nothing = (
        np.array([[row]], dtype=bool) for row in ([1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0])
    )
    assert np.isnan(region_ratio(image, region, reference, least=2))
    assert np.isnan(region_ratio(image, region, dark))
    assert np.isnan(region_ratio(image, nothing, reference))
