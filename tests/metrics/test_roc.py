import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from taskgan.metrics.roc import accuracy, auc, best_threshold, roc_curve

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40)


@settings(max_examples=60, deadline=None)
@given(PAIRS)
def test_it_is_scikit_learns_curve_also_with_ties(pairs: list[tuple[int, bool]]) -> None:
    distances, same = (np.array(column) for column in zip(*pairs, strict=True))
    assume(0 < same.sum() < len(same))
    found = roc_curve(distances, same)
    false, true, _ = sklearn_metrics.roc_curve(same, -distances, drop_intermediate=False)
    np.testing.assert_allclose(found.false_accepts, false, atol=1e-12)
    np.testing.assert_allclose(found.true_accepts, true, atol=1e-12)
    assert found.auc == pytest.approx(sklearn_metrics.roc_auc_score(same, -distances))
    assert np.all(np.diff(found.thresholds) > 0)


@settings(max_examples=40, deadline=None)
@given(PAIRS, st.integers(0, 99))
def test_a_weight_is_a_number_of_repetitions(pairs: list[tuple[int, bool]], seed: int) -> None:
    distances, same = (np.array(column) for column in zip(*pairs, strict=True))
    counts = np.random.default_rng(seed).integers(0, 3, (5, len(same)))
    assume(all(0 < (c * same).sum() < c.sum() for c in counts))
    together = roc_curve(distances, same, counts)
    for row, count in enumerate(counts):
        alone = roc_curve(np.repeat(distances, count), np.repeat(same, count))
        assert together.auc[row] == pytest.approx(alone.auc)
        assert together.equal_error_rate[row] == pytest.approx(alone.equal_error_rate)
        assert accuracy(distances, same, 3, counts)[row] == pytest.approx(
            accuracy(np.repeat(distances, count), np.repeat(same, count), 3)
        )


def test_equal_error_rates_of_known_pairs() -> None:
    assert roc_curve([1, 2, 3, 4], [1, 1, 0, 0]).equal_error_rate == 0
    assert roc_curve([3, 4, 1, 2], [1, 1, 0, 0]).equal_error_rate == 1
    assert roc_curve([1, 3, 2, 4], [1, 1, 0, 0]).equal_error_rate == 0.5
    assert roc_curve([1, 1, 1, 1], [1, 1, 0, 0]).equal_error_rate == 0.5  # along the straight line
    assert roc_curve([1, 2, 3, 4, 3, 5, 6, 7], [1, 1, 1, 1, 0, 0, 0, 0]).equal_error_rate == 0.25


def test_the_equal_error_rate_balances_both_errors_of_many_pairs() -> None:
    rng = np.random.default_rng(0)
    same = rng.random(20000) < 0.3
    distances = rng.normal(size=20000) + 2 * ~same
    rate = float(roc_curve(distances, same).equal_error_rate)
    assert rate == pytest.approx(0.1587, abs=0.01)  # Φ(−1): the threshold lies in the middle
    cut = np.quantile(distances[~same], rate)
    assert (distances[same] > cut).mean() == pytest.approx(rate, abs=2e-3)


def test_pairs_of_one_sort_have_no_rates() -> None:
    found = roc_curve([1.0, 2.0], [1, 1])
    assert np.isnan(found.auc)
    some = roc_curve([1.0, 2.0], [1, 0], [[1, 0], [1, 1]])
    assert np.isnan(some.auc[0])
    assert some.auc[1] == 1


@settings(max_examples=60, deadline=None)
@given(PAIRS)
def test_no_threshold_is_right_more_often(pairs: list[tuple[int, bool]]) -> None:
    distances, same = (np.array(column) for column in zip(*pairs, strict=True))
    best = accuracy(distances, same, best_threshold(distances, same))
    assert all(best >= accuracy(distances, same, cut) - 1e-12 for cut in np.arange(-0.5, 8, 0.5))


def test_a_threshold_lies_between_pairs_and_the_smallest_wins() -> None:
    assert best_threshold([1, 2, 4, 5], [1, 1, 0, 0]) == 3
    assert best_threshold([1, 2, 3, 4], [1, 0, 1, 0]) == 1.5
    assert best_threshold([3.0], [0]) < 3
    assert best_threshold([3.0], [1]) == 3


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="distances"):
        roc_curve([1, 2], [1])
    with pytest.raises(ValueError, match="weights"):
        roc_curve([1, 2], [1, 0], [[1, 1, 1]])
    with pytest.raises(ValueError, match="no pairs"):
        best_threshold([], [])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_auc_agrees_with_scikit_learn_also_with_ties(pairs: list[tuple[int, bool]]) -> None:
    scores, labels = [p[0] for p in pairs], [p[1] for p in pairs]
    if len(set(labels)) < 2:
        assert np.isnan(auc(scores, labels))
    else:
        assert auc(scores, labels) == pytest.approx(sklearn_metrics.roc_auc_score(labels, scores))
