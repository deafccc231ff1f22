import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiment_scripts import loaded
from taskgan.judges.face_features import PATTERNS, lbp_codes

with loaded("lbp_histograms") as _published:
    chi_square_distance, lbp_histograms = _published.chi_square_distance, _published.lbp_histograms


def _faces(count: int, seed: int, size: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).random((count, size, size), dtype=np.float32)


def test_codes_are_those_of_another_implementation_but_for_their_numbers() -> None:
    skimage = pytest.importorskip("skimage.feature")
    image = np.round(255 * _faces(1, 0, size=200)[0])
    ours = lbp_codes(image[None], radius=2.0)[0]
    theirs = skimage.local_binary_pattern(image.astype(np.uint8), 8, 2, method="nri_uniform")[2:-2, 2:-2]
    pairs = set(zip(ours.ravel().tolist(), theirs.ravel().tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}) == PATTERNS


def test_a_patterns_neighbours_are_looked_at_on_a_circle() -> None:
    """At radius 1 without diagonals between pixels: the code of a bright pixel among dark ones and around it."""
    image = np.zeros((1, 7, 7), dtype=np.float32)
    image[0, 3, 3] = 1
    codes = lbp_codes(image, radius=1.0)[0]
    flat = lbp_codes(np.zeros((1, 7, 7), dtype=np.float32), radius=1.0)
    assert (flat == 57).all()  # no neighbour is darker: all eight bits, the last uniform pattern
    assert codes[2, 2] == 0  # every neighbour is darker
    assert (np.delete(codes.ravel(), 12) == 57).all()  # to the others one neighbour is brighter, none darker


@settings(max_examples=25, deadline=None)
@given(gain=st.integers(1, 50), offset=st.integers(-1000, 1000))
def test_brightness_and_contrast_make_no_difference(gain: int, offset: int) -> None:
    images = np.round(255 * _faces(2, 1))
    same = lbp_codes(gain * images + offset) == lbp_codes(images)
    assert same.mean() > 0.999  # a tie of a pixel with the mean of four may be rounded either way


def test_a_region_is_described_by_its_own_pixels_and_sums_to_one() -> None:
    images = _faces(2, 2)
    images[1, :22] = images[0, :22]  # what the upper two rows of regions see
    found = lbp_histograms(images, regions=(4, 3)).reshape(2, 4, 3, PATTERNS)
    np.testing.assert_allclose(found.sum(axis=3), 1, rtol=1e-5)
    assert np.array_equal(found[0, :2], found[1, :2])
    assert not np.array_equal(found[0, 2:], found[1, 2:])


def test_images_are_described_by_themselves_and_in_any_number() -> None:
    images = _faces(300, 3, size=20)
    together = lbp_histograms(images, regions=(2, 2))
    assert together.shape == (300, 4 * PATTERNS)
    assert np.array_equal(together[290:], lbp_histograms(images[290:], regions=(2, 2)))


def test_it_tells_textures_apart_in_any_light() -> None:
    rng = np.random.default_rng(0)
    own = rng.random((6, 1, 48, 48))
    light = np.linspace(0.4, 1.2, 48)
    photos = own + 0.1 * rng.random((6, 2, 48, 48))
    photos[:, 1] *= light  # from the side
    first, second = (lbp_histograms(photos[:, k].astype(np.float32), regions=(3, 3)) for k in (0, 1))
    same = chi_square_distance(first, second)
    other = chi_square_distance(first, np.roll(second, 1, axis=0))
    assert same.max() < other.min()


def test_what_cannot_be_described_is_refused() -> None:
    for images, words in (
        (np.zeros((20, 20), dtype=np.float32), r"expected images \(N, H, W\)"),
        (np.zeros((1, 10, 10), dtype=np.float32), "too small for 7×7 regions"),
    ):
        with pytest.raises(ValueError, match=words):
            lbp_histograms(images)
    with pytest.raises(ValueError, match="positive"):
        lbp_codes(np.zeros((1, 9, 9), dtype=np.float32), radius=0)
