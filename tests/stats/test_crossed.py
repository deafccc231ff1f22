import numpy as np
import pytest
from scipy import stats

from taskgan.stats import crossed_interval


def test_seeds_that_change_nothing_leave_students_interval_over_subjects() -> None:
    values = np.random.default_rng(0).normal(2, 1, 12)
    found = crossed_interval(np.repeat(values[:, None], 4, axis=1))
    low, high = stats.t.interval(0.95, 11, values.mean(), stats.sem(values))
    assert (found.estimate, found.low, found.high) == pytest.approx((values.mean(), low, high))


def test_subjects_that_do_not_differ_leave_students_interval_over_seeds() -> None:
    seeds = np.array([1.0, 1.4, 0.9, 1.2])
    found = crossed_interval(np.repeat(seeds[None], 20, axis=0))
    low, high = stats.t.interval(0.95, 3, seeds.mean(), stats.sem(seeds))
    assert (found.estimate, found.low, found.high) == pytest.approx((seeds.mean(), low, high))


def test_the_standard_error_is_that_of_the_variance_components() -> None:
    # Effects that are orthogonal by construction, so that the mean squares are known.
    rng = np.random.default_rng(1)
    n, k = 10, 4
    subject = stats.zscore(rng.normal(size=n), ddof=1)
    seed = stats.zscore(rng.normal(size=k), ddof=1)
    rest = rng.normal(size=(n, k))
    rest -= rest.mean(axis=0) + rest.mean(axis=1, keepdims=True) - rest.mean()
    rest *= np.sqrt((n - 1) * (k - 1) / (rest**2).sum())  # mean square one
    found = crossed_interval(3 + 2 * subject[:, None] + 1.5 * seed + rest)
    squares = {"subject": k * 4.0, "seed": n * 2.25, "rest": 1.0}
    above = squares["subject"] + squares["seed"] - squares["rest"]
    freedom = above**2 / (squares["subject"] ** 2 / (n - 1) + squares["seed"] ** 2 / (k - 1))
    half = stats.t.ppf(0.975, freedom) * np.sqrt(above / (n * k))
    assert (found.estimate, found.high) == pytest.approx((3, 3 + half))


@pytest.mark.parametrize(("n", "k"), [(20, 3), (12, 5)])
@pytest.mark.parametrize("spread", [(1.0, 0.3, 0.3), (0.3, 1.0, 0.3), (1.0, 0.0, 0.5), (0.5, 0.2, 1.0)])
def test_coverage_for_known_variance_components(n: int, k: int, spread: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(2)
    runs = 800
    subject, seed, rest = spread
    tables = (
        subject * rng.normal(size=(runs, n, 1))
        + seed * rng.normal(size=(runs, 1, k))
        + rest * rng.normal(size=(runs, n, k))
    )
    found = [crossed_interval(table) for table in tables]
    kept = sum(i.low <= 0 <= i.high for i in found)
    low, high = stats.binom.ppf([0.001, 0.999], runs, [0.925, 0.97])
    assert low <= kept <= high


def test_an_interval_over_subjects_alone_does_not_hold_another_seed() -> None:
    rng = np.random.default_rng(3)
    runs, over_subjects, over_both = 400, 0, 0
    for _ in range(runs):
        table = rng.normal(size=(20, 1)) + 0.5 * rng.normal(size=(1, 3)) + 0.3 * rng.normal(size=(20, 3))
        means = table.mean(axis=1)
        low, high = stats.t.interval(0.95, 19, means.mean(), stats.sem(means))
        over_subjects += low <= 0 <= high
        found = crossed_interval(table)
        over_both += found.low <= 0 <= found.high
    assert over_both >= stats.binom.ppf(0.001, runs, 0.925)
    assert over_subjects < stats.binom.ppf(0.001, runs, 0.925)


def test_incomplete_subjects_and_too_small_tables() -> None:
    table = np.random.default_rng(4).normal(size=(9, 3))
    holed = np.vstack([table, [[np.nan, 1, 2]]])
    assert crossed_interval(holed) == crossed_interval(table)
    assert np.isnan(crossed_interval(table[:, :2]).low)
    assert crossed_interval(table[:, :2]).estimate == pytest.approx(table[:, :2].mean())
    assert np.isnan(crossed_interval(table[:5]).high)
    assert np.isnan(crossed_interval(np.empty((0, 3))).estimate)
    same = crossed_interval(np.ones((6, 3)))
    assert (same.low, same.high) == (1, 1)
    with pytest.raises(ValueError, match="subjects × seeds, found 1 dim"):
        crossed_interval(np.ones(6))
