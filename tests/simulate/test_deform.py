import numpy as np
import pytest

from taskgan.simulate.anatomy import CSF, GREY, WHITE, Anatomy
from taskgan.simulate.deform import (
    Grid,
    Interpolation,
    _atrophied,
    _trilinear,
    deform,
    draw_shape,
    sample,
    spline_weights,
)

GRID = Grid((40, 46, 12), (5.0, 5.0, 12.0))


@pytest.fixture(scope="module")
def heads(mni):
    return [deform(mni, GRID, np.random.default_rng(seed)) for seed in (1, 1, 2)]


def test_same_seed_same_head(heads):
    np.testing.assert_array_equal(heads[0].fractions, heads[1].fractions)
    assert np.abs(heads[0].fractions - heads[2].fractions).max() > 0.3


def test_fractions_stay_fractions(heads):
    for head in heads:
        assert head.fractions.min() >= -1e-6
        assert head.fractions.sum(axis=0).max() <= 1 + 1e-4


def test_head_lies_inside_the_field_of_view(heads):
    for head in heads:
        total = head.fractions.sum(axis=0)
        assert total[[0, -1]].max() < 0.05
        assert total[:, [0, -1]].max() < 0.05


def test_template_is_not_folded(heads):
    """The determinant of the map from scanner to template is positive everywhere."""
    for head in heads:
        jacobian = np.stack([np.stack(np.gradient(head.points[c], *GRID.voxel_mm), axis=0) for c in range(3)], axis=0)
        assert np.linalg.det(np.moveaxis(jacobian, (0, 1), (-2, -1))).min() > 0.5


def test_trilinear_is_exact_on_linear_maps_and_zero_outside(rng):
    x, y, z = np.indices((6, 7, 8), dtype=np.float32)
    maps = np.stack([2 * x - y + 0.5 * z, np.ones_like(x)], axis=-1)
    where = rng.uniform(0, 5, (3, 50))
    found = _trilinear(maps, where)
    np.testing.assert_allclose(found[0], 2 * where[0] - where[1] + 0.5 * where[2], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found[1], 1.0, rtol=1e-6)
    assert (_trilinear(maps, np.array([[-0.5], [3.0], [3.0]])) == 0).all()


def test_air_that_is_skipped_is_air(rng):
    maps = np.zeros((3, 9, 8, 7), dtype=np.float32)
    maps[:, 3:6, 2:5, 4] = rng.uniform(0.1, 1, (3, 3, 3))
    where = rng.uniform(-1, 9, (3, 4000))
    found = Interpolation(Anatomy("dots", maps, np.eye(4))).at(where)
    assert 0 < (found > 0).any(axis=0).mean() < 0.5
    np.testing.assert_array_equal(found, _trilinear(np.ascontiguousarray(np.moveaxis(maps, 0, -1)), where))


def test_a_prepared_anatomy_and_its_parts_give_the_same_head(mni, heads):
    profile = [((k + 0.5) / 5 - 0.5, 0.2) for k in range(5)]
    head = sample(Interpolation(mni), GRID, draw_shape(np.random.default_rng(1)), profile)
    np.testing.assert_allclose(head.fractions, heads[0].fractions, atol=1e-6)
    np.testing.assert_allclose(head.points, heads[0].points, atol=1e-3)


def test_spline_weights_are_a_partition_of_unity_inside():
    weights = spline_weights(np.arange(100), 100, 7)
    inner = slice(20, 80)
    np.testing.assert_allclose(weights[inner].sum(axis=1), 1.0, rtol=1e-6)
    assert weights.min() >= 0


def test_atrophy_turns_brain_beside_csf_into_csf(rng):
    fractions = np.zeros((5, 20, 20, 4), dtype=np.float32)
    fractions[CSF, :5] = 1.0
    fractions[GREY, 5:10] = 1.0
    fractions[WHITE, 10:] = 1.0
    before = fractions.copy()
    after = _atrophied(fractions, Grid((20, 20, 4), (2.0, 2.0, 5.0)), 0.3)
    np.testing.assert_allclose(after.sum(axis=0), before.sum(axis=0), atol=1e-6)
    assert after[CSF].sum() > before[CSF].sum()
    assert after[GREY, 5].mean() < after[GREY, 9].mean() <= 1.0
    np.testing.assert_allclose(after[WHITE, 19], 1.0, atol=1e-5)


def test_affine_of_the_grid_is_centred():
    corners = np.array([[0, 0, 0, 1], [39, 45, 11, 1]], dtype=float) @ GRID.affine.T
    np.testing.assert_allclose(corners[0, :3], -corners[1, :3])


def test_single_slice_grid_works(mni):
    small = Anatomy("small", mni.maps[:, ::2, ::2, ::2], mni.affine @ np.diag([2, 2, 2, 1]))
    head = deform(small, Grid((10, 10, 1), (20.0, 20.0, 2.0)), np.random.default_rng(0))
    assert head.fractions[GREY].max() > 0
