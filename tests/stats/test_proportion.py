import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.proportion import proportion_confint

from taskgan.stats import exact_rate, mcnemar


def test_clopper_pearson_gives_the_published_ends() -> None:
    # 0 of 10: the upper end is 1 − .025^(1/10); 7 of 20 as in any table of exact limits.
    none = exact_rate(0, 10)
    assert (none.low, none.high) == (0.0, pytest.approx(1 - 0.025**0.1))
    seven = exact_rate(7, 20)
    assert seven.low == pytest.approx(0.1539, abs=1e-4)
    assert seven.high == pytest.approx(0.5922, abs=1e-4)
    assert exact_rate(10, 10).high == 1.0
    assert np.isnan(exact_rate(0, 0).estimate)


@settings(max_examples=50, deadline=None)
@given(count=st.integers(1, 60), share=st.floats(0, 1))
def test_an_exact_interval_holds_its_rate_and_mirrors(count: int, share: float) -> None:
    events = round(share * count)
    found, mirrored = exact_rate(events, count), exact_rate(count - events, count)
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    assert found.low == pytest.approx(1 - mirrored.high, abs=1e-9)
    scipys = stats.binomtest(events, count).proportion_ci(0.95, "exact")
    assert (found.low, found.high) == (pytest.approx(scipys.low), pytest.approx(scipys.high))


def test_half_an_event_lies_between_none_and_one() -> None:
    assert exact_rate(0, 10).high < exact_rate(0.5, 10).high < exact_rate(1, 10).high


def test_mcnemar_is_the_sign_test_of_the_discordant_pairs() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 5) == 1.0
    assert mcnemar(0, 6) == pytest.approx(2 * 0.5**6)
    assert mcnemar(1, 9) == mcnemar(9, 1) == pytest.approx(0.0215, abs=1e-4)


def test_clopper_pearson_is_what_statsmodels_calls_beta() -> None:
    for events, count in ((0, 7), (3, 7), (2.5, 12), (12, 12)):
        found = exact_rate(events, count)
        assert (found.low, found.high) == pytest.approx(proportion_confint(events, count, method="beta"))


def test_mcnemar_mid_p_gives_the_published_values() -> None:
    # Fagerland, Lydersen and Laake 2013 (10.1186/1471-2288-13-91), airway hyper-responsiveness of 21 children
    # before and after transplantation: discordant 1 and 7, exact p .070, mid-p .039.
    assert mcnemar(1, 7) == pytest.approx(0.0703, abs=5e-5)
    assert mcnemar(1, 7, mid_p=True) == pytest.approx(0.0391, abs=5e-5)


def test_mcnemar_of_the_approval_ratings() -> None:
    # Agresti, Categorical Data Analysis: 794, 150, 86, 570 approve or not at two times; z² = 17.36.
    score = 2 * stats.norm.sf(np.sqrt(17.36))
    exact, middle = mcnemar(150, 86), mcnemar(150, 86, mid_p=True)
    assert exact == pytest.approx(statsmodels_mcnemar([[794, 150], [86, 570]], exact=True).pvalue)
    assert middle == pytest.approx(score, rel=0.1)
    assert middle < exact < 1.35 * score


@given(st.integers(0, 40), st.integers(0, 40))
def test_mid_p_is_symmetric_and_between_none_and_the_exact_p(one: int, two: int) -> None:
    found = mcnemar(one, two, mid_p=True)
    assert found == mcnemar(two, one, mid_p=True)
    assert 0 < found <= mcnemar(one, two) <= 1
    assert (found == 1) == (one == two)


def test_mid_p_keeps_its_level_and_the_exact_test_is_shy() -> None:
    # All tables of 20 discordant pairs, by their probability under the null.
    chance = stats.binom.pmf(np.arange(21), 20, 0.5)
    level = {mid: sum(c for k, c in enumerate(chance) if mcnemar(k, 20 - k, mid_p=mid) < 0.05) for mid in (False, True)}
    assert level[False] <= 0.05
    assert level[False] <= level[True] < 0.06
