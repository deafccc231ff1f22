import numpy as np
import pytest

from taskgan.stats import no_gold_standard

BOUNDS = (1.0, 2.2)
SLOPES, INTERCEPTS, NOISE = np.array([0.9, 1.1, 0.7]), np.array([0.1, -0.1, 0.3]), np.array([0.05, 0.10, 0.16])


def simulated(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """True values of a beta law, and what three methods make of them."""
    rng = np.random.default_rng(seed)
    truth = BOUNDS[0] + (BOUNDS[1] - BOUNDS[0]) * rng.beta(2, 3, count)
    values = SLOPES[:, None] * truth + INTERCEPTS[:, None] + NOISE[:, None] * rng.normal(size=(3, count))
    return truth, values


def test_it_finds_slopes_and_noise_without_the_truth() -> None:
    truth, values = simulated(1500, 0)
    found = no_gold_standard(values, BOUNDS, resamples=0)
    by_truth = np.array([np.polyfit(truth, v, 1)[0] for v in values])
    assert found.slopes / found.slopes[0] == pytest.approx(by_truth / by_truth[0], rel=0.05)
    assert found.slopes == pytest.approx(SLOPES, rel=0.15)  # what the methods share rests on the bounds alone
    assert found.noise == pytest.approx(NOISE, rel=0.12)
    lines = found.intercepts + found.slopes * truth.mean()
    assert lines == pytest.approx(values.mean(axis=1), abs=0.06)
    true = NOISE / SLOPES
    assert [r.estimate for r in found.ratios] == pytest.approx(true / true[0], rel=0.2)
    assert found.ratios[0].estimate == 1


def test_it_orders_methods_by_precision_in_most_small_studies() -> None:
    # Jha's group report the right order in 83 % of trials (Liu et al. 2022).
    orders = [
        list(np.argsort(no_gold_standard(simulated(100, seed)[1], BOUNDS, resamples=0).noise_to_slope))
        for seed in range(12)
    ]
    assert all(order[-1] == 2 for order in orders)
    assert sum(order == [0, 1, 2] for order in orders) >= 8


def test_the_interval_of_the_ratio_separates_a_worse_method() -> None:
    found = no_gold_standard(simulated(200, 3)[1], BOUNDS, resamples=30)
    assert found.ratios[2].excludes(1.0)
    assert found.ratios[1].low < 1.64 < found.ratios[1].high
    again = no_gold_standard(simulated(200, 3)[1], BOUNDS, resamples=30)
    assert again.ratios == found.ratios


def test_units_do_not_matter_and_four_methods_do() -> None:
    _, values = simulated(120, 4)
    found = no_gold_standard(values, BOUNDS, resamples=0)
    scaled = no_gold_standard(values * np.array([[10.0], [1.0], [0.1]]), BOUNDS, resamples=0)
    assert scaled.noise_to_slope == pytest.approx(found.noise_to_slope, rel=1e-3)
    assert scaled.slopes == pytest.approx(found.slopes * [10, 1, 0.1], rel=1e-3)
    rng = np.random.default_rng(5)
    more = no_gold_standard(np.vstack([values, values[:1] + rng.normal(0, 0.2, 120)]), BOUNDS, resamples=0)
    assert len(more.slopes) == 4
    assert np.argmax(more.noise_to_slope) in (2, 3)


def test_too_few_are_refused() -> None:
    _, values = simulated(30, 0)
    with pytest.raises(ValueError, match="expected 3 methods"):
        no_gold_standard(values[:2], BOUNDS)
    with pytest.raises(ValueError, match="found 3, 5"):
        no_gold_standard(np.where(np.arange(30) < 5, values, np.nan), BOUNDS)
    with pytest.raises(ValueError, match="increasing bounds"):
        no_gold_standard(values, (2.0, 1.0))
