from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from taskgan.metrics.roc import auc
from taskgan.stats import Difference, Interval, auc_difference, equivalence, mean_difference


def paired(seed: int, count: int, mean: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 1, count)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(6, 40), st.floats(0.1, 2))
def test_it_is_schuirmanns_paired_test(seed: int, count: int, margin: float) -> None:
    gap = paired(seed, count, 0.2)
    found = equivalence(mean_difference(gap, range(count)), margin)
    p, low, high = ttost_paired(gap, np.zeros(count), -margin, margin)
    assert (found.p, found.p_above, found.p_below) == pytest.approx((p, low[1], high[1]))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.05, 1.5))
def test_equivalent_exactly_where_the_90_percent_interval_lies_inside(seed: int, margin: float) -> None:
    gap = paired(seed, 20)
    found = equivalence(mean_difference(gap, range(20)), margin)
    low, high = stats.t.interval(0.90, 19, gap.mean(), stats.sem(gap))
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high))
    assert (found.p < 0.05) == (-margin < low and high < margin)


def test_closed_form_at_a_difference_of_zero() -> None:
    # Mean 0 and standard error s/√n: both one-sided t are margin / error.
    gap = np.array([-1.0, 1.0] * 8)
    error = gap.std(ddof=1) / 4
    found = equivalence(mean_difference(gap, range(16)), 0.6)
    assert found.p == found.p_above == pytest.approx(stats.t.sf(0.6 / error, 15))


def test_it_keeps_its_level_at_the_margin() -> None:
    rng = np.random.default_rng(5)
    gaps = rng.normal(0.5, 1, (2000, 30))
    errors = gaps.std(axis=1, ddof=1) / np.sqrt(30)
    claimed = 0
    for gap, error in zip(gaps, errors, strict=True):
        mean = float(gap.mean())
        claimed += equivalence(Difference(Interval(mean, mean, mean), float(error), 1.0, 30, 29.0), 0.5).p < 0.05
    low, high = stats.binom.ppf([0.001, 0.999], 2000, 0.05)
    assert low <= claimed <= high


def test_words_tell_equivalence_noninferiority_and_neither_apart() -> None:
    gap = paired(1, 30)
    gap -= gap.mean()
    near = equivalence(mean_difference(gap + 0.01, range(30)), 0.5)
    assert near.describe(1, unit=" dB") == "equivalent within ±0.50 dB"
    above = equivalence(mean_difference(gap + 0.45, range(30)), 0.5)
    assert above.describe(1, digits=1) == "not worse by 0.5 or more; equivalence not shown"
    assert above.describe(-1, digits=1) == "equivalence within ±0.5 not shown"
    assert above.p_noninferior(1) < 0.05 < above.p_noninferior(-1)
    few = equivalence(mean_difference([0.0, 0.1, 0.0], range(3)), 0.5)
    assert few.describe(1) == "not tested: too few subjects"


def test_differences_without_spread_and_bad_margins() -> None:
    assert equivalence(mean_difference([0.1] * 8, range(8)), 0.2).p == 0
    assert equivalence(mean_difference([0.3] * 8, range(8)), 0.2).p == 1
    with pytest.raises(ValueError, match="positive margin, found 0"):
        equivalence(mean_difference([0.3] * 8, range(8)), 0)


def test_aucs_are_tested_with_the_normal_law() -> None:
    rng = np.random.default_rng(2)
    labels = np.repeat([0.0, 1.0], 40)
    scores = rng.normal(size=80) + labels
    gap = auc_difference(scores + 0.05 * rng.normal(size=80), scores, labels, range(80))
    found = equivalence(gap, 0.05)
    assert found.p_above == pytest.approx(stats.norm.sf((gap.interval.estimate + 0.05) / gap.error))
    assert found.describe(1) == "equivalent within ±0.05"


def test_aucs_near_one_are_not_called_equivalent_for_their_vanishing_variance() -> None:
    rng = np.random.default_rng(9)
    runs, labels = 400, np.repeat([1.0, 0.0], [10, 30])
    shifts = np.sqrt(2) * stats.norm.ppf([0.98, 0.93])  # the true difference is the margin
    claimed = naive = 0
    for _ in range(runs):
        shared = rng.normal(size=40) * np.sqrt(0.5)
        one, two = shared + rng.normal(size=(2, 40)) * np.sqrt(0.5) + shifts[:, None] * labels
        gap = auc_difference(one, two, labels, range(40))
        found = equivalence(gap, 0.05)
        claimed += found.p < 0.05
        naive += equivalence(replace(gap, error_if=None), 0.05).p < 0.05
        if not np.isnan(found.p):
            assert (found.p < 0.05) == (found.interval.low > -0.05 and found.interval.high < 0.05)
    assert claimed <= stats.binom.ppf(0.999, runs, 0.05)
    assert naive > stats.binom.ppf(0.999, runs, 0.05)  # what it is for


def test_the_error_of_an_auc_difference_is_hanley_and_mcneils() -> None:
    rng, labels = np.random.default_rng(10), np.repeat([1.0, 0.0], [200, 600])
    one, two = rng.normal(size=(2, 800)) + labels
    found = auc_difference(one, two, labels, range(800))
    assert found.error_if is not None
    area = (auc(one, labels) + auc(two, labels)) / 2
    apart = 199 * (area / (2 - area) - area**2) + 599 * (2 * area**2 / (1 + area) - area**2)
    alone = np.sqrt(2 * (area * (1 - area) + apart) / 120_000)  # of scores that have nothing in common
    assert found.error_if(0.0) == pytest.approx(alone, rel=0.03)
    assert found.error_if(0.0) == pytest.approx(found.error, rel=0.1)
    assert found.error_if(0.1) == found.error_if(-0.1)
    assert np.isfinite([found.error_if(d) for d in (0.5, 1.0)]).all()
