import numpy as np
import pytest
from scipy import stats

from taskgan.stats import Interval, bootstrap, expanded_level, mean_interval, slope_interval, subject_means


def test_a_subjects_cases_count_once() -> None:
    means, subjects = subject_means([1.0, 3.0, 10.0, np.nan], ["a", "a", "b", "c"])
    assert list(means) == [2.0, 10.0]
    assert subjects == ["a", "b"]


def test_repeating_every_case_narrows_nothing() -> None:
    values, subjects = np.random.default_rng(1).normal(size=9), list("abcdefghi")
    once = mean_interval(values, subjects)
    thrice = mean_interval(np.repeat(values, 3), [s for s in subjects for _ in range(3)])
    assert thrice.low == pytest.approx(once.low)
    assert thrice.high == pytest.approx(once.high)
    x = values * 2
    assert slope_interval(np.tile(x, 2), np.tile(values, 2), subjects * 2).low == pytest.approx(
        slope_interval(x, values, subjects).low
    )


def test_the_mean_interval_is_close_to_students_for_normal_values() -> None:
    values = np.random.default_rng(2).normal(5, 2, size=12)
    found = mean_interval(values, range(12))
    low, high = stats.t.interval(0.95, 11, values.mean(), stats.sem(values))
    assert found.estimate == pytest.approx(values.mean())
    assert found.low == pytest.approx(low, abs=0.1 * (high - low))
    assert found.high == pytest.approx(high, abs=0.1 * (high - low))


@pytest.mark.parametrize("count", [6, 8, 20])
def test_coverage_of_the_mean_with_few_subjects(count: int) -> None:
    rng = np.random.default_rng(3)
    runs, kept, narrow = 400, 0, 0
    for run in range(runs):
        values = rng.normal(1.0, 1.0, size=count)
        # Bound early: the statistic of this run's values.
        found = bootstrap(lambda i, v=values: v[i].mean(axis=-1), count, seed=run, resamples=999)
        kept += found.low <= 1.0 <= found.high
        half = 1.96 * values.std() / np.sqrt(count)  # what a plain percentile interval comes to
        narrow += abs(values.mean() - 1.0) <= half
    assert 0.92 <= kept / runs <= 0.98
    assert kept > narrow


def test_the_expanded_level_tends_to_the_level() -> None:
    assert expanded_level(5) > expanded_level(10) > expanded_level(100) > 0.95
    assert expanded_level(100_000) == pytest.approx(0.95, abs=1e-4)


def test_the_same_data_give_the_same_interval_and_seeds_differ() -> None:
    values = np.random.default_rng(4).normal(size=10)
    assert mean_interval(values, range(10)) == mean_interval(values, range(10))
    assert mean_interval(values, range(10)).low != mean_interval(values, range(10), seed=1).low


def test_too_few_subjects_have_no_interval() -> None:
    # Five that agree in sign do so by chance with probability 1/16: no 95 % interval can come of them.
    five = mean_interval([1.0, 2.0, 3.0, 4.0, 5.0], "abcde")
    assert five.estimate == 3.0
    assert np.isnan(five.low)
    assert np.isnan(five.high)
    assert not five.excludes(0.0)
    assert mean_interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "abcdef").excludes(0.0)
    assert np.isnan(mean_interval([np.nan], ["a"]).estimate)


def test_an_interval_excludes_what_lies_outside() -> None:
    assert Interval(1, 0.5, 2).excludes(0)
    assert Interval(-1, -2, -0.5).excludes(0)
    assert not Interval(1, -0.1, 2).excludes(0)
