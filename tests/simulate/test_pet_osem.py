import numpy as np
import pytest
from scipy import ndimage

from taskgan.simulate.anatomy import COMPOSITE, index, regions_at
from taskgan.simulate.deform import deform
from taskgan.simulate.pet.acquire import (
    SOFT_PER_CM,
    osem,
    post_filter,
    prompts,
    sensitivities,
    subset_order,
    system_model,
)
from taskgan.simulate.pet.projector import Projector
from taskgan.simulate.pet.settings import scanner_preset
from taskgan.simulate.pet.subject import grid_of
from taskgan.simulate.pet.uptake import paint_uptake


def _model(projector, make_disc, level=4.0):
    scanner = projector.scanner
    activity = make_disc(scanner, 70.0, level) + make_disc(scanner, 20.0, level)
    return system_model(projector, activity, make_disc(scanner, 80.0, SOFT_PER_CM)), activity


def _log_likelihood(model, counts, image, fraction):
    """Poisson log-likelihood of an image, up to a term of the counts alone."""
    blurred = model.projector.blur(image)
    total = 0.0
    for subset, measured in enumerate(counts):
        mean = model.expected(blurred, subset).astype(np.float64) * fraction
        total += float((measured * np.log(mean) - mean).sum())
    return total


@pytest.mark.parametrize("tof_bins", [9, 0])
@pytest.mark.parametrize("fraction", [1.0, 0.05])
def test_mlem_likelihood_never_falls(make_scanner, make_disc, rng, tof_bins, fraction):
    scanner = make_scanner(subsets=1, tof_bins=tof_bins, trues_per_kbq=1.0)
    model, activity = _model(Projector(scanner), make_disc)
    counts = [rng.poisson(model.expected(model.projector.blur(activity), 0) * fraction)]
    sensitivity = sensitivities(model)
    values = []
    for iterations in range(1, 13):
        image = osem(model, counts, fraction=fraction, sensitivity=sensitivity, iterations=iterations)
        values.append(_log_likelihood(model, counts, image, fraction))
    rises = np.diff(values)
    # Single precision can lose the last digits of a sum of this size; nothing more than that.
    assert rises.min() > -1e-6 * abs(values[-1])
    assert rises[0] > 5 * rises[-1]


def test_dose_changes_noise_and_not_level(make_scanner, make_disc):
    projector = Projector(make_scanner(trues_per_kbq=200.0))
    model, activity = _model(projector, make_disc)
    sensitivity = sensitivities(model)
    images = {}
    for fraction in (1.0, 0.1):
        counts = prompts(model, activity, np.random.default_rng(1))
        if fraction < 1:
            counts = [np.random.default_rng(2).binomial(c, fraction) for c in counts]
        images[fraction] = osem(model, counts, fraction=fraction, sensitivity=sensitivity, iterations=4)
    inside = make_disc(projector.scanner, 50.0) > 0.99
    outer = inside & (make_disc(projector.scanner, 32.0) < 0.01)
    assert images[0.1][outer].mean() == pytest.approx(images[1.0][outer].mean(), rel=0.03)
    assert images[1.0][outer].mean() == pytest.approx(4.0, rel=0.03)
    assert images[0.1][outer].std() > 2 * images[1.0][outer].std()


def test_image_is_non_negative_and_stays_in_the_disc(make_scanner, make_disc, rng):
    projector = Projector(make_scanner(trues_per_kbq=0.2))
    model, activity = _model(projector, make_disc)
    counts = prompts(model, activity, rng)
    image = osem(model, counts, fraction=1.0, sensitivity=sensitivities(model), iterations=3)
    assert np.isfinite(image).all()
    assert image.min() >= 0
    assert (image[projector.support == 0] == 0).all()


def test_counts_of_nothing_give_nothing(make_scanner, make_disc):
    projector = Projector(make_scanner())
    model, _ = _model(projector, make_disc)
    counts = [np.zeros((len(projector.tof), projector.rays, 3), dtype=np.uint16) for _ in range(4)]
    image = osem(model, counts, fraction=0.01, sensitivity=sensitivities(model), iterations=1)
    assert (image == 0).all()


@pytest.mark.parametrize("subsets", [1, 2, 4, 12, 28])
def test_subset_order_is_a_permutation(subsets):
    order = subset_order(subsets)
    assert sorted(order) == list(range(subsets))
    if subsets > 4:
        gaps = np.abs(np.diff(order)) % subsets
        assert np.minimum(gaps, subsets - gaps).min() >= 3


def test_post_filter_has_its_width(make_scanner):
    scanner = make_scanner(pixels=64, pixel_mm=1.0, slices=31, slice_mm=1.0)
    point = np.zeros((64, 64, 31), dtype=np.float32)
    point[32, 32, 15] = 1.0
    profile = post_filter(point, scanner).sum(axis=(1, 2)).astype(np.float64)
    sigma = np.sqrt((profile * (np.arange(64) - 32.0) ** 2).sum())
    assert sigma * 2.3548 == pytest.approx(scanner.post_filter_mm, rel=0.03)


@pytest.fixture(scope="module", params=[(1.20, False), (1.60, True)], ids=["negative", "positive"])
def noise_free(request, mni):
    """Expected counts of a head, reconstructed at the demo setting and with more iterations."""
    composite, positive = request.param
    scanner = scanner_preset("demo").model_copy(update={"slices": 28})
    grid = grid_of(scanner)
    head = deform(mni, grid, np.random.default_rng(3))
    truth = paint_uptake(head, grid, composite, positive, False, np.random.default_rng(3))
    projector = Projector(scanner)
    activity = np.ascontiguousarray(truth.suvr * projector.support[..., None] * np.float32(4.0))
    water = (head.fractions.sum(axis=0) * SOFT_PER_CM).astype(np.float32)
    model = system_model(projector, activity, water)
    means = [model.expected(projector.blur(activity), s) for s in range(scanner.subsets)]
    sensitivity = sensitivities(model)
    images = {
        iterations: osem(model, means, fraction=1.0, sensitivity=sensitivity, iterations=iterations)
        for iterations in (scanner.iterations, 10)
    }
    return scanner, head, truth, images


def _regional(head, truth, image):
    regions = regions_at(head.points)
    level, true_level = image[truth.reference].mean(), truth.suvr[truth.reference].mean()
    errors = {}
    for name in (*COMPOSITE, "precuneus", "striatum", "thalamus"):
        inside = (regions == index(name)) & (head.fractions[0] > 0.6)
        errors[name] = (image[inside].mean() / level) / (truth.suvr[inside].mean() / true_level) - 1
    return errors


def test_noise_free_reconstruction_recovers_regional_suvr(noise_free):
    """10 iterations with the resolution in the model and no post-filter: against the true uptake itself."""
    _, head, truth, images = noise_free
    errors = _regional(head, truth, images[10])
    assert max(abs(e) for e in errors.values()) < 0.05, errors


def test_default_reconstruction_keeps_the_composite(noise_free):
    """The demo's 2 iterations and post-filter: partial volume pulls it to the white matter's, within limits."""
    scanner, _, truth, images = noise_free
    image = post_filter(images[scanner.iterations], scanner)
    found = image[truth.cortex].mean() / image[truth.reference].mean()
    assert found == pytest.approx(truth.composite, rel=0.07)
    blurred = ndimage.gaussian_filter(truth.suvr, 1.5)
    assert np.corrcoef(image.ravel(), blurred.ravel())[0, 1] > 0.98
