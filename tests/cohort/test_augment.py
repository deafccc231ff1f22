import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from taskgan.cohort.augment import augment
from taskgan.recipe import Augment

Array = NDArray[np.float32]
STILL = Augment(flip=False, shift=0)
EVERYTHING = Augment(flip=True, shift=5, rotate=20, zoom=0.2)


def _blob(height: int = 48, width: int = 40, channels: int = 1) -> Array:
    """A smooth, lopsided image well inside of its frame."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    image = np.exp(-((y - 0.5 * height - 4) ** 2) / 16 - (x - 0.5 * width + 2) ** 2 / 8)
    return np.stack([(k + 1) * image for k in range(channels)]).astype(np.float32)


def _centre(image: Array) -> Array:
    y, x = np.mgrid[: image.shape[1], : image.shape[2]]
    return np.array([(image[0] * y).sum(), (image[0] * x).sum()]) / image[0].sum()


def test_nothing_to_do_gives_equal_copies() -> None:
    image = _blob()
    (result,) = augment([image], STILL, np.random.default_rng(0))
    assert np.array_equal(result, image)
    result += 1
    assert np.array_equal(image, _blob())


def test_flip_mirrors_the_first_in_plane_axis_half_of_the_time() -> None:
    image, rng = _blob(), np.random.default_rng(0)
    results = [augment([image], Augment(flip=True, shift=0), rng)[0] for _ in range(200)]
    mirrored = [np.array_equal(r, image[:, ::-1]) for r in results]
    assert all(m or np.array_equal(r, image) for m, r in zip(mirrored, results, strict=True))
    assert 70 < sum(mirrored) < 130


def test_shift_is_whole_pixels_within_its_limit_with_zeros_coming_in() -> None:
    image, rng = np.ones((1, 20, 30), dtype=np.float32), np.random.default_rng(0)
    seen = set()
    for _ in range(300):
        (result,) = augment([image], Augment(flip=False, shift=2), rng)
        rows, columns = result[0].any(axis=1), result[0].any(axis=0)
        assert result.sum() == rows.sum() * columns.sum()
        down = int(rows.argmax()) or int(rows.sum()) - 20
        right = int(columns.argmax()) or int(columns.sum()) - 30
        seen.add((down, right))
    assert seen == {(d, r) for d in range(-2, 3) for r in range(-2, 3)}


@pytest.mark.parametrize("seed", range(8))
def test_a_slice_keeps_its_sum_while_all_of_it_stays_in_the_frame(seed: int) -> None:
    image = _blob()
    (result,) = augment([image], EVERYTHING, np.random.default_rng(seed))
    assert result.sum() == pytest.approx(image.sum(), rel=1e-4)
    assert result.min() >= 0


def test_activity_that_leaves_the_frame_is_lost() -> None:
    image = np.ones((1, 32, 32), dtype=np.float32)
    rng = np.random.default_rng(0)
    for _ in range(20):
        (result,) = augment([image], Augment(flip=False, shift=0, rotate=30), rng)
        middle = result[0, 12:20, 12:20]
        np.testing.assert_allclose(middle, 1.0, rtol=2e-2)
        assert result.sum() <= image.sum() * 1.0001


def test_zoom_divides_by_the_jacobian() -> None:
    image, rng = _blob(), np.random.default_rng(1)
    for _ in range(10):
        (result,) = augment([image], Augment(flip=False, shift=0, zoom=0.3), rng)
        spread = np.sqrt((result > 0.5 * result.max()).sum() / (image > 0.5 * image.max()).sum())
        assert result.max() / image.max() == pytest.approx(spread**-2, rel=0.1)


def test_rotation_turns_about_the_centre_of_the_frame() -> None:
    image, rng = _blob(), np.random.default_rng(2)
    middle = (np.array(image.shape[1:]) - 1) / 2
    before = np.linalg.norm(_centre(image) - middle)
    for _ in range(10):
        (result,) = augment([image], Augment(flip=False, shift=0, rotate=45), rng)
        assert np.linalg.norm(_centre(result) - middle) == pytest.approx(before, abs=0.05)


def test_a_pair_keeps_its_ratio_pixel_by_pixel() -> None:
    degraded, clean = _blob(channels=3), 2.5 * _blob()
    for seed in range(5):
        changed = augment([degraded, clean], EVERYTHING, np.random.default_rng(seed))
        assert [c.shape for c in changed] == [degraded.shape, clean.shape]
        for channel in range(3):
            np.testing.assert_allclose(changed[0][channel] * 2.5, changed[1][0] * (channel + 1), rtol=1e-4, atol=1e-7)


def test_the_same_generator_gives_the_same_change_to_arrays_and_tensors() -> None:
    image = _blob()
    (one,) = augment([image], EVERYTHING, np.random.default_rng(3))
    (two,) = augment([image], EVERYTHING, np.random.default_rng(3))
    (tensor,) = augment([torch.from_numpy(image)], EVERYTHING, np.random.default_rng(3))
    (other,) = augment([image], EVERYTHING, np.random.default_rng(4))
    assert isinstance(tensor, torch.Tensor)
    assert np.array_equal(one, two)
    assert np.array_equal(one, tensor.numpy())
    assert not np.array_equal(one, other)


def test_signed_images_are_not_rescaled_by_a_sum_near_zero() -> None:
    image = _blob() - _blob().mean()
    for seed in range(5):
        (result,) = augment([image], EVERYTHING, np.random.default_rng(seed))
        assert np.abs(result).max() < 2 * np.abs(image).max()


def test_an_empty_slice_stays_empty() -> None:
    (result,) = augment([np.zeros((1, 8, 8), dtype=np.float32)], EVERYTHING, np.random.default_rng(0))
    assert not result.any()


def test_images_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="one height and width"):
        augment([_blob(), _blob(50)], STILL, np.random.default_rng(0))
