import numpy as np
import pytest

from taskgan.stats import error_rate, exact_rate


def test_one_reader_is_the_exact_interval() -> None:
    errors = np.repeat([1, 0], [2, 8])
    found = error_rate(errors, range(10))
    assert found.interval == exact_rate(2, 10)
    assert found.describe() == "0.20 (2/10) [0.03, 0.56]"


def test_two_readers_of_ten_volumes_are_twenty_decisions_of_ten_subjects() -> None:
    errors = np.zeros((2, 10))
    errors[0, :3] = errors[1, :1] = 1
    found = error_rate(errors, range(10))
    assert (found.wrong, found.decisions) == (4, 20)
    assert found.interval == exact_rate(2, 10)
    assert found.interval.high > exact_rate(4, 20).high


def test_decisions_that_were_not_made_do_not_count() -> None:
    errors = np.array([[1, 0, 0, np.nan], [0, np.nan, 0, np.nan]])
    found = error_rate(errors, ["a", "b", "c", "d"])
    assert (found.wrong, found.decisions) == (1, 5)
    assert found.interval.estimate == pytest.approx(0.5 / 3)
