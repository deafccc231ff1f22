import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from taskgan.stats import concordance_interval, slope_interval

# Peak expiratory flow by two meters, 17 subjects: Bland and Altman 1986, Table 1 (first readings).
LARGE = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def test_the_slope_is_least_squares() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=15)
    y = 0.7 * x + 0.2 * rng.normal(size=15) + 3
    found = slope_interval(x, y, range(15))
    assert found.estimate == pytest.approx(stats.linregress(x, y).slope)
    assert found.low < 0.7 < found.high
    exact = slope_interval(x, 0.8 * x + 1, range(15))
    assert (exact.low, exact.high) == (pytest.approx(0.8), pytest.approx(0.8))
    assert np.isnan(slope_interval([1, 1, 1], [1, 2, 3], "abc").estimate)
    assert np.isnan(slope_interval([np.nan], [1.0], "a").estimate)


def test_lins_concordance_of_the_peak_flow_meters() -> None:
    # .943: Stata's concord on these data (Steichen and Cox 1998, Stata Technical Bulletin 43, sg84).
    found = concordance_interval(LARGE, MINI, range(17))
    assert found.estimate == pytest.approx(0.943, abs=5e-4)
    assert found.low < 0.943 < found.high < 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.2, 3), st.floats(-5, 5))
def test_concordance_is_correlation_times_bias_correction(seed: int, scale: float, shift: float) -> None:
    # Lin 1989, equations 1 and 2: rho_c = rho · C_b, C_b = 2 / (v + 1/v + u²), in moments divided by n.
    rng = np.random.default_rng(seed)
    x = rng.normal(size=12)
    y = scale * x + shift + 0.3 * rng.normal(size=12)
    v, u = x.std() / y.std(), (x.mean() - y.mean()) / np.sqrt(x.std() * y.std())
    expected = np.corrcoef(x, y)[0, 1] * 2 / (v + 1 / v + u**2)
    assert concordance_interval(x, y, range(12)).estimate == pytest.approx(expected)


def test_a_shift_lowers_concordance_and_leaves_the_slope() -> None:
    x = np.linspace(1, 2, 10)
    variance = x.var()
    assert concordance_interval(x, x + 0.3, range(10)).estimate == pytest.approx(2 * variance / (2 * variance + 0.09))
    assert slope_interval(x, x + 0.3, range(10)).estimate == pytest.approx(1)


def test_perfect_and_reversed_pairs() -> None:
    x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert concordance_interval(x, x, "abcdef").estimate == pytest.approx(1)
    assert concordance_interval(x, x[::-1], "abcdef").estimate == pytest.approx(-1)
    assert concordance_interval([1.0, 1.0], [2.0, 2.0], "ab").estimate == 0
    assert np.isnan(concordance_interval([1.0, 1.0], [1.0, 1.0], "ab").estimate)


def test_repeating_every_case_changes_nothing() -> None:
    twice = concordance_interval(LARGE * 2, MINI * 2, [*range(17)] * 2)
    once = concordance_interval(LARGE, MINI, range(17))
    assert (twice.estimate, twice.low, twice.high) == pytest.approx((once.estimate, once.low, once.high))


def test_coverage_of_slope_and_concordance() -> None:
    rng = np.random.default_rng(9)
    runs, slopes, concordances = 250, 0, 0
    true = 2 * 0.8 * 0.04 / (0.04 + 0.64 * 0.04 + 0.06**2 + 0.02**2)
    for run in range(runs):
        x = rng.normal(0, 0.2, 15)
        y = 0.8 * x + 0.02 + rng.normal(0, 0.06, 15)
        found = slope_interval(x, y, range(15), seed=run)
        slopes += found.low <= 0.8 <= found.high
        found = concordance_interval(x, y, range(15), seed=run)
        concordances += found.low <= true <= found.high
    low, high = stats.binom.ppf([0.001, 0.999], runs, [0.93, 0.97])
    assert low <= slopes <= high
    assert low <= concordances <= high
