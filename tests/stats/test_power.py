import math

import numpy as np
import pytest
from scipy import stats

from taskgan.stats import (
    detectable_auc,
    detectable_flips,
    detectable_mean,
    exact_rate,
    flips_power,
    mcnemar,
    mean_power,
    rate_power,
    subjects_for_auc,
    subjects_for_flips,
    subjects_for_mean,
    subjects_for_rate,
)


@pytest.mark.parametrize(
    ("effect", "power", "count"),
    # G*Power 3 (Faul et al. 2007, 10.3758/BF03193146), matched pairs, two-sided, α .05.
    [(0.2, 0.8, 199), (0.5, 0.8, 34), (0.8, 0.8, 15), (0.5, 0.9, 44), (0.5, 0.95, 54)],
)
def test_paired_t_needs_the_tabulated_subjects(effect: float, power: float, count: int) -> None:
    assert subjects_for_mean(2 * effect, 2.0, power=power) == count
    assert subjects_for_mean(-2 * effect, 2.0, power=power) == count
    assert mean_power(effect, 1.0, count) >= power > mean_power(effect, 1.0, count - 1)


def test_power_of_the_t_test_is_what_simulation_finds() -> None:
    values = np.random.default_rng(0).normal(0.8, 1, (4000, 12))
    rejected = int((stats.ttest_1samp(values, 0, axis=1).pvalue < 0.05).sum())
    low, high = stats.binom.ppf([0.001, 0.999], 4000, mean_power(0.8, 1, 12))
    assert low <= rejected <= high


@pytest.mark.parametrize("count", [6, 12, 40])
@pytest.mark.parametrize("power", [0.8, 0.9])
def test_the_detectable_difference_has_the_power(count: int, power: float) -> None:
    smallest = detectable_mean(0.3, count, power=power)
    assert mean_power(smallest, 0.3, count) == pytest.approx(power, abs=1e-6)


def test_huge_small_and_absent_differences() -> None:
    assert subjects_for_mean(50, 1) == 2
    assert subjects_for_mean(1e-4, 1) is None
    assert subjects_for_mean(0, 1) is None
    assert subjects_for_mean(1, 0) == 2
    assert math.isnan(detectable_mean(1, 1))
    assert mean_power(4.0, 1.0, 4) == pytest.approx(0.99830, abs=1e-5)  # a far left tail is NaN to scipy
    assert all(0.9 < mean_power(detectable_mean(1, n, power=0.95), 1, n) < 1 for n in range(2, 10))
    assert detectable_mean(0, 8) == 0


def test_auc_needs_more_subjects_by_the_square() -> None:
    # (1.96 + 0.8416)² = 7.849: at a standard error of .05 with 40 subjects a difference of .05 needs 314.
    assert subjects_for_auc(0.05, 0.05, 40) == 314
    assert subjects_for_auc(-0.10, 0.05, 40) == 79
    assert subjects_for_auc(0, 0.05, 40) is None
    assert subjects_for_auc(1e-6, 0.05, 40) is None
    assert detectable_auc(0.05) == pytest.approx(0.14008, abs=1e-5)


@pytest.mark.parametrize("mid_p", [False, True])
def test_power_of_mcnemar_is_the_sum_over_all_tables(mid_p: bool) -> None:
    count, one, two = 14, 0.45, 0.1
    expected = sum(
        stats.multinomial.pmf([a, b, count - a - b], count, [one, two, 1 - one - two])
        for a in range(count + 1)
        for b in range(count + 1 - a)
        if mcnemar(a, b, mid_p=mid_p) <= 0.05
    )
    assert flips_power(one, two, count, mid_p=mid_p) == pytest.approx(expected)


@pytest.mark.parametrize(("one", "two"), [(0.2, 0.1), (0.25, 0.05), (0.1, 0.3)])
def test_mcnemar_needs_about_what_connors_formula_says(one: float, two: float) -> None:
    # Connor 1987, equation for n; the mid-p test is near it, the exact one needs a few more.
    both, gap = one + two, abs(one - two)
    connor = (1.959964 * np.sqrt(both) + 0.841621 * np.sqrt(both - gap**2)) ** 2 / gap**2
    middle, exact = subjects_for_flips(one, two, mid_p=True), subjects_for_flips(one, two)
    assert middle == pytest.approx(connor, rel=0.08)
    assert exact is not None
    assert connor < exact < 1.2 * connor
    assert subjects_for_flips(two, one) == exact


def test_from_there_on_the_exact_power_stays() -> None:
    count = subjects_for_flips(0.25, 0.05)
    assert count is not None
    assert flips_power(0.25, 0.05, count - 1) < 0.8
    assert all(flips_power(0.25, 0.05, n) >= 0.8 for n in range(count, count + 25))
    assert subjects_for_flips(0.1, 0.1) is None
    assert subjects_for_flips(0.01, 0.0099) is None
    with pytest.raises(ValueError, match="sum at most 1"):
        flips_power(0.6, 0.6, 10)


def test_one_way_flips_need_six_of_them() -> None:
    # 2 · ½⁶ is the first below .05: with certain flips six subjects do, five never.
    assert subjects_for_flips(1.0, 0.0) == 6
    assert math.isnan(detectable_flips(5))
    rate = detectable_flips(20)
    assert stats.binom.sf(5, 20, rate) == pytest.approx(0.8, abs=1e-6)
    assert detectable_flips(20, other=0.05) > rate


def test_no_error_excludes_a_rate_by_its_closed_form() -> None:
    # The upper Clopper–Pearson end of 0 of n is 1 − .025^(1/n): below .1 from 36 on.
    assert subjects_for_rate(0.0, 0.1) == math.ceil(math.log(0.025) / math.log(0.9)) == 36
    assert rate_power(0.0, 0.1, 36) == 1
    assert rate_power(0.0, 0.1, 35) == 0


def test_power_of_a_rate_is_the_chance_that_its_interval_excludes_the_null() -> None:
    for rate, null, count in ((0.05, 0.2, 40), (0.4, 0.2, 30), (0.2, 0.2, 25)):
        expected = sum(stats.binom.pmf(k, count, rate) for k in range(count + 1) if exact_rate(k, count).excludes(null))
        assert rate_power(rate, null, count) == pytest.approx(expected)
    needed = subjects_for_rate(0.05, 0.2)
    assert needed is not None
    assert all(rate_power(0.05, 0.2, n) >= 0.8 for n in range(needed, needed + 25))
    assert subjects_for_rate(0.2, 0.2) is None
