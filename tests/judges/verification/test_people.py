import numpy as np
import pytest
from numpy.typing import NDArray

from taskgan.judges.verification import (
    ImagePairs,
    auc_difference_by_person,
    auc_interval_by_person,
    bootstrap_by_person,
)
from taskgan.metrics.roc import roc_curve
from taskgan.stats import auc_difference, auc_interval


def _strangers(count: int) -> ImagePairs:
    """Nobody is on two pairs."""
    return ImagePairs.from_people(
        [f"a{k}" for k in range(2 * count)], [f"{'a' if k < count else 'b'}{k}" for k in range(2 * count)]
    )


def _acquainted(rng: np.random.Generator, people: int, same: int, other: int) -> ImagePairs:
    first = rng.integers(0, people, same + other)
    second = np.where(np.arange(same + other) < same, first, (first + rng.integers(1, people, same + other)) % people)
    return ImagePairs.from_people(first.tolist(), second.tolist())


def _distances(rng: np.random.Generator, pairs: ImagePairs, own: float) -> NDArray[np.float64]:
    """Some people are far from everybody, themselves included."""
    far = own * rng.normal(size=int(pairs.people.max()) + 1)
    return 1.2 * ~pairs.same + far[pairs.people].sum(axis=1) + rng.normal(size=len(pairs))


def test_who_is_on_a_pair_decides_whether_it_is_of_one_person() -> None:
    pairs = ImagePairs.from_people(["x", "y", "x"], ["x", "z", "y"])
    assert pairs.same.tolist() == [True, False, False]
    assert pairs.count == 3
    for first, second in ((["x"], ["x"]), (["x"], ["y"]), (["x"], ["x", "y"])):
        with pytest.raises(ValueError, match="expected"):
            ImagePairs.from_people(first, second)
    with pytest.raises(ValueError, match="NaN"):
        pairs.distances([0.1, np.nan, 0.2])
    with pytest.raises(ValueError, match="for 3 pairs"):
        pairs.distances([0.1, 0.2])


def test_where_nobody_is_on_two_pairs_it_is_delongs_interval() -> None:
    rng, pairs = np.random.default_rng(0), _strangers(60)
    one, two = (_distances(rng, pairs, 0) for _ in range(2))
    plain, ours = auc_interval(-one, pairs.same, range(120)), auc_interval_by_person(one, pairs)
    assert ours.estimate == pytest.approx(plain.estimate)
    assert (ours.low, ours.high) == pytest.approx((plain.low, plain.high), abs=2e-3)
    difference, ourselves = (
        auc_difference(-one, -two, pairs.same, range(120)),
        auc_difference_by_person(one, two, pairs),
    )
    assert ourselves.interval.estimate == pytest.approx(difference.interval.estimate)
    assert ourselves.error == pytest.approx(difference.error, rel=0.02)
    assert ourselves.count == pairs.count == 180


def test_a_pair_that_is_listed_twice_adds_nothing() -> None:
    rng, pairs = np.random.default_rng(1), _strangers(80)
    distances = _distances(rng, pairs, 0)
    twice = ImagePairs(np.tile(pairs.same, 2), np.tile(pairs.people, (2, 1)))
    once, again = (auc_interval_by_person(distances, pairs), auc_interval_by_person(np.tile(distances, 2), twice))
    assert again.high - again.low == pytest.approx(once.high - once.low, rel=1e-6)
    naive = auc_interval(-np.tile(distances, 2), twice.same, range(len(twice)))
    assert naive.high - naive.low < 0.75 * (once.high - once.low)


def test_it_covers_the_truth_where_people_are_on_many_pairs_and_delongs_does_not() -> None:
    # Some people look like nobody else: N(0, 1) against N(1.2, 1 + 2), which are in order with Φ(1.2 / √(1 + 3)).
    truth, hits = 0.72575, np.zeros(2)
    for trial in range(200):
        rng = np.random.default_rng([trial, 1])
        pairs = _acquainted(rng, 30, 60, 300)
        unlike = rng.normal(size=30)[pairs.people].sum(axis=1)
        distances = (1.2 + unlike) * ~pairs.same + rng.normal(size=len(pairs))
        found = (auc_interval_by_person(distances, pairs), auc_interval(-distances, pairs.same, range(len(pairs))))
        hits += [one.low < truth < one.high for one in found]
    ours, plain = hits / 200
    assert ours > 0.9
    assert plain < 0.85


def test_a_paired_difference_sees_more_than_two_intervals() -> None:
    rng = np.random.default_rng(3)
    pairs = _acquainted(rng, 300, 200, 200)
    worse = _distances(rng, pairs, 0.3)
    better = worse + 0.6 * ~pairs.same
    found = auc_difference_by_person(better, worse, pairs)
    assert found.interval.estimate > 0
    assert found.p < 1e-4
    alone = auc_interval_by_person(better, pairs)
    assert found.interval.high - found.interval.low < alone.high - alone.low
    turned = auc_difference_by_person(worse, better, pairs)
    assert turned.interval.estimate == pytest.approx(-found.interval.estimate)
    nothing = auc_difference_by_person(worse, worse, pairs)
    assert np.isnan(nothing.p)


def test_seeds_are_averaged_within_the_pairs() -> None:
    rng = np.random.default_rng(4)
    pairs = _acquainted(rng, 100, 80, 80)
    rows = np.stack([_distances(rng, pairs, 0.2) for _ in range(3)])
    together = auc_interval_by_person(rows, pairs)
    each = [auc_interval_by_person(row, pairs) for row in rows]
    assert together.estimate == pytest.approx(np.mean([one.estimate for one in each]))
    assert together.high - together.low < max(one.high - one.low for one in each)


def test_few_people_and_perfect_distances_have_no_interval() -> None:
    few = ImagePairs.from_people(["a", "b", "a", "b"], ["a", "b", "b", "c"])
    assert np.isnan(auc_interval_by_person([1, 2, 1.5, 3], few).low)
    assert np.isnan(bootstrap_by_person(lambda c: roc_curve([1, 2, 1.5, 3], few.same, c).auc, few).low)
    many = _strangers(20)
    perfect = auc_interval_by_person(np.where(many.same, 0.0, 1.0), many)
    assert perfect.estimate == 1
    assert np.isnan(perfect.low)


def test_the_bootstrap_draws_people_and_repeats_itself() -> None:
    rng = np.random.default_rng(5)
    pairs = _acquainted(rng, 60, 100, 150)
    distances = _distances(rng, pairs, 0.7)
    seen: list[NDArray[np.float64]] = []

    def statistic(counts: NDArray[np.float64] | None) -> NDArray[np.float64]:
        if counts is not None:
            seen.append(counts)
        return roc_curve(distances, pairs.same, counts).auc

    found = bootstrap_by_person(statistic, pairs, resamples=300)
    assert found == bootstrap_by_person(statistic, pairs, resamples=300)
    assert found != bootstrap_by_person(statistic, pairs, resamples=300, seed=1)
    assert found.low < found.estimate < found.high
    # A person who was not drawn is on no pair of that draw.
    absent = (seen[0][:, pairs.same] == 0) & (pairs.people[pairs.same, 0] == pairs.people[0, 0])
    draw = int(np.argmax(absent.any(axis=1)))
    on = (pairs.people == pairs.people[0, 0]).any(axis=1)
    assert not seen[0][draw, on].any()
    analytic = auc_interval_by_person(distances, pairs)
    assert found.high - found.low > 0.9 * (analytic.high - analytic.low)
