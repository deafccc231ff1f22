import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgan.simulate.pet.projector import Projector, blur_plane, gaussian_matrix, tof_kernel
from taskgan.simulate.pet.settings import FWHM, scanner_preset

VARIANTS = {
    "tof": {},
    "no tof": {"tof_bins": 0, "depth_cells": 1},
    "one subset": {"subsets": 1},
    "odd sizes": {"pixels": 41, "radial_bins": 53, "angles": 30, "subsets": 5, "tof_bins": 5, "depth_cells": 7},
    # The full scanner's ratios: rays much wider than pixels, and wider than the image, many TOF bins.
    "full, shrunk": {
        "pixels": 64, "pixel_mm": 1.17, "radial_bins": 90, "radial_mm": 2.0, "angles": 56, "subsets": 28,
        "tof_bins": 27, "depth_cells": 24,
    },
}  # fmt: skip


@pytest.fixture(scope="module", params=list(VARIANTS))
def variant(request, make_scanner):
    return Projector(make_scanner(**VARIANTS[request.param]))


def _pair(projector, rng, subset):
    scanner = projector.scanner
    image = rng.normal(size=(scanner.pixels, scanner.pixels, 2)).astype(np.float32)
    data = rng.normal(size=(len(projector.tof), projector.rays, 2)).astype(np.float32)
    return image, data


def _relative(a, b, scale):
    return abs(float(a) - float(b)) / scale


def test_adjoint_is_the_transpose(variant, rng):
    for subset in (0, variant.scanner.subsets - 1):
        image, data = _pair(variant, rng, subset)
        there = variant.forward(variant.blur(image), subset).astype(np.float64)
        back = variant.blur(variant.adjoint(data, subset)).astype(np.float64)
        scale = np.linalg.norm(there) * np.linalg.norm(data)
        assert _relative((there * data).sum(), (image * back).sum(), scale) < 1e-6


def test_back_is_the_adjoint_of_tof_constant_data(variant, rng):
    rays = rng.random((variant.rays, 2)).astype(np.float32)
    data = np.broadcast_to(rays, (len(variant.tof), *rays.shape))
    np.testing.assert_allclose(
        variant.back(rays, 0), variant.adjoint(np.ascontiguousarray(data), 0), rtol=1e-4, atol=1e-4
    )


@given(a=st.floats(-3, 3), b=st.floats(-3, 3), seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_forward_is_linear(projector, a, b, seed):
    rng = np.random.default_rng(seed)
    x, y = (rng.normal(size=(48, 48, 2)).astype(np.float32) for _ in range(2))
    mixed = projector.forward(np.float32(a) * x + np.float32(b) * y, 1)
    apart = np.float32(a) * projector.forward(x, 1) + np.float32(b) * projector.forward(y, 1)
    np.testing.assert_allclose(mixed, apart, atol=2e-4)


@pytest.mark.parametrize("scale", ["demo", "full"])
def test_presets_are_adjoint(scale, rng):
    """One subset of the real geometries (the full one is built with a single subset's angles)."""
    real = scanner_preset(scale)
    few = real.model_copy(update={"angles": real.angles // real.subsets, "subsets": 1})
    projector = Projector(few)
    image = rng.random((real.pixels, real.pixels, 1)).astype(np.float32)
    data = rng.random((len(projector.tof), projector.rays, 1)).astype(np.float32)
    there = projector.forward(projector.blur(image), 0)
    back = projector.blur(projector.adjoint(data, 0))
    assert np.vdot(there.astype(np.float64), data) == pytest.approx(np.vdot(image.astype(np.float64), back), rel=1e-5)


def test_slices_do_not_mix(projector, rng):
    stack = rng.random((48, 48, 3)).astype(np.float32)
    together = projector.forward(stack, 0)
    for k in range(3):
        alone = projector.forward(np.ascontiguousarray(stack[..., k : k + 1]), 0)
        np.testing.assert_allclose(together[..., k], alone[..., 0], rtol=1e-4, atol=1e-4)


def test_disc_projects_to_its_chords(make_scanner, make_disc):
    scanner = make_scanner(pixels=96, pixel_mm=2.0, radial_bins=96, radial_mm=2.0, subsets=1, resolution_mm=0.0)
    projector = Projector(scanner)
    radius = 60.0
    sinogram = projector.line_integral(make_disc(scanner, radius), 0)[..., 0].reshape(scanner.angles, -1)
    radial = (np.arange(96) - 47.5) * 2.0
    chord = 0.1 * 2 * np.sqrt(np.maximum(radius**2 - radial**2, 0.0))
    away = np.abs(np.abs(radial) - radius) > 4.0
    assert np.abs(sinogram - chord)[:, away].max() < 0.02 * chord.max()
    # Every angle sees the same amount of activity.
    totals = sinogram.sum(axis=1) * 0.2
    np.testing.assert_allclose(totals, np.pi * (0.1 * radius) ** 2, rtol=5e-3)


def test_tof_bins_sum_to_the_line_integral(make_scanner, make_disc):
    projector = Projector(make_scanner(tof_bins=31, resolution_mm=0.0))
    image = make_disc(projector.scanner, 60.0)
    np.testing.assert_allclose(
        projector.forward(image, 0).sum(axis=0), projector.line_integral(image, 0), rtol=1e-3, atol=1e-3
    )


def test_tof_sees_where_a_point_is(make_scanner):
    """The TOF profile of a point has its depth as mean and the timing resolution as width."""
    scanner = make_scanner(tof_bins=41, tof_bin_mm=10.0, angles=4, subsets=1)
    projector = Projector(scanner)
    image = np.zeros((48, 48, 1), dtype=np.float32)
    image[24, 36] = 1.0  # y = +50 mm; at angle 0 the ray runs along y
    profile = projector.forward(image, 0).reshape(41, 4, 60)[:, 0].sum(axis=1).astype(np.float64)
    centre = (np.arange(41) - 20) * 10.0
    mean = (profile * centre).sum() / profile.sum()
    width = np.sqrt((profile * (centre - mean) ** 2).sum() / profile.sum()) * FWHM
    assert mean == pytest.approx(50.0, abs=0.5 * 192 / 16)
    assert width == pytest.approx(scanner.tof_mm, rel=0.06)
    assert scanner.tof_mm == pytest.approx(58.4, abs=0.2)


def test_tof_kernel_never_makes_counts(make_scanner):
    sums = tof_kernel(make_scanner()).sum(axis=0)
    assert sums.max() <= 1 + 1e-6
    assert sums[8] > 0.99


def test_blur_keeps_activity_and_has_the_asked_width():
    matrix = gaussian_matrix(61, 1.0, 4.5)
    point = np.zeros((61, 61, 1), dtype=np.float32)
    point[30, 30] = 1.0
    blurred = blur_plane(matrix, point)[..., 0].astype(np.float64)
    position = np.arange(61) - 30.0
    assert blurred.sum() == pytest.approx(1.0, abs=1e-4)
    variance = (blurred.sum(axis=1) * position**2).sum()
    # The voxel itself adds 1/12 to the variance.
    assert np.sqrt(variance - 1 / 12) * FWHM == pytest.approx(4.5, rel=0.02)
    np.testing.assert_array_equal(matrix, matrix.T)


def test_activity_outside_the_disc_is_not_seen(projector):
    corner = np.zeros((48, 48, 1), dtype=np.float32)
    corner[:4, :4] = 1.0
    assert all(projector.forward(corner, s).max() == 0 for s in range(4))
