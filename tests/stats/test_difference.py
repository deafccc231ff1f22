import numpy as np
import pytest
from scipy import stats

from taskgan.stats import mean_difference

# Additional hours of sleep with two drugs, 10 patients: Student 1908, "The probable error of a mean", Biometrika 6.
FIRST = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
SECOND = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])


def test_students_sleep_data_give_the_published_t() -> None:
    found = mean_difference(SECOND - FIRST, range(10))
    assert found.interval.estimate == pytest.approx(1.58)
    assert found.interval.estimate / found.error == pytest.approx(4.0621, abs=5e-5)
    assert found.p == pytest.approx(0.002833, abs=5e-7)
    assert (found.count, found.freedom) == (10, 9)
    assert found.deviation == pytest.approx((SECOND - FIRST).std(ddof=1))


def test_a_subjects_cases_are_averaged_first() -> None:
    gap = SECOND - FIRST
    spread = np.stack([gap - 1, gap + 1], axis=1).ravel()
    found = mean_difference(spread, np.repeat(range(10), 2).tolist())
    assert found.p == pytest.approx(stats.ttest_rel(SECOND, FIRST).pvalue)
    assert found.count == 10


def test_differences_that_are_all_the_same() -> None:
    assert mean_difference([0.5] * 6, range(6)).p == 0
    assert mean_difference([0.0] * 6, range(6)).p == 1


def test_too_few_subjects_are_not_tested() -> None:
    assert np.isnan(mean_difference([1.0, 2.0, 3.0, 4.0, 5.0], range(5)).p)
    nothing = mean_difference([np.nan], ["a"])
    assert nothing.count == 0
    assert np.isnan(nothing.error)
