import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from taskgan.stats import CORRECTIONS, adjusted_p_values

# Benjamini and Hochberg 1995, section 3.2: 15 comparisons of two treatments of myocardial infarction.
TRIAL = [
    *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459),
    *(0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000),
]


def test_benjamini_hochberg_rejects_the_four_of_their_paper_and_bonferroni_like_holm_three() -> None:
    assert sum(p <= 0.05 for p in adjusted_p_values(TRIAL, "benjamini-hochberg")) == 4
    assert sum(p <= 0.05 for p in adjusted_p_values(TRIAL, "holm")) == 3
    assert adjusted_p_values(TRIAL, "benjamini-hochberg")[3] == pytest.approx(0.0095 * 15 / 4)


def test_holm_multiplies_by_what_is_left_and_never_falls() -> None:
    # Holm 1979: 3 · .01, 2 · .03 and, as it may not fall below that, .06 again.
    assert adjusted_p_values([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])


def test_untested_comparisons_do_not_count() -> None:
    found = adjusted_p_values([0.02, math.nan, 0.04])
    assert (found[0], found[2]) == pytest.approx((0.04, 0.04))
    assert math.isnan(found[1])


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_one_comparison_needs_no_correction(correction: str) -> None:
    assert adjusted_p_values([0.03], correction) == [0.03]  # type: ignore[arg-type]
    assert adjusted_p_values([], correction) == []  # type: ignore[arg-type]


@settings(max_examples=10, deadline=None)  # statsmodels collects garbage at every call
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_they_are_what_statsmodels_makes_of_them(p_values: list[float]) -> None:
    assert adjusted_p_values(p_values, "holm") == pytest.approx(multipletests(p_values, method="holm")[1])
    found = adjusted_p_values(p_values, "benjamini-hochberg")
    assert found == pytest.approx(multipletests(p_values, method="fdr_bh")[1])


def test_none_changes_nothing() -> None:
    assert adjusted_p_values(TRIAL, "none") == TRIAL
