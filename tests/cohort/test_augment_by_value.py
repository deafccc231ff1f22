import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from taskgan.cohort.augment import augment, augment_batch
from taskgan.recipe import Augment

Array = NDArray[np.float32]
MOVES = {"flip": True, "shift": 3, "rotate": 20.0, "zoom": 0.2}


def _by_value(**values: object) -> Augment:
    still = {"flip": False, "shift": 0, "preserve": "value"}
    return Augment(**(still | values))  # type: ignore[arg-type]


def _blob(height: int = 48, width: int = 40) -> Array:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    spot = np.exp(-((y - 0.5 * height - 4) ** 2) / 32 - (x - 0.5 * width + 2) ** 2 / 18)
    return (0.2 + 0.6 * spot)[None].astype(np.float32)


def test_a_pixel_keeps_its_value_and_the_edge_comes_in() -> None:
    grey = np.full((1, 24, 32), 0.3, dtype=np.float32)
    for seed in range(10):
        (found,) = augment([grey], _by_value(**MOVES), np.random.default_rng(seed))
        np.testing.assert_allclose(found, 0.3, rtol=1e-5)


def test_zoom_leaves_the_brightness_of_the_middle() -> None:
    peak = _blob().max()
    for seed in range(8):
        (found,) = augment([_blob()], _by_value(zoom=0.3), np.random.default_rng(seed))
        assert found.max() == pytest.approx(peak, rel=0.05)


def test_whole_pixel_shifts_are_exact_and_repeat_the_edge() -> None:
    image = np.arange(20, dtype=np.float32).reshape(1, 4, 5)
    seen = set()
    for seed in range(60):
        (found,) = augment([image], _by_value(shift=1), np.random.default_rng(seed))
        expected = {
            (down, right): image[:, np.clip(np.arange(4) - down, 0, 3)][:, :, np.clip(np.arange(5) - right, 0, 4)]
            for down in (-1, 0, 1)
            for right in (-1, 0, 1)
        }
        seen |= {move for move, wanted in expected.items() if np.array_equal(found, wanted)}
    assert len(seen) == 9


def test_a_turn_by_value_is_the_turn_by_sum_without_its_jacobian() -> None:
    spot = _blob() - 0.2  # zero at the frame, where the two differ
    for seed in range(5):
        moves = Augment(flip=False, shift=0, rotate=30, zoom=0.2)
        (by_sum,) = augment([spot], moves, np.random.default_rng(seed))
        (by_value,) = augment([spot], moves.model_copy(update={"preserve": "value"}), np.random.default_rng(seed))
        np.testing.assert_allclose(by_value / by_value.max(), by_sum / by_sum.max(), atol=0.03)


def test_turn_and_shift_in_frames_that_are_not_square_agree_with_shifting_afterwards() -> None:
    seen = set()
    for seed in range(6):
        turned = augment([_blob()], _by_value(rotate=20.0, zoom=0.1), np.random.default_rng(seed))[0][0]
        moved = augment([_blob()], _by_value(rotate=20.0, zoom=0.1, shift=3), np.random.default_rng(seed))[0][0]
        gaps = {
            (down, right): np.abs(moved - np.roll(turned, (down, right), (0, 1)))[4:-4, 4:-4].max()
            for down in range(-3, 4)
            for right in range(-3, 4)
        }
        move = min(gaps, key=lambda key: gaps[key])
        assert gaps[move] < 1e-4
        seen.add(move)
    assert len(seen) > 3


def test_a_mask_moves_with_its_image_and_keeps_its_classes() -> None:
    mask = (_blob() > 0.5).astype(np.float32)
    for seed in range(8):
        image, moved = augment([mask], _by_value(**MOVES), np.random.default_rng(seed), masks=[mask])
        assert set(np.unique(moved)) <= {0.0, 1.0}
        assert np.abs(image - moved).mean() < 0.03


def test_a_batch_changes_every_image_in_a_way_of_its_own_and_by_the_seed() -> None:
    images = torch.from_numpy(np.repeat(_blob()[None], 6, axis=0))
    settings = _by_value(**MOVES, contrast=0.3, brightness=0.1, blur=2.0, erase=0.3)
    one, two, other = (augment_batch(images, settings, np.random.default_rng(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert one.shape == images.shape
    assert len({image.numpy().tobytes() for image in one}) == 6
    assert torch.equal(images[0], torch.from_numpy(_blob()))


@pytest.mark.parametrize("preserve", ["sum", "value"])
def test_contrast_and_brightness_change_a_pair_alike(preserve: str) -> None:
    image = _blob()
    settings = _by_value(contrast=0.4, brightness=0.2, preserve=preserve)
    factors = []
    for seed in range(20):
        one, two = augment([image, image.copy()], settings, np.random.default_rng(seed))
        assert np.array_equal(one, two)
        factor = float(one.std() / image.std())
        np.testing.assert_allclose(one, (image - image.mean()) * factor + one.mean(), rtol=1e-3, atol=1e-4)
        assert abs(float(one.mean() - image.mean())) <= 0.2001
        factors.append(factor)
    assert 0.6 <= min(factors) < 0.8
    assert 1.2 < max(factors) <= 1.4


def test_blur_smooths_and_keeps_the_mean_of_a_flat_image() -> None:
    noise = np.random.default_rng(0).random((1, 32, 32), dtype=np.float32)
    spread = []
    for seed in range(10):
        (found,) = augment([noise], _by_value(blur=3.0), np.random.default_rng(seed))
        assert found.mean() == pytest.approx(noise.mean(), abs=0.03)
        spread.append(found.std() / noise.std())
    assert min(spread) < 0.4
    assert max(spread) <= 1.0001


def test_something_is_hidden_in_half_of_the_images_and_not_more_than_asked_for() -> None:
    image = np.random.default_rng(0).random((1, 40, 40), dtype=np.float32)
    shares = []
    for seed in range(100):
        (found,) = augment([image], _by_value(erase=0.25), np.random.default_rng(seed))
        hidden = found != image
        shares.append(hidden.mean())
        assert not hidden.any() or np.allclose(found[hidden], image.mean(), atol=1e-5)
    assert 30 < np.count_nonzero(shares) < 70
    assert 0.15 < max(shares) < 0.30


def test_nothing_new_is_drawn_where_nothing_new_is_asked_for() -> None:
    settings = Augment(flip=True, shift=2, rotate=10, zoom=0.1)
    rng, other = np.random.default_rng(3), np.random.default_rng(3)
    augment([_blob()], settings, rng)
    other.random(), other.uniform(-1, 1), other.uniform(-1, 1), other.integers(-2, 3, size=2)
    assert rng.random() == other.random()
