import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
from scipy.stats import ortho_group, spearmanr

from taskgan.metrics.geometry import FeatureMapping, hits, rank_correlation, retrieval, shrinkage, standardise

Array = NDArray[np.float64]


def cloud(count: int = 20, features: int = 5, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(count, features))


def mapping(restored: Array, clean: Array) -> FeatureMapping:
    return FeatureMapping(restored, clean, tuple(f"s{k}" for k in range(len(clean))))


def measures(restored: Array, clean: Array) -> tuple[float, float, float]:
    one = [mapping(restored, clean)]
    return (
        shrinkage(one, resamples=10).estimate,
        rank_correlation(one, resamples=10).estimate,
        retrieval(one).estimate,
    )


def test_the_identity_keeps_everything() -> None:
    assert measures(cloud(), cloud()) == pytest.approx((1, 1, 1))


@pytest.mark.parametrize("scale", [0.2, 0.8, 3.0])
def test_scaling_is_the_shrinkage_and_twists_nothing(scale: float) -> None:
    clean = cloud()
    found = measures(clean.mean(axis=0) + scale * (clean - clean.mean(axis=0)), clean)
    assert found[:2] == pytest.approx((scale, 1))


def test_a_mirror_image_keeps_distances_but_nobody_is_found() -> None:
    clean = cloud() + np.array([8, 0, 0, 0, 0])
    kept, order, own = measures(clean * [-1, 1, 1, 1, 1], clean)
    assert (kept, order) == pytest.approx((1, 1))
    assert own < 0.2
    swapped = clean[np.roll(np.arange(len(clean)), 1)]  # everybody is somebody else
    assert measures(swapped, clean)[::2] == pytest.approx((1, 0))


def test_random_positions_have_forgotten_the_order() -> None:
    kept, order, own = measures(cloud(60, 8, seed=1), cloud(60, 8))
    assert kept == pytest.approx(1, abs=0.15)
    assert abs(order) < 0.12
    assert own < 0.1
    interval = rank_correlation([mapping(cloud(60, 8, seed=1), cloud(60, 8))])
    assert not interval.excludes(0)


def test_measures_are_those_of_scipy_on_all_pairs() -> None:
    clean, restored = cloud(), cloud() + 0.8 * cloud(seed=1)
    kept, order, own = measures(restored, clean)
    assert kept == pytest.approx(pdist(restored).mean() / pdist(clean).mean())
    assert order == pytest.approx(spearmanr(pdist(restored), pdist(clean)).statistic)
    apart = np.linalg.norm(restored[:, None] - clean[None], axis=-1)
    assert own == pytest.approx((apart.argmin(axis=1) == np.arange(20)).mean())


def test_ties_get_middle_ranks() -> None:
    clean = np.array([[0.0], [1.0], [2.0], [3.0], [5.0], [9.0]])
    restored = np.array([[0.0], [2.0], [2.0], [3.0], [4.0], [4.0]])
    expected = spearmanr(pdist(restored), pdist(clean)).statistic
    assert rank_correlation([mapping(restored, clean)], resamples=10).estimate == pytest.approx(expected)


def test_distances_do_not_ask_where_or_how_turned_the_space_is() -> None:
    clean, restored = cloud(), cloud() + 0.8 * cloud(seed=1)
    turn = ortho_group.rvs(5, random_state=0)
    assert measures(restored @ turn + 7, clean @ turn + 7) == pytest.approx(measures(restored, clean))


def test_a_subject_drawn_twice_is_not_compared_with_itself() -> None:
    # Its distance of zero on both sides would look like an order that was kept.
    centres = []
    for seed in range(8):
        found = rank_correlation([mapping(cloud(12, 8, seed=100 + seed), cloud(12, 8, seed=seed))])
        centres.append((found.low + found.high) / 2 - found.estimate)
    assert abs(np.mean(centres)) < 0.05
    # Where all distances change by one factor, every resample gives that factor.
    interval = shrinkage([mapping(0.7 * cloud(), cloud())], resamples=300)
    assert (interval.low, interval.high) == pytest.approx((0.7, 0.7))


def test_without_an_order_there_is_none_to_keep() -> None:
    simplex = np.eye(8)  # all as far from each other
    found = rank_correlation([mapping(simplex / 2, simplex)], resamples=20)
    assert np.isnan(found.estimate)


def test_further_cases_of_a_subject_are_neither_rivals_nor_pairs() -> None:
    clean, restored = cloud(8), cloud(8) + 0.5 * cloud(8, seed=1)
    once = mapping(restored, clean)
    double = FeatureMapping(np.repeat(restored, 2, 0), np.repeat(clean, 2, 0), tuple(np.repeat(once.subjects, 2)))
    for measure in (shrinkage, rank_correlation):
        first, second = measure([once], resamples=50), measure([double], resamples=50)
        assert (second.low, second.high) == pytest.approx((first.low, first.high))
    assert retrieval([double]) == retrieval([once])
    # One subject with ten cases weighs as much as one with a single one.
    far = restored.copy()
    far[0] += 50
    index = np.array([0] * 10 + list(range(1, 8)))
    many = FeatureMapping(far[index], clean[index], tuple(once.subjects[k] for k in index))
    assert shrinkage([many], resamples=5).estimate == pytest.approx(
        shrinkage([mapping(far, clean)], resamples=5).estimate
    )


def test_seeds_are_measured_one_by_one() -> None:
    clean = cloud(30)
    noisy = [mapping(clean + 1.5 * cloud(30, seed=s), clean) for s in (1, 2, 3, 4)]
    alone = [rank_correlation([one], resamples=5).estimate for one in noisy]
    assert rank_correlation(noisy, resamples=5).estimate == pytest.approx(np.mean(alone))
    # Averaging the restorations first would have hidden most of what they do.
    averaged = mapping(np.mean([one.restored for one in noisy], axis=0), clean)
    assert rank_correlation([averaged], resamples=5).estimate > max(alone) + 0.1


def test_hits_count_ties_by_chance() -> None:
    clean = np.array([[0.0], [1.0], [5.0]])
    collapsed = mapping(np.array([[0.5], [0.5], [0.5]]), clean)
    assert hits(collapsed).tolist() == [0.5, 0.5, 0.0]


def test_paired_differences_are_of_the_common_subjects() -> None:
    clean = cloud(20)
    better, worse = (mapping(clean + 0.3 * cloud(20, seed=1), clean), mapping(clean + 2 * cloud(20, seed=2), clean))
    for measure, sign in ((rank_correlation, 1), (retrieval, 1), (shrinkage, -1)):
        gap = measure([better], against=[worse])
        assert gap.estimate == pytest.approx(measure([better]).estimate - measure([worse]).estimate)
        assert sign * gap.estimate > 0
        assert gap.excludes(0)
        assert measure([better], against=[better]).estimate == 0
    part = worse.subset(worse.subjects[:10])
    expected = shrinkage([better.subset(part.subjects)]).estimate - shrinkage([part]).estimate
    assert shrinkage([better], against=[part]).estimate == pytest.approx(expected)


def test_few_subjects_have_a_value_but_no_interval() -> None:
    found = shrinkage([mapping(cloud(4) / 2, cloud(4))])
    assert found.estimate == pytest.approx(0.5)
    assert np.isnan(found.low)
    assert np.isnan(shrinkage([mapping(cloud(1), cloud(1))]).estimate)
    assert np.isnan(shrinkage([]).estimate)


@pytest.mark.parametrize("count", [12, 25])
def test_intervals_cover_what_they_should(count: int) -> None:
    rng = np.random.default_rng(3)

    def pair(n: int) -> tuple[Array, Array]:
        clean = rng.normal(size=(n, 4)) * [2, 1, 1, 0.5]
        return 0.6 * clean + 0.5 * rng.normal(size=clean.shape), clean

    restored, clean = pair(1500)
    a, b = pdist(restored), pdist(clean)
    truth = {shrinkage: a.mean() / b.mean(), rank_correlation: spearmanr(a, b).statistic}
    rounds = 120
    for measure, value in truth.items():
        drawn = [measure([mapping(*pair(count))], resamples=300, seed=r) for r in range(rounds)]
        covered = np.mean([one.low <= value <= one.high for one in drawn])
        assert 0.89 <= covered <= 1.0, measure  # 0.95 less two and a half standard errors
        width = np.mean([one.high - one.low for one in drawn])
        spread = np.std([one.estimate for one in drawn])
        assert width < 2.2 * 2 * 1.96 * spread, measure  # covers because it is right, not because it is wide


def test_standardised_features_are_those_that_tell_clean_images_apart() -> None:
    clean = cloud(30) * [1, 100, 0.01, 1, 1] + 5
    clean[:, 3] = 2.5
    scaled = standardise(clean, clean)
    assert scaled.shape == (30, 4)
    assert scaled.mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-9)
    assert scaled.std(axis=0) == pytest.approx(np.ones(4))
    # Units of single features do not matter.
    moved = standardise(clean * [3, 1, 7, 1, 0.1] - 1, clean * [3, 1, 7, 1, 0.1] - 1)
    assert moved == pytest.approx(scaled)
    assert standardise(clean + clean.std(axis=0), clean) == pytest.approx(scaled + 1)


def test_positions_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(N, F\) both"):
        mapping(cloud(3), cloud(4))
    with pytest.raises(ValueError, match="2 subjects for 3 cases"):
        FeatureMapping(cloud(3), cloud(3), ("a", "b"))
