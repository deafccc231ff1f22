import math

import numpy as np
import pytest
from scipy import stats

from taskgan.stats import (
    Components,
    ReaderFigures,
    RoeMetz,
    auc_difference,
    cases_for_readers,
    mrmc_power,
    obuchowski_rockette,
    reader_figures,
    roe_metz,
)

# Van Dyke et al. 1993: aortic dissection by spin-echo and cine MR, 114 patients, 45 with it; five readers. AUCs and
# the jackknife's components as MRMCaov 0.1.2 and RJafroc print them. The ratings are not in this repository:
# `experiments/mrmc_coverage.py --ratings` starts from them (results/mrmc/van-dyke.json).
VAN_DYKE = np.array(
    [
        [0.91964573, 0.85877617, 0.90386473, 0.97310789, 0.82979066],
        [0.94782609, 0.90531401, 0.92173913, 0.99935588, 0.92995169],
    ]
)
COV2 = (0.00048396180, 0.00020418785)  # of each method
PLAN = Components(0.00153499935, 0.00020040252, 0.00080228827, 0.00034661371, 0.00034407483, 0.00023902837, 5, 114)
HIGH = RoeMetz(reader=0.03, method_reader=0.03, case=0.3, method_case=0.3, reader_case=0.2, noise=0.2)


def van_dyke() -> ReaderFigures:
    """The published means of variances and covariances, alike for all pairs of a kind."""
    covariance = np.full((2, 5, 2, 5), PLAN.cov3)
    for i in range(2):
        covariance[i, :, i, :] = COV2[i]
        for j in range(5):
            covariance[i, j, 1 - i, j] = PLAN.cov1
            covariance[i, j, i, j] = (0.00101410277, 0.00059047376)[i]
    return ReaderFigures(VAN_DYKE, covariance, 114)


@pytest.mark.parametrize(
    ("random", "f", "freedom", "p", "low", "high"),
    [
        ("both", 4.4563187, 15.259675, 0.051665686, -0.087959499, 0.00035885444),
        ("cases", 5.4759532, math.inf, 0.019279843, -0.080485914, -0.0071147303),
        ("readers", 8.704, 4.0, 0.041958752, -0.085020224, -0.0025804202),
    ],
)
def test_van_dyke_as_published(random: str, f: float, freedom: float, p: float, low: float, high: float) -> None:
    found = obuchowski_rockette(van_dyke(), random=random)
    interval = found.differences[0, 1].interval
    assert (found.f, found.freedom[1], found.p) == pytest.approx((f, freedom, p), rel=1e-5)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-7)
    assert found.differences[0, 1].p == pytest.approx(p, rel=1e-5)  # of two methods t² is F
    assert found.components.reader == pytest.approx(PLAN.reader, rel=1e-5)
    assert found.components.method_reader == pytest.approx(PLAN.method_reader, rel=1e-5)


def test_each_method_of_van_dyke_as_published() -> None:
    first, second = obuchowski_rockette(van_dyke()).methods
    assert (first.estimate, first.low, first.high) == pytest.approx((0.89703704, 0.82522360, 0.96885048), abs=1e-7)
    assert (second.low, second.high) == pytest.approx((0.89413783, 0.98753689), abs=1e-7)
    assert obuchowski_rockette(van_dyke(), random="cases").methods[0].low == pytest.approx(0.84943008, abs=1e-7)


@pytest.mark.parametrize(
    ("random", "readers", "cases", "power"),
    # RJafroc's SsPowerGivenJK for these data.
    [
        ("both", 10, 165, 0.80541995),
        ("both", 6, 111, 0.5526116),
        ("cases", 10, 131, 0.80091813),
        ("readers", 10, 53, 0.80496663),
    ],
)
def test_power_of_van_dyke_as_published(random: str, readers: int, cases: int, power: float) -> None:
    effect = 0.043800322
    assert mrmc_power(PLAN, effect, readers, cases, random=random) == pytest.approx(power, abs=1e-6)


def test_cases_for_readers() -> None:
    effect = 0.043800322
    needed = [cases_for_readers(PLAN, effect, readers) for readers in range(2, 13)]
    assert needed[0] is None  # two random readers cannot show it with any number of cases
    assert needed[4] == 251  # six readers, as published
    assert needed[2:] == sorted((n for n in needed[2:] if n), reverse=True)
    fewer = cases_for_readers(PLAN, effect, 10)
    assert fewer is not None
    assert mrmc_power(PLAN, effect, 10, fewer) >= 0.8 > mrmc_power(PLAN, effect, 10, fewer - 1)
    assert math.isnan(mrmc_power(PLAN, effect, 1, 100))
    assert mrmc_power(PLAN, 0.0, 8, 200) == 0.05 == pytest.approx(mrmc_power(PLAN, 1e-6, 8, 200), abs=1e-6)
    assert mrmc_power(PLAN, 0.9, 8, 20_000) == pytest.approx(1)
    fixed = cases_for_readers(PLAN, effect, 10, random="cases")
    assert fixed is not None
    assert fixed < fewer


def dbm(scores: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Dorfman, Berbaum and Metz's F and Hillis's degrees of freedom: three-way analysis of jackknife pseudovalues."""
    methods, readers, cases = scores.shape

    def areas(kept: np.ndarray) -> np.ndarray:
        first, second = scores[..., kept & (truth == 1)], scores[..., kept & (truth == 0)]
        gap = first[..., :, None] - second[..., None, :]
        return ((gap > 0) + 0.5 * (gap == 0)).mean(axis=(-2, -1))

    whole = areas(np.ones(cases, dtype=bool))
    left_out = np.stack([areas(np.arange(cases) != k) for k in range(cases)], axis=-1)
    pseudo = cases * whole[..., None] - (cases - 1) * left_out

    def mean(*axes: int) -> np.ndarray:
        return pseudo.mean(axis=axes, keepdims=True)

    by_method = readers * cases * ((mean(1, 2) - mean(0, 1, 2)) ** 2).sum() / (methods - 1)
    two = mean(2) - mean(1, 2) - mean(0, 2) + mean(0, 1, 2)
    with_reader = cases * (two**2).sum() / ((methods - 1) * (readers - 1))
    three = mean(1) - mean(1, 2) - mean(0, 1) + mean(0, 1, 2)
    with_case = readers * (three**2).sum() / ((methods - 1) * (cases - 1))
    rest = pseudo - mean(0) - mean(1) - mean(2) + mean(0, 1) + mean(0, 2) + mean(1, 2) - mean(0, 1, 2)
    residual = (rest**2).sum() / ((methods - 1) * (readers - 1) * (cases - 1))
    below = with_reader + max(with_case - residual, 0)
    return by_method / below, below**2 / (with_reader**2 / ((methods - 1) * (readers - 1)))


@pytest.mark.parametrize(("methods", "seed"), [(2, 0), (3, 1), (4, 2)])
def test_with_the_jackknife_it_is_dbm(methods: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, truth = roe_metz(HIGH, tuple(np.linspace(1.2, 2.0, methods)), 4, 22, 17, rng=rng)
    scores = np.round(2 * scores)  # with ties
    found = obuchowski_rockette(reader_figures(scores, truth, covariance="jackknife"))
    f, freedom = dbm(scores, truth)
    assert (found.f, found.freedom[1]) == pytest.approx((f, freedom))
    assert found.freedom[0] == methods - 1


def test_one_fixed_reader_is_delongs_test() -> None:
    rng = np.random.default_rng(3)
    scores, truth = roe_metz(HIGH, (1.0, 1.8), 1, 30, 25, rng=rng)
    found = obuchowski_rockette(reader_figures(scores, truth), random="cases").differences[0, 1]
    known = auc_difference(scores[0, 0], scores[1, 0], truth, list(range(55)))
    assert (found.interval.estimate, found.error, found.p) == pytest.approx(
        (known.interval.estimate, known.error, known.p)
    )
    assert (found.interval.low, found.interval.high) == pytest.approx((known.interval.low, known.interval.high))


def test_fixed_cases_are_students_paired_test_over_readers() -> None:
    scores, truth = roe_metz(HIGH, (1.0, 1.8), 6, 30, 25, rng=np.random.default_rng(12))
    figures = reader_figures(scores, truth)
    found = obuchowski_rockette(figures, random="readers")
    known = stats.ttest_rel(figures.values[0], figures.values[1])
    ends = known.confidence_interval()
    interval = found.differences[0, 1].interval
    assert (found.p, interval.low, interval.high) == pytest.approx((known.pvalue, ends.low, ends.high))


@pytest.mark.parametrize("figure", ["error", "sensitivity", "specificity"])
def test_rates_have_the_covariance_of_means(figure: str) -> None:
    rng = np.random.default_rng(4)
    scores, truth = roe_metz(HIGH, (1.0, 1.8), 3, 30, 25, rng=rng)
    decisions = (scores > 0.8).astype(float)
    found = reader_figures(decisions, truth, figure=figure)
    wanted = {"error": truth >= 0, "sensitivity": truth == 1, "specificity": truth == 0}[figure]
    right = (decisions == truth)[..., wanted].reshape(6, -1)
    events = ~right if figure == "error" else right
    assert found.values.ravel() == pytest.approx(events.mean(axis=1))
    assert found.covariance.reshape(6, 6) == pytest.approx(np.cov(events) / wanted.sum())
    left_out = reader_figures(decisions, truth, figure=figure, covariance="jackknife")
    assert left_out.covariance == pytest.approx(found.covariance)


def test_three_covariances_agree() -> None:
    scores, truth = roe_metz(HIGH, (1.2, 1.8), 4, 60, 50, rng=np.random.default_rng(5))
    found = [
        obuchowski_rockette(reader_figures(scores, truth, covariance=method)).components
        for method in ("delong", "jackknife", "bootstrap")
    ]
    for name in ("error", "cov1", "cov2", "cov3"):
        values = [getattr(c, name) for c in found]
        assert values == pytest.approx([values[0]] * 3, rel=0.15)
        assert values[0] < values[1]  # the jackknife's is known to be the larger
    assert found[0].error > found[0].cov1 > found[0].cov3 > 0


def test_cases_of_one_subject_count_as_one() -> None:
    scores, truth = roe_metz(HIGH, (1.2, 1.8), 3, 25, 20, rng=np.random.default_rng(6))
    once = reader_figures(scores, truth)
    twice = reader_figures(np.tile(scores, 2), np.tile(truth, 2), list(range(45)) * 2)
    assert twice.cases == once.cases == 45
    assert twice.covariance == pytest.approx(once.covariance)
    assert reader_figures(np.tile(scores, 2), np.tile(truth, 2)).covariance.max() < 0.6 * once.covariance.max()


def test_readers_without_a_shared_case_have_no_covariance() -> None:
    scores, truth = roe_metz(HIGH, (1.2, 1.8), 4, 40, 40, rng=np.random.default_rng(7))
    block = np.arange(80) % 2
    split = scores.copy()
    split[:, :2, block == 1] = np.nan
    split[:, 2:, block == 0] = np.nan
    for method in ("delong", "jackknife"):
        found = reader_figures(split, truth, covariance=method)
        assert np.abs(found.covariance[:, :2, :, 2:]).max() == 0
        alone = reader_figures(scores[:, :2, block == 0], truth[block == 0], covariance=method)
        assert found.covariance[:, :2, :, :2] == pytest.approx(alone.covariance)
    crossed = obuchowski_rockette(reader_figures(scores, truth))
    divided = obuchowski_rockette(reader_figures(split, truth))
    assert divided.components.error > crossed.components.error  # each reader sees half of the cases
    assert divided.components.cov2 < divided.components.error / 2


def test_unpaired_readers_are_a_nested_analysis() -> None:
    # Other readers and other cases of each method: the two-sample t-test of the readers' figures.
    rng = np.random.default_rng(8)
    scores, truth = roe_metz(HIGH, (1.2, 1.8), 5, 60, 60, rng=rng)
    block = np.arange(120) % 10
    for i in range(2):
        for j in range(5):
            scores[i, j, block != 5 * i + j] = np.nan
    figures = reader_figures(scores, truth)
    found = obuchowski_rockette(figures, paired_readers=False)
    known = stats.ttest_ind(figures.values[0], figures.values[1])
    assert (found.p, found.freedom[1]) == pytest.approx((known.pvalue, 8))
    assert math.isnan(found.components.method_reader)


def test_what_cannot_be_told_is_nan() -> None:
    scores, truth = roe_metz(HIGH, (1.2, 1.8), 1, 20, 20, rng=np.random.default_rng(9))
    single = obuchowski_rockette(reader_figures(scores, truth))  # one random reader
    assert math.isnan(single.p)
    assert math.isnan(single.methods[0].low)
    perfect = obuchowski_rockette(reader_figures(np.tile(truth, (2, 3, 1)), truth))
    assert math.isnan(perfect.p)
    assert perfect.methods[0].estimate == 1
    assert math.isnan(perfect.methods[0].low)
    one = np.array([0, 0, 0, 0, 0, 0, 1])  # one positive case has no variance
    lonely = reader_figures(scores[:, :, :7], one)
    assert np.isnan(lonely.covariance).all()
    assert cases_for_readers(obuchowski_rockette(lonely).components, 0.1, 5) is None
    with pytest.raises(ValueError, match="expected scores of"):
        reader_figures(scores[0], truth)


def test_a_single_method_has_an_interval_and_no_test() -> None:
    scores, truth = roe_metz(HIGH, (1.2, 1.8), 4, 30, 30, rng=np.random.default_rng(13))
    pair = obuchowski_rockette(reader_figures(scores, truth))
    alone = obuchowski_rockette(reader_figures(scores[:1], truth))
    assert alone.methods[0] == pair.methods[0]
    assert alone.differences == {}
    assert math.isnan(alone.p)


def test_the_simulator_has_the_auc_it_says() -> None:
    separation = HIGH.separation(0.8)
    assert HIGH.auc(separation) == pytest.approx(0.8)
    scores, truth = roe_metz(HIGH, (separation, 0.0), 400, 100, 100, rng=np.random.default_rng(10))
    values = _areas(scores, truth)
    assert values[0].mean() == pytest.approx(0.8, abs=0.04)
    assert values[1].mean() == pytest.approx(0.5, abs=0.06)
    alike = roe_metz(RoeMetz(0, 0, 1, 0, 0, 0), (1.0,), 3, 20, 20, rng=np.random.default_rng(11))[0]
    assert np.ptp(alike, axis=1).max() == 0  # readers who only see the case


def _areas(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    ranks = stats.rankdata(scores, axis=-1)[..., truth == 1].sum(axis=-1)
    m, n = int(truth.sum()), int((1 - truth).sum())
    return np.asarray((ranks - m * (m + 1) / 2) / (m * n))
