import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.metrics import structural_similarity

from taskgan.core.errors import UserError
from taskgan.metrics.quality import data_range, psnr, rmse, rmse_relative, ssim, ssim_map

RNG = np.random.default_rng(0)
CLEAN = ndimage.gaussian_filter(RNG.uniform(0, 4, (30, 26, 5)), (2, 2, 0)).astype(np.float32)
NOISE = RNG.normal(size=CLEAN.shape).astype(np.float32)


def test_psnr_of_a_constant_error_is_its_closed_form() -> None:
    clean = np.zeros((12, 12, 2), np.float32)
    clean[3, 3] = 2.0
    assert psnr(clean + np.float32(0.1), clean) == pytest.approx(20 * np.log10(2.0 / 0.1), abs=1e-4)
    assert rmse(clean + np.float32(0.1), clean) == pytest.approx(0.1, abs=1e-6)


def test_the_range_is_the_clean_images_and_never_the_predictions() -> None:
    spiked = CLEAN.copy()
    spiked[0, 0, 0] = 1000.0
    own_range = 20 * np.log10(1000.0 / rmse(spiked, CLEAN))
    assert psnr(spiked, CLEAN) == pytest.approx(20 * np.log10(float(CLEAN.max()) / rmse(spiked, CLEAN)))
    assert psnr(spiked, CLEAN) < own_range - 40


def test_a_negative_minimum_widens_the_range() -> None:
    assert data_range(np.array([-1.0, 3.0], np.float32)) == 4.0
    assert data_range(np.array([1.0, 3.0], np.float32)) == 3.0


def test_an_image_equals_itself() -> None:
    assert psnr(CLEAN, CLEAN) == float("inf")
    assert rmse_relative(CLEAN, CLEAN) == 0.0
    assert ssim(ssim_map(CLEAN, CLEAN)) == pytest.approx(1.0)


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(0.01, 1000.0))
def test_units_change_only_the_rmse(scale: float) -> None:
    image, factor = CLEAN + 0.1 * NOISE, np.float32(scale)
    assert psnr(image * factor, CLEAN * factor) == pytest.approx(psnr(image, CLEAN), abs=1e-3)
    assert rmse_relative(image * factor, CLEAN * factor) == pytest.approx(rmse_relative(image, CLEAN), rel=1e-3)
    assert rmse(image * factor, CLEAN * factor) == pytest.approx(scale * rmse(image, CLEAN), rel=1e-3)
    assert ssim(ssim_map(image * factor, CLEAN * factor)) == pytest.approx(ssim(ssim_map(image, CLEAN)), abs=1e-4)


def test_more_noise_is_worse_in_every_metric() -> None:
    levels = [CLEAN + np.float32(s) * NOISE for s in (0.05, 0.1, 0.3)]
    assert np.all(np.diff([psnr(i, CLEAN) for i in levels]) < 0)
    assert np.all(np.diff([ssim(ssim_map(i, CLEAN)) for i in levels]) < 0)
    assert np.all(np.diff([rmse_relative(i, CLEAN) for i in levels]) > 0)


def test_relative_rmse_of_nothing_at_all_is_one() -> None:
    assert rmse_relative(np.zeros_like(CLEAN), CLEAN) == pytest.approx(1.0)
    assert np.isnan(rmse_relative(CLEAN, np.zeros_like(CLEAN)))


def test_ssim_of_the_frame_is_the_mean_of_scikit_images_slices() -> None:
    image = CLEAN + 0.2 * NOISE
    slices = [
        structural_similarity(
            CLEAN[:, :, z].astype(float),
            image[:, :, z].astype(float),
            data_range=float(CLEAN.max()),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for z in range(CLEAN.shape[2])
    ]
    assert ssim(ssim_map(image, CLEAN)) == pytest.approx(np.mean(slices), abs=1e-9)


def test_a_mask_sees_only_what_is_inside() -> None:
    mask = np.zeros(CLEAN.shape, bool)
    mask[5:15, 5:15] = True
    image = CLEAN.copy()
    image[20:, 20:] += 5
    assert psnr(image, CLEAN, mask) == float("inf")
    assert rmse(image, CLEAN, mask) == rmse_relative(image, CLEAN, mask) == 0.0
    # The window reaches five voxels beyond the mask, not as far as the change.
    assert ssim(ssim_map(image, CLEAN)) < 1.0
    assert ssim(ssim_map(image, CLEAN), mask) == pytest.approx(1.0)
    inside = CLEAN.copy()
    inside[mask] += 0.5
    assert psnr(inside, CLEAN, mask) == pytest.approx(20 * np.log10(float(CLEAN.max()) / 0.5), abs=1e-4)


def test_a_constant_clean_image_and_tiny_slices_are_refused() -> None:
    with pytest.raises(UserError, match="constant"):
        psnr(CLEAN, np.zeros_like(CLEAN))
    with pytest.raises(UserError, match="at least 11×11"):
        ssim_map(CLEAN[:8], CLEAN[:8])


def test_the_range_of_a_number_type_counts_where_there_is_one() -> None:
    clean = np.full((16, 16, 1), 0.25, dtype=np.float32)
    image = clean + np.float32(0.1)
    assert psnr(image, clean, span=1.0) == pytest.approx(20.0, abs=1e-4)
    bright = np.float32(0.5) * np.random.default_rng(0).random((16, 16, 1)).astype(np.float32)
    assert psnr(bright + np.float32(0.1), bright, span=1.0) > psnr(bright + np.float32(0.1), bright)
    assert ssim_map(bright + np.float32(0.1), bright, span=1.0).mean() > (
        ssim_map(bright + np.float32(0.1), bright).mean()
    )


def test_psnr_takes_the_range_of_the_clean_volume() -> None:
    clean = np.array([0.0, 10.0], np.float32)
    assert psnr(clean + 1, clean) == pytest.approx(20)
    assert psnr(clean * 1000, clean) < 0  # a prediction cannot raise its own range
    assert psnr(clean, clean) == np.inf
    signed = np.array([-10.0, 10.0], np.float32)
    assert psnr(signed + 1, signed) == pytest.approx(26.02, abs=0.01)
