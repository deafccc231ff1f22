"""Operators along one axis: constants stay, edges are mirrored, adjoints and closed forms hold."""

import numpy as np
import pytest
from PIL import Image

from taskgan.degrade import degradation as axis


@pytest.mark.parametrize(
    "matrix",
    [
        axis.blur_matrix(20, 2.0),
        axis.blur_matrix(3, 5.0),
        axis.area_matrix(20, 5),
        axis.area_matrix(21, 5),
        axis.decimate_matrix(20, 5),
        axis.decimate_matrix(1, 1),
        axis.bicubic_matrix(5, 20),
        axis.bicubic_matrix(1, 8),
    ],
)
def test_a_constant_keeps_its_value(matrix: axis.Matrix) -> None:
    np.testing.assert_allclose(matrix @ np.full(matrix.shape[1], 0.7), 0.7, rtol=1e-12)


def test_no_blur_is_the_identity_and_two_blurs_add_their_variances() -> None:
    np.testing.assert_array_equal(axis.blur_matrix(9, 0).toarray(), np.eye(9))
    once, twice = (
        axis.blur_matrix(101, 5.0)[[50]].toarray(),
        (axis.blur_matrix(101, 3.0) @ axis.blur_matrix(101, 4.0))[[50]].toarray(),
    )
    np.testing.assert_allclose(twice, once, atol=2e-5)


def test_blur_loses_nothing_at_the_edges() -> None:
    np.testing.assert_allclose(axis.blur_matrix(12, 3.0).sum(axis=0), 1.0, atol=1e-12)


def test_area_is_the_mean_of_blocks_and_shares_pixels_that_lie_between() -> None:
    image = np.random.default_rng(0).random(24)
    np.testing.assert_allclose(axis.area_matrix(24, 3) @ image, image.reshape(3, 8).mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(axis.area_matrix(3, 2).toarray(), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]], atol=1e-12)


def test_a_ramp_stays_where_it_is_through_every_operator() -> None:
    """No operator shifts the image: a ramp is the same ramp, seen at the middles of other pixels."""
    fine, coarse = (np.arange(64) + 0.5) / 64, (np.arange(8) + 0.5) / 8
    for down in (axis.area_matrix, axis.decimate_matrix):
        np.testing.assert_allclose(down(64, 8) @ fine, coarse, atol=1e-12)
    np.testing.assert_allclose((axis.bicubic_matrix(8, 64) @ coarse)[16:-16], fine[16:-16], atol=1e-12)


def test_bicubic_is_pillows() -> None:
    low = np.random.default_rng(1).random((1, 9)).astype(np.float32)
    pillow = np.asarray(Image.fromarray(low, mode=None).resize((72, 1), Image.Resampling.BICUBIC))[0]
    ours = axis.bicubic_matrix(9, 72) @ low[0]
    np.testing.assert_allclose(ours[16:-16], pillow[16:-16], atol=1e-5)  # Pillow leaves out what lies outside
