"""Structure that neither the clean nor the measured image holds, against closed forms."""

import numpy as np
import pytest

from taskgan.metrics.hallucination import patch_extremes, unsupported_structure

SHAPE, SIGMA = (64, 64, 64), (2.0, 2.0, 2.0)
CLEAN = np.ones(SHAPE, dtype=np.float32)
NOISY = (CLEAN + np.random.default_rng(0).normal(size=SHAPE)).astype(np.float32)


def bump(height: float) -> np.ndarray:
    """A smooth ball in the middle, as wide as G_σ, so that smoothing leaves 2^(−3/2) of it."""
    away = sum((axis - 32.0) ** 2 for axis in np.indices(SHAPE))
    return (height * np.exp(-away / (2 * SIGMA[0] ** 2))).astype(np.float32)


@pytest.mark.parametrize("shown", [CLEAN, NOISY], ids=["clean", "measured"])
def test_what_one_of_the_two_holds_is_not_invented(shown: np.ndarray) -> None:
    assert np.abs(unsupported_structure(shown, CLEAN, NOISY, SIGMA)).max() < 1e-3


def test_what_neither_holds_is_as_large_as_it_departs_from_the_nearer() -> None:
    plain = unsupported_structure(CLEAN + bump(3.0), CLEAN, CLEAN, SIGMA)
    assert plain.max() == pytest.approx(1000, rel=1e-3)  # without noise a thousandth of the largest is the yardstick
    large, twice = (unsupported_structure(CLEAN + bump(h), CLEAN, NOISY, SIGMA)[32, 32, 32] for h in (4.0, 8.0))
    assert 5 < large < twice
    spread = 4.0 * 2**-1.5 / (twice - large)  # both departures grow alike
    assert spread == pytest.approx((4 * np.pi * SIGMA[0] ** 2) ** -0.75, rel=0.2)  # SD of white noise behind G_σ
    assert unsupported_structure(CLEAN + bump(-4.0), CLEAN, NOISY, SIGMA)[32, 32, 32] < -5


def test_a_patch_has_its_extreme_where_half_of_it_is_head() -> None:
    structure = np.zeros((8, 8, 5), dtype=np.float32)
    structure[1, 1, 1], structure[1, 1, 2], structure[6, 6, 1] = 2.0, -3.0, 4.0
    head = np.ones(structure.shape, dtype=bool)
    head[4:, 4:, :3] = False
    found = patch_extremes(structure, head, (4, 4, 4))  # the last slice fills no patch
    assert found.tolist() == [-3.0, 0.0, 0.0]
    assert patch_extremes(structure, ~head, (4, 4, 6)).size == 0
