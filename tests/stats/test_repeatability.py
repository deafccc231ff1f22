import math

import numpy as np
import pytest
from scipy import stats

from taskgan.stats import repeatability


def test_of_pairs_it_is_bland_and_altmans() -> None:
    rng = np.random.default_rng(0)
    first, second = 1.5 + rng.normal(0, 0.2, 30) + rng.normal(0, 0.03, (2, 30))
    found = repeatability(np.concatenate([first, second]), list(range(30)) * 2)
    # Half the mean squared difference; the coefficient is 1.96 SD of the differences about zero.
    assert found.deviation.estimate == pytest.approx(math.sqrt(((first - second) ** 2).mean() / 2))
    assert found.coefficient.estimate == pytest.approx(1.959964 * math.sqrt(((first - second) ** 2).mean()), rel=1e-6)
    share = ((first - second) ** 2 / 2) / ((first + second) / 2) ** 2
    assert found.variation.estimate == pytest.approx(math.sqrt(share.mean()))
    ends = [found.deviation.estimate * math.sqrt(30 / stats.chi2.ppf(q, 30)) for q in (0.975, 0.025)]
    assert [found.deviation.low, found.deviation.high] == pytest.approx(ends)
    assert (found.freedom, found.subjects) == (30, 30)


def test_units_and_unequal_numbers() -> None:
    values = np.array([1.0, 1.2, 2.0, 2.2, 2.4, 5.0, np.nan])
    subjects = ["a", "a", "b", "b", "b", "c", "a"]  # c has one value, which tells nothing
    found = repeatability(values, subjects)
    assert (found.freedom, found.subjects) == (3, 2)
    assert found.deviation.estimate == pytest.approx(math.sqrt((0.02 + 0.08) / 3))
    scaled = repeatability(10 * values, subjects)
    assert scaled.deviation.high == pytest.approx(10 * found.deviation.high)
    assert scaled.variation == found.variation or scaled.variation.high == pytest.approx(found.variation.high)


def test_the_intervals_cover() -> None:
    rng = np.random.default_rng(1)
    subjects, covered, both = list(range(20)) * 3, 0, 0
    for _ in range(400):
        truth = rng.uniform(1, 2, 20)
        found = repeatability((truth * (1 + rng.normal(0, 0.02, (3, 20)))).ravel(), subjects)
        covered += found.variation.low < 0.02 < found.variation.high
        both += found.relative_coefficient.low < 0.02 * 1.96 * math.sqrt(2) < found.relative_coefficient.high
    low, high = stats.binom.ppf([0.001, 0.999], 400, 0.95)
    assert low <= covered <= high
    assert low <= both <= high


def test_what_cannot_be_told_is_nan() -> None:
    assert math.isnan(repeatability([1.0, 2.0], ["a", "b"]).coefficient.estimate)
    negative = repeatability([-1.0, -1.2, 1.0, 1.1], ["a", "a", "b", "b"])
    assert math.isnan(negative.variation.estimate)
    assert negative.deviation.estimate > 0
