import time

import numpy as np
import pytest

from taskgan.judges.verification import ImagePairs, verification_difference, verify
from taskgan.metrics.roc import accuracy, best_threshold, roc_curve


def _pairs(seed: int = 0) -> tuple[ImagePairs, np.ndarray]:
    """LFW's view 1: 500 + 500 pairs of some nine hundred people."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 960, 1000)
    second = np.where(np.arange(1000) < 500, first, (first + rng.integers(1, 960, 1000)) % 960)
    pairs = ImagePairs.from_people(first.tolist(), second.tolist())
    return pairs, 1.5 * ~pairs.same + rng.normal(size=1000)


def test_the_figures_of_one_method() -> None:
    pairs, distances = _pairs()
    other, theirs = _pairs(1)
    cut = best_threshold(theirs, other.same)
    began = time.process_time()
    found = verify(distances, pairs, cut)
    assert time.process_time() - began < 5
    assert (found.pairs, found.thresholds) == (1000, (cut,))
    assert found.people == pairs.count
    assert found.auc.estimate == found.auc_by_person.estimate == pytest.approx(roc_curve(distances, pairs.same).auc)
    assert found.accuracy.estimate == accuracy(distances, pairs.same, cut)
    assert found.accuracy.estimate == pytest.approx(0.773, abs=0.04)  # Φ(0.75)
    assert found.equal_error_rate.estimate == pytest.approx(1 - 0.773, abs=0.04)
    for interval in (found.auc, found.auc_by_person, found.equal_error_rate, found.accuracy):
        assert interval.low < interval.estimate < interval.high
        assert interval.high - interval.low < 0.15


def test_the_threshold_is_not_chosen_on_the_pairs_that_it_judges() -> None:
    pairs, distances = _pairs()
    far = verify(distances, pairs, 100.0)
    assert far.accuracy.estimate == 0.5
    assert far.equal_error_rate == verify(distances, pairs, 0.7).equal_error_rate


def test_seeds_have_thresholds_of_their_own() -> None:
    pairs, distances = _pairs()
    rows = np.stack([distances, 10 * distances])
    found = verify(rows, pairs, [0.75, 7.5])
    alone = verify(distances, pairs, 0.75)
    assert found.accuracy == alone.accuracy
    assert found.equal_error_rate == alone.equal_error_rate
    with pytest.raises(ValueError, match="broadcast"):
        verify(rows, pairs, [0.75, 7.5, 1.0])


def test_a_better_method_is_seen_on_the_same_pairs() -> None:
    pairs, distances = _pairs()
    better = distances + 0.3 * ~pairs.same
    found = verification_difference(better, distances, pairs)
    assert found.auc.interval.estimate == found.auc_by_person.interval.estimate > 0
    assert found.auc_by_person.p < 0.001
    assert found.equal_error_rate.high < 0
    same = verification_difference(distances, distances, pairs)
    assert same.equal_error_rate.low == same.equal_error_rate.estimate == same.equal_error_rate.high == 0
