import numpy as np
import pytest

from taskgan.judges.face_features import MIRRORED, PATTERNS, Pixels, Texture, _regions, resized, small_shape

FEATURES = (Texture(), Pixels(), Pixels(neighbourhood=4.0))


def face(seed: int = 0, shape: tuple[int, int] = (64, 56)) -> np.ndarray:
    coarse = np.random.default_rng(seed).random((9, 8)).astype(np.float32)
    return resized(coarse, shape)


@pytest.mark.parametrize("features", FEATURES)
def test_a_mirrored_face_is_the_same_face(features: Texture | Pixels) -> None:
    found, turned = features(face()), features(np.ascontiguousarray(face()[:, ::-1]))
    assert found.dtype == np.float32
    # A code whose neighbours are interpolated in another order may fall on the other side of a tie.
    assert np.linalg.norm(found - turned) < 0.02 * np.linalg.norm(found)


@pytest.mark.parametrize("features", FEATURES)
def test_brightness_and_contrast_make_no_difference_and_another_face_does(features: Texture | Pixels) -> None:
    found = features(face())
    assert np.linalg.norm(found - features(0.25 * face() + 0.5)) < 0.05 * np.linalg.norm(found)
    assert np.linalg.norm(found - features(face(1))) > 0.3 * np.linalg.norm(found)


@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("shape", [(32, 32), (33, 47), (128, 128), (150, 120)])
def test_any_size_from_32_on(features: Texture | Pixels, shape: tuple[int, int]) -> None:
    found = features(face(0, shape))
    assert found.ndim == 1
    assert np.isfinite(found).all()
    assert np.isfinite(features(np.full(shape, 0.3, dtype=np.float32))).all()


def test_a_flat_image_has_no_pixels_to_tell() -> None:
    assert not Pixels()(np.full((64, 64), 0.7, dtype=np.float32)).any()


def test_a_histogram_of_roots_has_length_one_before_it_meets_its_mirror_image() -> None:
    image = face(2, (80, 80))
    half = Texture(radii=(1.0,), regions=2)(image + np.flip(image, 1)).reshape(2, 1, PATTERNS)
    np.testing.assert_allclose((half**2).sum(axis=2), 1, atol=0.02)  # an image that is its own mirror image


def test_radii_that_become_the_same_in_a_small_image_count_once() -> None:
    assert len(Texture()(face(0, (128, 128)))) == 3 * 10 * 5 * PATTERNS
    assert len(Texture()(face(0, (32, 32)))) == 10 * 5 * PATTERNS


def test_light_from_one_side_changes_pixels_less_where_they_are_compared_with_their_neighbourhood() -> None:
    image = face(3, (96, 96))
    lit = image * np.linspace(0.4, 1, 96, dtype=np.float32)
    apart = [np.linalg.norm(f(image) - f(lit)) / np.linalg.norm(f(image)) for f in (Pixels(neighbourhood=4), Pixels())]
    assert apart[0] < apart[1]


@pytest.mark.parametrize(("length", "count"), [(126, 10), (30, 10), (31, 3), (120, 7), (40, 1)])
def test_regions_are_the_same_from_both_ends(length: int, count: int) -> None:
    found = _regions(length, count)
    assert np.array_equal(np.unique(found), np.arange(count))
    assert np.array_equal(found, count - 1 - found[::-1])
    sizes = np.bincount(found)
    assert sizes.max() - sizes.min() <= 2


@pytest.mark.parametrize("length", [31, 119, 245])
def test_an_odd_pixel_in_the_middle_makes_no_further_region(length: int) -> None:
    found = _regions(length, 10)
    assert np.array_equal(np.unique(found), np.arange(10))
    assert (np.diff(found) >= 0).all()
    assert np.count_nonzero(found != 9 - found[::-1]) == 1


def test_mirroring_twice_changes_no_pattern() -> None:
    assert np.array_equal(MIRRORED[MIRRORED], np.arange(PATTERNS))
    assert not np.array_equal(MIRRORED, np.arange(PATTERNS))


def test_small_shape_keeps_the_sides_ratio_and_never_enlarges() -> None:
    assert small_shape(128, 96, 48) == (64, 48)
    assert small_shape(40, 36, 48) == (40, 36)
