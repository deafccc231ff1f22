import numpy as np
import pytest
from scipy import stats

from taskgan.stats import limits_of_agreement

# Peak expiratory flow by two meters, 17 subjects: Bland and Altman 1986, Table 1 (first readings).
LARGE = np.array([494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427])
MINI = np.array([512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451])


def test_peak_flow_has_the_published_bias_and_limits() -> None:
    # 1986 takes two SD: −2.1 − 2 · 38.8 = −79.7 and 75.5 l/min; bias from −22.0 to 17.8.
    found = limits_of_agreement(LARGE - MINI, range(17))
    assert found.bias.estimate == pytest.approx(-2.1, abs=0.05)
    assert found.deviation == pytest.approx(38.8, abs=0.05)
    assert found.bias.estimate - 2 * found.deviation == pytest.approx(-79.7, abs=0.1)
    assert found.bias.estimate + 2 * found.deviation == pytest.approx(75.5, abs=0.1)
    assert (found.bias.low, found.bias.high) == pytest.approx((-22.0, 17.8), abs=0.06)
    assert found.low.estimate == pytest.approx(found.bias.estimate - 1.96 * found.deviation, rel=1e-4)
    assert found.subjects == 17


def test_blood_pressure_has_the_published_limits_and_their_intervals() -> None:
    # Bland and Altman 1999: 85 subjects, mean difference −16.29 mmHg, SD 19.61: limits −54.7 and 22.1, each with
    # a standard error of √(1/n + 1.96²/(2(n − 1))) SD. Only mean and SD matter, so any values with these will do.
    values = -16.29 + 19.61 * stats.zscore(np.random.default_rng(0).normal(size=85), ddof=1)
    found = limits_of_agreement(values, range(85))
    assert (found.low.estimate, found.high.estimate) == pytest.approx((-54.7, 22.1), abs=0.05)
    half = stats.t.ppf(0.975, 84) * 19.61 * np.sqrt(1 / 85 + 1.96**2 / 168)
    assert found.high.high - found.high.low == pytest.approx(2 * half, rel=0.02)
    # The SD's own law is skewed, so that more of the interval lies outside the limit than inside.
    assert found.high.high - found.high.estimate > half > found.high.estimate - found.high.low


@pytest.mark.parametrize("count", [17, 60])
def test_the_limits_intervals_are_near_the_exact_ones(count: int) -> None:
    # (bias + 1.96 SD) / SD · √n has a non-central t distribution.
    values = stats.zscore(np.random.default_rng(count).normal(size=count), ddof=1)
    found = limits_of_agreement(values, range(count)).high
    exact = stats.nct.ppf([0.025, 0.975], count - 1, 1.959964 * np.sqrt(count)) / np.sqrt(count)
    assert found.low == pytest.approx(exact[0], abs=0.1)
    assert found.high == pytest.approx(exact[1], rel=0.06)


@pytest.mark.parametrize(("count", "cases"), [(12, 1), (12, 3), (30, 2)])
def test_coverage_of_the_limits(count: int, cases: int) -> None:
    rng = np.random.default_rng(6)
    runs, kept = 500, np.zeros(2)
    within = 0.7 * (cases > 1)
    true = 1.959964 * np.sqrt(1 + within**2)
    who = np.repeat(range(count), cases).tolist()
    for _ in range(runs):
        values = rng.normal(size=(count, 1)) + within * rng.normal(size=(count, cases))
        found = limits_of_agreement(values.ravel(), who)
        kept += found.low.low <= -true <= found.low.high, found.high.low <= true <= found.high.high
    low, high = stats.binom.ppf([0.001, 0.999], runs, [0.945, 0.965])
    assert np.all(low <= kept)
    assert np.all(kept <= high)


def test_several_cases_add_the_variance_within_subjects() -> None:
    # One-way analysis of variance by hand: subject means 0, 2, 4 (variance 4); within, values ± 1 (variance 2).
    found = limits_of_agreement([-1, 1, 1, 3, 3, 5], "aabbcc")
    assert found.bias.estimate == 2
    assert found.deviation == pytest.approx(np.sqrt(4 + (1 - 1 / 2) * 2))
    repeated = limits_of_agreement([0, 0, 2, 2, 4, 4], "aabbcc")
    single = limits_of_agreement([0, 2, 4], "abc")
    assert (repeated.low, repeated.high) == (single.low, single.high)


def test_one_subject_and_none() -> None:
    one = limits_of_agreement([0.1, 0.2, np.nan], "aaa")
    assert one.bias.estimate == pytest.approx(0.15)
    assert np.isnan(one.deviation)
    assert limits_of_agreement([np.nan], "a").subjects == 0
