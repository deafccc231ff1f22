import numpy as np
import pytest

from taskgan.simulate.pet.acquire import SOFT_PER_CM, attenuation_factors, prompts, system_model, thin_counts
from taskgan.simulate.pet.projector import Projector


@pytest.fixture(scope="module")
def model(projector, make_disc):
    activity = make_disc(projector.scanner, 70.0, 4.0)
    return system_model(projector, activity, make_disc(projector.scanner, 80.0, SOFT_PER_CM)), activity


def _means(model, activity):
    blurred = model.projector.blur(activity)
    return [model.expected(blurred, s) for s in range(model.projector.scanner.subsets)]


def test_attenuation_is_exponential_in_the_chord(make_scanner, make_disc):
    scanner = make_scanner(subsets=1, resolution_mm=0.0)
    projector = Projector(scanner)
    survive = attenuation_factors(projector, make_disc(scanner, 80.0, SOFT_PER_CM))[0][..., 0]
    middle = survive.reshape(scanner.angles, scanner.radial_bins)[:, 29:31]
    chord = 0.1 * 2 * np.sqrt(80.0**2 - 2.0**2)
    np.testing.assert_allclose(middle, np.exp(-SOFT_PER_CM * chord), rtol=0.03)


def test_nothing_in_the_way_attenuates_nothing(projector):
    air = np.zeros((48, 48, 1), dtype=np.float32)
    assert all((a == 1).all() for a in attenuation_factors(projector, air))


def test_background_is_its_share_of_the_trues(model):
    known, activity = model
    scanner = known.projector.scanner
    total = sum(float(m.sum(dtype=np.float64)) for m in _means(known, activity))
    background = sum(float(b.expand().sum(dtype=np.float64)) for b in known.background)
    # Trues whose TOF falls outside the bins are lost to both.
    assert background / (total - background) == pytest.approx(scanner.scatter + scanner.randoms, rel=0.01)
    assert all((b.expand() > 0).all() for b in known.background)


def test_prompts_are_poisson(model):
    known, activity = model
    means = np.concatenate([m.ravel() for m in _means(known, activity)]).astype(np.float64)
    draws = [
        np.concatenate([c.ravel() for c in prompts(known, activity, np.random.default_rng(seed))]) for seed in range(30)
    ]
    stack = np.stack(draws).astype(np.float64)
    bins = means.size
    standard = (stack - means) / np.sqrt(means)
    heavy = means > 0.05
    assert abs(standard[:, heavy].mean()) < 5 / np.sqrt(30 * heavy.sum())
    assert stack.sum(axis=1).mean() == pytest.approx(means.sum(), rel=5 / np.sqrt(30 * means.sum()))
    assert stack.var(axis=0, ddof=1).sum() == pytest.approx(means.sum(), rel=0.02)
    assert bins > 10_000


@pytest.mark.parametrize("keep", [0.01, 0.25])
def test_thinned_counts_have_binomial_mean_and_variance(keep):
    trials, bins = 200, 4000
    counts = [np.full(bins, 40, dtype=np.uint16)]
    stack = np.stack([thin_counts(counts, keep, np.random.default_rng(seed))[0] for seed in range(trials)]).astype(
        float
    )
    mean, variance = 40 * keep, 40 * keep * (1 - keep)
    assert stack.mean() == pytest.approx(mean, abs=5 * np.sqrt(variance / stack.size))
    assert stack.var() == pytest.approx(variance, rel=0.02)
    # Given the prompts the variance is binomial, not Poisson: 25 % would show it.
    if keep == 0.25:
        assert stack.var() < 0.9 * mean


def test_thinning_keeps_a_part_of_the_same_counts(model, rng):
    known, activity = model
    full = prompts(known, activity, rng)
    quarter = thin_counts(full, 0.25, rng)
    hundredth = thin_counts(quarter, 0.04, rng)
    for a, b, c in zip(full, quarter, hundredth, strict=True):
        assert (b <= a).all()
        assert (c <= b).all()
        assert a.dtype == c.dtype == np.uint16


def test_model_of_an_empty_slice_is_finite(projector):
    empty = np.zeros((48, 48, 2), dtype=np.float32)
    known = system_model(projector, empty, empty)
    means = _means(known, empty)
    assert all(np.isfinite(m).all() and (m > 0).all() for m in means)
    assert sum(float(m.sum()) for m in means) < 1.0
