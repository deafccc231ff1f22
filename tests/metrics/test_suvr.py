import numpy as np
import pytest

from fake_cohort import CORTEX, REFERENCE, brain
from taskgan.metrics.regions import agreement, composite_suvr

# Peak expiratory flow by two meters, 17 subjects: Bland and Altman 1986, Table 1 (first readings).
LARGE = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def test_the_composite_of_a_known_brain_is_known() -> None:
    image = brain(1.52, np.random.default_rng(0))
    assert composite_suvr(image, CORTEX, REFERENCE) == pytest.approx(1.52, abs=1e-5)
    assert composite_suvr(image * np.float32(3000), CORTEX, REFERENCE) == pytest.approx(1.52, abs=1e-4)


def test_empty_regions_and_an_empty_reference_have_no_composite() -> None:
    image, nothing = brain(1.2, np.random.default_rng(0)), np.zeros_like(CORTEX)
    assert np.isnan(composite_suvr(image, nothing, REFERENCE))
    assert np.isnan(composite_suvr(image, CORTEX, nothing))
    assert np.isnan(composite_suvr(image * 0, CORTEX, REFERENCE))


def test_limits_of_agreement_are_the_published_ones() -> None:
    found = agreement(LARGE, MINI, range(17))
    assert found.bias.estimate == pytest.approx(-2.1, abs=0.05)
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(38.8, abs=0.05)
    assert found.count == 17
    assert (found.limit_low.estimate, found.limit_high.estimate) == (found.low, found.high)
    assert found.limit_low.low < found.low < found.limit_low.high
    assert found.concordance.estimate == pytest.approx(0.943, abs=5e-4)


def test_shrinking_shows_in_the_slope_and_not_in_the_bias() -> None:
    clean = np.linspace(1.0, 1.8, 11)
    found = agreement(clean.mean() + 0.7 * (clean - clean.mean()), clean, range(11))
    assert found.bias.estimate == pytest.approx(0.0, abs=1e-12)
    assert found.slope.estimate == pytest.approx(0.7)
    assert found.slope.excludes(1.0)
    # Lin's coefficient of y = .7 x about the same mean: 2 · .7 / (1 + .49).
    assert found.concordance.estimate == pytest.approx(1.4 / 1.49)


def test_a_subjects_doses_are_repeated_measurements_of_it() -> None:
    rng = np.random.default_rng(1)
    clean = rng.uniform(1.0, 1.8, 15)
    gap = rng.normal(0, 0.05, 15)
    once = agreement(clean + gap, clean, range(15))
    thrice = agreement(np.tile(clean + gap, 3), np.tile(clean, 3), [*range(15)] * 3)
    assert thrice.count == 45
    assert (thrice.low, thrice.limit_low.low) == pytest.approx((once.low, once.limit_low.low))


def test_unknown_composites_are_left_out() -> None:
    found = agreement([1.0, np.nan, 1.4, 1.6], [1.0, 1.2, 1.4, np.nan], "abcd")
    assert found.count == 2
    assert agreement([np.nan], [1.0], "a").count == 0
