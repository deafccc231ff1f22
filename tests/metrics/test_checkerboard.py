import numpy as np
import pytest
from scipy import ndimage

from phantom_brain import SHAPE, Array, brain_masks, contrast_image
from taskgan.metrics.quality import GRID, LEAST, bins, checkerboard, spectrum

RNG = np.random.default_rng(1)
MASKS = brain_masks(4, RNG)
BRAIN = MASKS["brain"]
CLEAN = contrast_image(MASKS, "T2w", RNG)
X, Y, _ = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")


WAVES = {
    "stripes of two": np.cos(np.pi * X) + np.cos(np.pi * Y),
    "stripes of four": np.cos(np.pi * X / 2) + np.cos(np.pi * Y / 2),
    "checkers of two": 2.0 * ((X + Y) % 2) - 1,
    "checkers of four": 2.0 * ((X % 4 < 2) ^ (Y % 4 < 2)) - 1,
}


@pytest.mark.parametrize("wave", WAVES.values(), ids=WAVES)
def test_a_grid_raises_it_and_a_stronger_one_more(wave: Array) -> None:
    values = [checkerboard((CLEAN + a * wave).astype(np.float32), BRAIN) for a in (0, 4, 8)]
    assert values[0] < 0.01
    assert values[1] > values[0] + 1e-3
    assert values[2] > 3 * values[1]


def test_its_size_is_that_of_the_wave_over_the_variance() -> None:
    smooth = ndimage.gaussian_filter(RNG.normal(size=SHAPE), (6, 6, 0)).astype(np.float32)
    smooth /= smooth[BRAIN].std()
    wave = 0.2 * np.cos(2 * np.pi * X / 4)
    both = checkerboard((smooth + wave).astype(np.float32), BRAIN)
    power = 0.02 / (1 + 0.02)
    assert both - checkerboard(smooth, BRAIN) == pytest.approx(power, rel=0.35)


def test_neither_scale_nor_level_nor_what_is_outside_the_brain_counts() -> None:
    value = checkerboard(CLEAN, BRAIN)
    assert checkerboard(7 * CLEAN, BRAIN) == pytest.approx(value, rel=1e-4)
    assert checkerboard(CLEAN + 20, BRAIN) == pytest.approx(value, rel=1e-3)
    scalp = CLEAN.copy()
    scalp[~BRAIN] = 500.0 * (X[~BRAIN] % 2)
    assert checkerboard(scalp, BRAIN) == pytest.approx(value, rel=1e-4)


def test_noise_and_blur_are_no_grid() -> None:
    noisy = CLEAN + 10 * RNG.normal(size=SHAPE).astype(np.float32)
    blurred = ndimage.gaussian_filter(CLEAN, (1, 1, 0))
    for other in (noisy, blurred):
        assert abs(checkerboard(other, BRAIN)) < 0.01


def test_there_is_none_of_a_constant_or_a_small_region() -> None:
    assert np.isnan(checkerboard(np.ones(SHAPE, np.float32), BRAIN))
    assert np.isnan(checkerboard(CLEAN, np.zeros(SHAPE, bool)))
    small = np.zeros(SHAPE, bool)
    small[20 : 20 + LEAST - 1, 20:60] = True
    assert spectrum(CLEAN, small) is None


def test_the_grids_frequencies_fall_on_bins() -> None:
    power = spectrum(CLEAN, BRAIN)
    assert power is not None
    assert all(n % 8 == 0 for n in power.shape)
    places = [place for f in GRID for place in bins((power.shape[0], power.shape[1]), f)]
    assert len(set(places)) == len(places)
    assert (power.shape[0] // 2, power.shape[1] // 2) not in places
    # A pure wave has its energy where the frequency is said to be.
    wave = spectrum(np.cos(2 * np.pi * Y / 4).astype(np.float32), BRAIN)
    assert wave is not None
    top = tuple(int(i) for i in np.unravel_index(int(wave.argmax()), wave.shape))
    assert top in bins((wave.shape[0], wave.shape[1]), (0.0, 0.25))
