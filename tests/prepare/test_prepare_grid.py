import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgan.prepare.images import describe_grid, grid_difference, resample

AFFINE = np.array([[-1.8, 0.1, 0, 40], [0.1, 1.8, 0.2, -50], [0, -0.2, 3.1, -9], [0, 0, 0, 1.0]])


def image(shape=(6, 7, 5), seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("nearest", [True, False])
def test_onto_its_own_grid_nothing_changes_also_at_the_edges(nearest):
    data = image()
    for onto in (AFFINE, AFFINE + 1e-9, AFFINE - 1e-9):
        values, share = resample(data, AFFINE, data.shape, onto, nearest=nearest)
        np.testing.assert_allclose(values, data, atol=1e-5)
        assert share == 1


@given(st.integers(-2, 2), st.integers(-2, 2), st.integers(-2, 2))
def test_whole_voxels_are_moved_and_what_lies_outside_is_zero(a, b, c):
    data = image() + 10
    onto = AFFINE.copy()
    onto[:3, 3] += AFFINE[:3, :3] @ [a, b, c]
    values, share = resample(data, AFFINE, data.shape, onto)
    expected = np.zeros_like(data)
    old = tuple(slice(max(0, k), n + min(0, k)) for k, n in zip((a, b, c), data.shape, strict=True))
    new = tuple(slice(max(0, -k), n + min(0, -k)) for k, n in zip((a, b, c), data.shape, strict=True))
    expected[new] = data[old]
    np.testing.assert_allclose(values, expected, atol=1e-4)
    assert share == pytest.approx((expected != 0).mean())


def test_it_is_linear_and_labels_stay_labels():
    first, second = image(seed=1), image(seed=2)
    onto, shape = AFFINE @ np.diag([0.7, 0.9, 1.3, 1]), (8, 7, 4)
    both, _ = resample(2 * first - second, AFFINE, shape, onto)
    alone = [resample(data, AFFINE, shape, onto)[0] for data in (first, second)]
    np.testing.assert_allclose(both, 2 * alone[0] - alone[1], atol=1e-5)
    labels, _ = resample(np.round(3 * first), AFFINE, shape, onto, nearest=True)
    assert set(np.unique(labels)) <= set(np.unique(np.round(3 * first))) | {0}


def test_differences_are_sentences():
    moved = AFFINE.copy()
    moved[1, 3] += 0.25
    assert grid_difference((3, 4, 5), AFFINE, (3, 4, 5), AFFINE + 5e-4) == ""
    assert grid_difference((3, 4, 6), AFFINE, (3, 4, 5), AFFINE) == "has shape 3×4×6, expected 3×4×5"
    assert "differ by up to 0.25 mm" in grid_difference((3, 4, 5), moved, (3, 4, 5), AFFINE)
    assert describe_grid((3, 4, 5), np.diag([0.9, 0.9, 5, 1])) == "3×4×5 at 0.9×0.9×5 mm"
