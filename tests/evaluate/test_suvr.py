import numpy as np
import pytest
from fake_cohort import CORTEX, REFERENCE, brain

from taskgan.evaluate.suvr import agreement, composite

# Peak expiratory flow by two meters, 17 subjects: Bland and Altman 1986, Table 1 (first readings).
LARGE = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def test_the_composite_of_a_known_brain_is_known() -> None:
    image = brain(1.52, np.random.default_rng(0))
    assert composite(image, CORTEX, REFERENCE) == pytest.approx(1.52, abs=1e-5)
    assert composite(image * np.float32(3000), CORTEX, REFERENCE) == pytest.approx(1.52, abs=1e-4)


def test_empty_regions_and_an_empty_reference_have_no_composite() -> None:
    image, nothing = brain(1.2, np.random.default_rng(0)), np.zeros_like(CORTEX)
    assert np.isnan(composite(image, nothing, REFERENCE))
    assert np.isnan(composite(image, CORTEX, nothing))
    assert np.isnan(composite(image * 0, CORTEX, REFERENCE))


def test_limits_of_agreement_are_the_published_ones() -> None:
    found = agreement(LARGE, MINI, range(17))
    assert found.bias.estimate == pytest.approx(-2.1, abs=0.05)
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(38.8, abs=0.05)
    assert found.count == 17


def test_shrinking_shows_in_the_slope_and_not_in_the_bias() -> None:
    clean = np.linspace(1.0, 1.8, 11)
    found = agreement(clean.mean() + 0.7 * (clean - clean.mean()), clean, range(11))
    assert found.bias.estimate == pytest.approx(0.0, abs=1e-12)
    assert found.slope.estimate == pytest.approx(0.7)
    assert found.slope.excludes(1.0)


def test_unknown_composites_are_left_out() -> None:
    found = agreement([1.0, np.nan, 1.4, 1.6], [1.0, 1.2, 1.4, np.nan], "abcd")
    assert found.count == 2
    assert agreement([np.nan], [1.0], "a").count == 0
