"""The ordering of what the observer says, on heads that it was not taught on."""

import numpy as np
import pytest
from scipy import ndimage

from phantom_brain import SHAPE, VOXEL, Array, brain_masks, contrast_image
from taskgan.judges.lesions import (
    Detector,
    LesionMap,
    ObserverImage,
    choose_threshold,
    detectability,
    detected_lesions,
    false_lesions,
    fit_detector,
    map_lesions,
    observer_image,
    signal_to_noise,
)

CONTRASTS = ("T1w", "T2-FLAIR")


def _head(number: int, contrast: str, lesions: int = 5) -> tuple[Array, dict[str, Array], LesionMap]:
    rng = np.random.default_rng(number)
    masks = brain_masks(lesions, rng)
    clean = contrast_image(masks, contrast, rng)
    return clean, masks, map_lesions(masks["lesions"], masks["white"], VOXEL)


def _seen(image: Array, clean: Array, masks: dict[str, Array], found: LesionMap) -> ObserverImage:
    seen = observer_image(image.astype(np.float32), clean, masks["brain"], masks["white"], found, VOXEL)
    assert seen is not None
    return seen


@pytest.fixture(scope="module", params=CONTRASTS)
def taught(request: pytest.FixtureRequest) -> tuple[str, Detector]:
    heads = [_head(k, request.param) for k in range(6)]
    detector = fit_detector([_seen(clean, clean, masks, found).samples() for clean, masks, found in heads])
    assert detector is not None
    responses = [
        (detector.respond(_seen(clean, clean, masks, found)), found)
        for clean, masks, found in (_head(k, request.param) for k in range(10, 13))
    ]
    threshold = choose_threshold(responses, 1.0)
    return request.param, Detector(detector.template, detector.offset, threshold)


def test_lesions_of_either_sign_are_found_on_clean_images(taught: tuple[str, Detector]) -> None:
    contrast, detector = taught
    clean, masks, found = _head(20, contrast)
    response = detector.respond(_seen(clean, clean, masks, found))
    assert detectability(response, found) > 0.95
    assert detected_lesions(response, found, detector.threshold) >= found.count - 1
    # In healthy white matter it answers about as it did on the images that it was taught on.
    assert abs(response[found.healthy].mean()) < 0.5
    assert response[found.healthy].std() == pytest.approx(1.0, abs=0.35)


def test_blur_and_noise_cost_detectability(taught: tuple[str, Detector]) -> None:
    contrast, detector = taught
    clean, masks, found = _head(21, contrast)
    rng = np.random.default_rng(0)
    changed = {
        "blur": ndimage.gaussian_filter(clean, (2.5, 2.5, 0)),
        "noise": clean + 30 * rng.normal(size=SHAPE),
        "erased": np.where(masks["lesions"], 100.0, clean),
    }
    before = detector.respond(_seen(clean, clean, masks, found))
    for image in changed.values():
        after = detector.respond(_seen(image, clean, masks, found))
        assert detectability(after, found) <= detectability(before, found)
        assert signal_to_noise(after, found) < 0.7 * signal_to_noise(before, found)
    erased = detector.respond(_seen(changed["erased"], clean, masks, found))
    assert detected_lesions(erased, found, detector.threshold) == 0
    assert detectability(erased, found) < 0.8


def test_a_hallucinated_lesion_is_counted(taught: tuple[str, Detector]) -> None:
    contrast, detector = taught
    clean, masks, found = _head(22, contrast, lesions=0)
    before = false_lesions(detector.respond(_seen(clean, clean, masks, found)), found, detector.threshold)
    image = clean.copy()
    sign = 1 if contrast == "T2-FLAIR" else -1
    # In two places of white matter, in one of them through two slices: still one.
    for x, y, slices in ((18, 36, slice(2, 3)), (46, 36, slice(3, 5))):
        image[x - 1 : x + 2, y - 1 : y + 2, slices] += sign * 45
    after = false_lesions(detector.respond(_seen(image, clean, masks, found)), found, detector.threshold)
    assert after == before + 2


def test_what_sees_nothing_has_an_auc_of_one_half(taught: tuple[str, Detector]) -> None:
    contrast, detector = taught
    clean, masks, found = _head(23, contrast)
    flat = np.full(SHAPE, 100.0)
    response = detector.respond(_seen(flat, clean, masks, found))
    assert detectability(np.zeros_like(response), found) == 0.5
    assert np.isnan(signal_to_noise(np.zeros_like(response), found))
    perfect = np.where(found.lesions > 0, 1.0, 0.0).astype(np.float32)
    assert detectability(perfect, found) == 1.0
    _, _, without = _head(23, contrast, lesions=0)
    assert np.isnan(detectability(response, without))
    assert np.isnan(signal_to_noise(response, without))


def test_a_methods_own_scale_excuses_nothing(taught: tuple[str, Detector]) -> None:
    clean, masks, found = _head(24, taught[0])
    whole = _seen(clean, clean, masks, found).values
    half = _seen(0.5 * clean, clean, masks, found).values
    assert np.allclose(half, 0.5 * whole, atol=1e-6)


def test_the_threshold_keeps_the_stated_rate() -> None:
    rng = np.random.default_rng(3)
    nothing = map_lesions(np.zeros(SHAPE, bool), np.ones(SHAPE, bool), VOXEL)
    responses = [(rng.normal(size=SHAPE).astype(np.float32), nothing) for _ in range(4)]
    thresholds = [choose_threshold(responses, rate) for rate in (0.25, 2.0, 20.0)]
    assert thresholds == sorted(thresholds, reverse=True)
    for rate, threshold in zip((0.25, 2.0, 20.0), thresholds, strict=True):
        assert np.mean([false_lesions(r, p, threshold) for r, p in responses]) <= rate
        assert np.mean([false_lesions(r, p, threshold - 0.1) for r, p in responses]) > rate
    assert np.isnan(choose_threshold([], 1.0))


def test_too_few_lesions_teach_nothing() -> None:
    assert fit_detector([]) is None
    clean, masks, found = _head(1, "T1w", lesions=2)
    assert fit_detector([_seen(clean, clean, masks, found).samples()]) is None
    dark = np.zeros(SHAPE, np.float32)
    assert observer_image(dark, dark, masks["brain"], masks["white"], found, VOXEL) is None
