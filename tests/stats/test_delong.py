import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from taskgan.metrics.roc import auc
from taskgan.stats import auc_difference, auc_interval, equivalence

# Albumin, total protein and K-G score of 43 patients with ovarian cancer, and who gained by surgery: DeLong et al.
# 1988, as printed in the SAS/STAT User's Guide (LOGISTIC, "Comparing Receiver Operating Characteristic Curves").
# fmt: off
OVARIAN = np.array([
    (3.0, 5.8, 10, 0), (3.2, 6.3, 5, 1), (3.9, 6.8, 3, 1), (2.8, 4.8, 6, 0), (3.2, 5.8, 3, 1),
    (0.9, 4.0, 5, 0), (2.5, 5.7, 8, 0), (1.6, 5.6, 5, 1), (3.8, 5.7, 5, 1), (3.7, 6.7, 6, 1),
    (3.2, 5.4, 4, 1), (3.8, 6.6, 6, 1), (4.1, 6.6, 5, 1), (3.6, 5.7, 5, 1), (4.3, 7.0, 4, 1),
    (3.6, 6.7, 4, 0), (2.3, 4.4, 6, 1), (4.2, 7.6, 4, 0), (4.0, 6.6, 6, 0), (3.5, 5.8, 6, 1),
    (3.8, 6.8, 7, 1), (3.0, 4.7, 8, 0), (4.5, 7.4, 5, 1), (3.7, 7.4, 5, 1), (3.1, 6.6, 6, 1),
    (4.1, 8.2, 6, 1), (4.3, 7.0, 5, 1), (4.3, 6.5, 4, 1), (3.2, 5.1, 5, 1), (2.6, 4.7, 6, 1),
    (3.3, 6.8, 6, 0), (1.7, 4.0, 7, 0), (3.7, 6.1, 5, 1), (3.3, 6.3, 7, 1), (4.2, 7.7, 6, 1),
    (3.5, 6.2, 5, 1), (2.9, 5.7, 9, 0), (2.1, 4.8, 7, 1), (2.8, 6.2, 8, 0), (4.0, 7.0, 7, 1),
    (3.3, 5.7, 6, 1), (3.7, 6.9, 5, 1), (3.6, 6.6, 5, 1),
])
# fmt: on
ALBUMIN, PROTEIN, SCORE, GAINED = OVARIAN[:, 0], OVARIAN[:, 1], -OVARIAN[:, 2], OVARIAN[:, 3]
PATIENTS = range(len(OVARIAN))


def logit_error(scores: NDArray[np.float64], labels: NDArray[np.float64], subjects: object) -> float:
    """The standard error that an interval of one AUC was made of."""
    found = auc_interval(scores, labels, subjects)  # type: ignore[arg-type]
    ends = np.log([found.low / (1 - found.low), found.high / (1 - found.high)])
    return float((ends[1] - ends[0]) / 2 / 1.959964 * found.estimate * (1 - found.estimate))


def test_one_auc_and_its_error_are_the_published_ones() -> None:
    for scores, area, error in ((ALBUMIN, 0.7366, 0.0927), (SCORE, 0.7258, 0.1028), (PROTEIN, 0.6478, 0.1000)):
        assert auc_interval(scores, GAINED, PATIENTS).estimate == pytest.approx(area, abs=5e-5)
        assert logit_error(scores, GAINED, PATIENTS) == pytest.approx(error, abs=5e-5)


def test_the_difference_of_two_aucs_is_the_published_one() -> None:
    protein = auc_difference(PROTEIN, SCORE, GAINED, PATIENTS)
    assert (protein.interval.estimate, protein.error) == pytest.approx((-0.0780, 0.1046), abs=5e-5)
    assert (protein.interval.low, protein.interval.high) == pytest.approx((-0.2830, 0.1271), abs=5e-5)
    assert protein.p == pytest.approx(0.4561, abs=5e-5)
    albumin = auc_difference(ALBUMIN, SCORE, GAINED, PATIENTS)
    assert (albumin.interval.estimate, albumin.error) == pytest.approx((0.0108, 0.0953), abs=5e-5)
    assert albumin.p == pytest.approx(0.9102, abs=5e-5)
    assert (albumin.count, albumin.freedom) == (43, float("inf"))


def by_definition(scores: NDArray[np.float64], labels: NDArray[np.float64], subjects: list[int]) -> NDArray[np.float64]:
    """Obuchowski's covariance (1997), every pair of cases compared and every subject summed in a loop."""
    who = np.array(subjects)
    pos, neg = labels == 1, labels == 0
    m, n = pos.sum(), neg.sum()
    kernel = np.array([(s[pos][:, None] > s[neg]) + 0.5 * (s[pos][:, None] == s[neg]) for s in scores])
    areas = kernel.mean(axis=(1, 2))
    first, second = kernel.mean(axis=2), kernel.mean(axis=1)
    x = {s: (first[:, who[pos] == s] - areas[:, None]).sum(axis=1) for s in set(subjects)}
    y = {s: (second[:, who[neg] == s] - areas[:, None]).sum(axis=1) for s in set(subjects)}
    i10, i01, i = len(set(who[pos])), len(set(who[neg])), len(set(subjects))
    s10 = i10 / ((i10 - 1) * m) * sum(np.outer(x[s], x[s]) for s in x)
    s01 = i01 / ((i01 - 1) * n) * sum(np.outer(y[s], y[s]) for s in x)
    s11 = i / (i - 1) * sum(np.outer(x[s], y[s]) for s in x)
    return np.asarray(s10 / m + s01 / n + (s11 + s11.T) / (m * n))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_clusters_and_ties_agree_with_the_definition(seed: int, cases: int) -> None:
    rng = np.random.default_rng(seed)
    subjects = [int(s) for s in rng.integers(0, 30 // cases, 30)]
    labels = rng.integers(0, 2, 30).astype(float)  # also both labels within a subject
    scores = rng.integers(0, 6, (2, 30)) + labels
    covariance = by_definition(scores, labels, subjects)
    found = auc_difference(scores[0], scores[1], labels, subjects)
    expected = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    assert found.error**2 == pytest.approx(max(expected, 0), abs=1e-12) or expected < 1e-15
    one = auc_interval(scores[0], labels, subjects)
    if 0 < one.estimate < 1 and covariance[0, 0] > 1e-12:
        assert logit_error(scores[0], labels, subjects) ** 2 == pytest.approx(covariance[0, 0], rel=1e-5)


def test_repeating_every_case_narrows_nothing() -> None:
    thrice = auc_interval(np.tile(ALBUMIN, 3), np.tile(GAINED, 3), [*PATIENTS] * 3)
    once = auc_interval(ALBUMIN, GAINED, PATIENTS)
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high))
    as_if_others = auc_interval(np.tile(ALBUMIN, 3), np.tile(GAINED, 3), range(129))
    assert as_if_others.high - as_if_others.low < 0.65 * (once.high - once.low)


def test_seeds_are_averaged_as_aucs() -> None:
    both = auc_interval(np.stack([ALBUMIN, PROTEIN]), GAINED, PATIENTS)
    assert both.estimate == pytest.approx((auc(ALBUMIN, GAINED) + auc(PROTEIN, GAINED)) / 2)
    gap = auc_difference(np.stack([ALBUMIN, PROTEIN]), SCORE, GAINED, PATIENTS)
    assert gap.interval.estimate == pytest.approx(both.estimate - auc(SCORE, GAINED))
    copies = auc_difference(np.stack([PROTEIN, PROTEIN]), SCORE, GAINED, PATIENTS)
    assert copies.error == pytest.approx(auc_difference(PROTEIN, SCORE, GAINED, PATIENTS).error)


def test_unknown_scores_and_labels_are_left_out() -> None:
    scores, labels = ALBUMIN.copy(), GAINED.copy()
    scores[3], labels[5] = np.nan, np.nan
    kept = [i for i in PATIENTS if i not in (3, 5)]
    found = auc_interval(scores, labels, PATIENTS)
    assert found == auc_interval(ALBUMIN[kept], GAINED[kept], kept)
    assert auc_difference(scores, SCORE, labels, PATIENTS).count == 41


def test_what_cannot_be_estimated_has_no_interval() -> None:
    perfect = auc_interval([1, 2, 3, 4], [0, 0, 1, 1], "abcd")
    assert perfect.estimate == 1
    assert np.isnan(perfect.low)
    assert np.isnan(auc_interval([1, 2, 3, 2], [0, 0, 0, 1], "abcd").low)  # one positive
    assert np.isnan(auc_interval([1, 2], [1, 1], "ab").estimate)
    # Two perfect readers of few subjects are not thereby shown to be equivalent.
    both = auc_difference(range(8), np.arange(8) ** 2, np.repeat([0, 1], 4), range(8))
    assert both.interval.estimate == 0
    assert np.isnan([both.interval.low, both.p, both.error, equivalence(both, 0.5).p]).all()
    few = auc_difference([1, 2, 3], [3, 2, 1], [0, 0, 1], "abc")
    assert few.interval.estimate == 1
    assert np.isnan(few.p)
    five, truth = [1, 3, 2, 5, 4], [0, 1, 0, 1, 0]  # as for a mean: nothing is tested below six
    assert np.isnan(
        [auc_difference(five, five[::-1], truth, "abcde").p, auc_interval(five[::-1], truth, "abcde").low]
    ).all()


def test_coverage_of_the_logit_interval_also_with_two_cases_a_subject() -> None:
    rng = np.random.default_rng(7)
    runs, kept, kept_in_clusters, kept_wrongly = 800, 0, 0, 0
    labels = np.repeat([1.0, 0.0], [10, 30])
    for _ in range(runs):
        own = rng.normal(size=40)
        found = auc_interval(own + 1.2 * labels, labels, range(40))
        kept += found.low <= stats.norm.cdf(1.2 / np.sqrt(2)) <= found.high
        twice = (own[:, None] + 0.5 * rng.normal(size=(40, 2)) + 1.2 * labels[:, None]).ravel()
        true = stats.norm.cdf(1.2 / np.sqrt(2 * 1.25))
        found = auc_interval(twice, np.repeat(labels, 2), np.repeat(range(40), 2).tolist())
        kept_in_clusters += found.low <= true <= found.high
        found = auc_interval(twice, np.repeat(labels, 2), range(80))
        kept_wrongly += found.low <= true <= found.high
    low, high = stats.binom.ppf([0.001, 0.999], runs, 0.95)
    assert low <= kept <= high
    assert low <= kept_in_clusters <= high
    assert kept_wrongly < low  # cases taken for subjects: too narrow


def test_two_equally_good_scores_differ_in_one_of_twenty_studies() -> None:
    rng = np.random.default_rng(8)
    runs, labels = 800, np.repeat([1.0, 0.0], [15, 30])
    rejected = 0
    for _ in range(runs):
        own = rng.normal(size=45) + labels
        one, two = own + 0.6 * rng.normal(size=(2, 45))
        rejected += auc_difference(one, two, labels, range(45)).p < 0.05
    low, high = stats.binom.ppf([0.001, 0.999], runs, [0.04, 0.06])
    assert low <= rejected <= high
