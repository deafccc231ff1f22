import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgan.simulate.anatomy import COMPOSITE, GREY, REGIONS, SKULL, WHITE, index, regions_at
from taskgan.simulate.deform import Grid, deform
from taskgan.simulate.pet.uptake import (
    COMPOSITE_TABLE,
    TABLE,
    draw_composite,
    draw_regions,
    paint_uptake,
    shared_variance,
)

GRID = Grid((75, 75, 28), (3.0, 3.0, 5.0))


@pytest.fixture(scope="module")
def head(mni):
    return deform(mni, GRID, np.random.default_rng(4))


@pytest.mark.parametrize(("composite", "positive"), [(1.1, False), (1.379, False), (1.381, True), (1.9, True)])
def test_image_has_the_wanted_composite(head, composite, positive):
    truth = paint_uptake(head, GRID, composite, positive, abs(composite - 1.38) < 0.1, np.random.default_rng(5))
    measured = truth.suvr[truth.cortex].mean(dtype=float) / truth.suvr[truth.reference].mean(dtype=float)
    assert measured == pytest.approx(composite, abs=1e-4)
    assert truth.composite == pytest.approx(measured, abs=1e-6)
    assert (truth.composite > 1.38) == positive


def test_composite_mask_weighs_the_six_regions_equally(head):
    truth = paint_uptake(head, GRID, 1.2, False, False, np.random.default_rng(5))
    regions = regions_at(head.points)
    counts = {name: int((truth.cortex & (regions == index(name))).sum()) for name in REGIONS}
    inside = [counts[name] for name in COMPOSITE]
    assert min(inside) == max(inside) > 50
    assert sum(inside) == truth.cortex.sum()
    assert not (truth.cortex & truth.reference).any()
    assert head.fractions[GREY][truth.cortex].min() > 0.7


def test_tissues_rank_as_in_amyloid_pet(head):
    negative = paint_uptake(head, GRID, 1.15, False, False, np.random.default_rng(6))
    positive = paint_uptake(head, GRID, 1.9, True, False, np.random.default_rng(6))
    white = head.fractions[WHITE] > 0.95
    skull = head.fractions[SKULL] > 0.9
    for truth in (negative, positive):
        assert truth.suvr[skull].mean() == pytest.approx(0.3, abs=0.05)
        assert truth.suvr[truth.reference].mean() == pytest.approx(1.0, abs=0.08)
        assert truth.suvr[truth.head].min() >= 0
    assert negative.suvr[white].mean() > negative.suvr[negative.cortex].mean()
    assert positive.suvr[white].mean() < positive.suvr[positive.cortex].mean()


@given(positive=st.booleans(), borderline=st.booleans(), seed=st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_drawn_composite_is_on_its_side_of_the_cut(positive, borderline, seed):
    value = draw_composite(positive, borderline, 1.38, (1.25, 1.40), np.random.default_rng(seed))
    assert (value > 1.38) == positive
    if borderline:
        assert 1.25 <= value <= 1.40


@pytest.mark.parametrize("positive", [False, True])
def test_regional_draws_follow_the_table(positive):
    """Means, SD and the common part over many subjects whose composite is drawn from the table, not cut."""
    rng = np.random.default_rng(8)
    mean, sd = COMPOSITE_TABLE[int(positive)]
    draws = np.stack([draw_regions(rng.normal(mean, sd), positive, False, rng)[0] for _ in range(3000)])
    for name in COMPOSITE:
        table_mean, table_sd = TABLE[name][int(positive)]
        values = draws[:, index(name)]
        assert values.mean() == pytest.approx(table_mean, abs=0.01)
        assert values.std() == pytest.approx(table_sd, rel=0.1)
    together = np.corrcoef(draws[:, [index(n) for n in COMPOSITE]].T)
    assert together.min() > 0.3


def test_regions_of_a_subject_have_much_in_common():
    assert 0.4 < shared_variance(False) < 0.8
    assert 0.6 < shared_variance(True) < 0.95


@pytest.mark.parametrize("composite", [1.25, 1.379, 1.381, 1.40])
def test_borderline_regions_lie_between_the_classes(composite):
    rng = np.random.default_rng(9)
    draws = np.stack([draw_regions(composite, composite > 1.38, True, rng)[0] for _ in range(2000)])
    for name in COMPOSITE:
        low, high = (TABLE[name][c][0] for c in (0, 1))
        assert low < draws[:, index(name)].mean() < high
    six = draws[:, [index(n) for n in COMPOSITE]].mean(axis=1)
    np.testing.assert_allclose(six, composite, atol=1e-4)
