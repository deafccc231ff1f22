import numpy as np
import pytest

from mdme_phantom import NAMES, PROTOCOL, make_phantom
from taskgan.core.errors import UserError
from taskgan.physics.sequences import Mdme, mdme_signal
from taskgan.relaxometry.acquisition import Relaxometry
from taskgan.relaxometry.fit import fit_decay, fit_maps
from taskgan.simulate.mr.scan import reference_mdme

VOXEL = (6.0, 6.0, 5.0)
SD = reference_mdme(PROTOCOL) / 40  # the simulator's noise


@pytest.fixture(scope="module")
def maps(phantom):
    return fit_maps(phantom.images, PROTOCOL, voxel_mm=VOXEL)


def test_without_noise_t1_t2_and_density_are_within_two_per_cent_in_every_voxel(phantom, maps):
    inside = phantom.inside
    assert phantom.b1[inside].min() < 0.82
    assert phantom.b1[inside].max() > 1.18
    for fitted, true in ((maps.t1, phantom.t1), (maps.t2, phantom.t2), (maps.pd, phantom.pd)):
        assert np.abs(fitted / true - 1)[inside].max() < 0.02
    assert np.abs(maps.b1 - phantom.b1)[inside].max() < 0.005


def test_air_is_zero_in_every_map(phantom, maps):
    for fitted in maps.by_suffix().values():
        assert fitted.shape == phantom.t1.shape
        assert not fitted[~phantom.inside].any()


def test_receive_phase_does_not_matter_and_gain_scales_density_alone(phantom, maps):
    turned = fit_maps(phantom.images * np.complex64(3 * np.exp(2.1j)), PROTOCOL, voxel_mm=VOXEL)
    np.testing.assert_allclose(turned.t1, maps.t1, rtol=1e-3)
    np.testing.assert_allclose(turned.t2, maps.t2, rtol=1e-3)
    np.testing.assert_allclose(turned.pd, 3 * maps.pd, rtol=1e-3)


def test_real_images_with_their_sign_give_the_same_maps():
    shape = (4, 2, 12, 12, 1)
    signed = np.empty(shape, np.float32)
    for d, td in enumerate(PROTOCOL.delays):
        for e, te in enumerate(PROTOCOL.echoes):
            signed[d, e] = mdme_signal(0.7, 701, 64, te=te, td=td, b1=0.9, protocol=PROTOCOL)
    maps = fit_maps(signed, PROTOCOL, voxel_mm=VOXEL)
    assert np.abs(maps.t1 / 701 - 1).max() < 0.02
    assert np.abs(maps.t2 / 64 - 1).max() < 0.02
    assert np.abs(maps.b1 - 0.9).max() < 0.01


@pytest.fixture(scope="module")
def noisy():
    return make_phantom(size=44, slices=4, noise=SD, seed=4)


def test_with_the_simulators_noise_the_maps_are_unbiased(noisy):
    maps = fit_maps(noisy.images, PROTOCOL, voxel_mm=(5.0, 5.0, 5.0))
    assert maps.noise == pytest.approx(SD, rel=0.03)
    for number, name in enumerate(NAMES):
        there = noisy.tissue == number
        for fitted, true, key in ((maps.t1, noisy.t1, "T1"), (maps.t2, noisy.t2, "T2"), (maps.pd, noisy.pd, "PD")):
            ratio = fitted[there] / true[there]
            assert np.median(ratio) == pytest.approx(1, abs=0.02), (name, key)
            assert ratio.mean() == pytest.approx(1, abs=0.04), (name, key)


def test_a_nominal_field_has_t1_wrong_and_the_smooth_one_right(phantom):
    nominal = fit_maps(phantom.images, PROTOCOL, voxel_mm=VOXEL, settings=Relaxometry(b1="nominal"))
    edge = phantom.inside & (phantom.b1 < 0.85)
    assert np.abs(nominal.t1 / phantom.t1 - 1)[edge].mean() > 0.1
    assert (nominal.b1[phantom.inside] == 1).all()


def test_another_protocol_is_fitted_by_its_own_times():
    protocol = Mdme(tr=5000, delays=(100, 400, 1200, 3000, 4800), echoes=(15, 60, 110), saturation_deg=110)
    other = make_phantom(size=24, slices=2, protocol=protocol)
    maps = fit_maps(other.images, protocol, voxel_mm=VOXEL)
    assert np.abs(maps.t1 / other.t1 - 1)[other.inside].max() < 0.02
    assert np.abs(maps.t2 / other.t2 - 1)[other.inside].max() < 0.02


def test_decay_takes_the_noise_off_the_magnitude():
    rng = np.random.default_rng(1)
    shape = np.ones((4, 40000))
    sd, t2 = 0.2, 40.0
    true = np.exp(-np.array(PROTOCOL.echoes) / t2)[:, None]
    drawn = sd / 2 * (rng.standard_normal((2, 40000)) + 1j * rng.standard_normal((2, 40000)))
    fitted, _ = fit_decay(true + drawn, shape, sd, PROTOCOL, Relaxometry())
    naive, _ = fit_decay(true + drawn, shape, 0.0, PROTOCOL, Relaxometry())
    assert abs(np.median(fitted) / t2 - 1) < abs(np.median(naive) / t2 - 1)


def test_nothing_but_zeros_is_refused():
    with pytest.raises(UserError, match="scan of sub-1 holds no signal"):
        fit_maps(np.zeros((4, 2, 8, 8, 1), np.complex64), PROTOCOL, name="scan of sub-1")


def test_noise_alone_is_air():
    rng = np.random.default_rng(0)
    images = rng.standard_normal((4, 2, 40, 40, 2)) + 1j * rng.standard_normal((4, 2, 40, 40, 2))
    with pytest.raises(UserError, match="no signal above its noise"):
        fit_maps(images.astype(np.complex64), PROTOCOL)


def test_images_of_another_protocol_are_a_programming_error(phantom):
    with pytest.raises(ValueError, match="expected \\(delays, echoes"):
        fit_maps(phantom.images[:3], PROTOCOL)
