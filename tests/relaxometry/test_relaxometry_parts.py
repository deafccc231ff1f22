"""Projection, noise and field, each by itself."""

import numpy as np
import pytest

from mdme_phantom import PROTOCOL, make_phantom
from taskgan.physics.sequences import mdme_signal
from taskgan.relaxometry import fit
from taskgan.relaxometry.acquisition import Relaxometry
from taskgan.relaxometry.fit import transmit_field
from taskgan.relaxometry.noise import cramer_rao_bounds, has_signal, noise_sd
from taskgan.relaxometry.projection import amplitudes, atoms, energy, fit_t1, gram, recovery, vertex


def _drawn(shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def test_the_quadratic_form_is_the_energy_that_the_best_amplitudes_explain():
    signal, shape = _drawn((4, 2, 50)), np.abs(_drawn((4, 50), 1)) + 0.1
    fitted = amplitudes(signal, shape)[None] * shape[:, None]
    left = (np.abs(signal - fitted) ** 2).sum(axis=(0, 1))
    packed = gram(signal)
    np.testing.assert_allclose(energy(packed), (np.abs(signal) ** 2).sum(axis=(0, 1)))
    np.testing.assert_allclose(energy(packed) - (atoms(shape) * packed).sum(axis=0), left)
    worse = (np.abs(signal - 1.01 * fitted) ** 2).sum(axis=(0, 1))
    assert (worse > left).all()


def test_recovery_is_the_signal_without_density_and_decay():
    t1 = np.array([300.0, 1000.0, 4000.0])
    whole = mdme_signal(0.7, t1, 80.0, te=21.0, td=600.0, b1=0.9, protocol=PROTOCOL)
    np.testing.assert_allclose(0.7 * np.exp(-21.0 / 80.0) * recovery(t1, 0.9, PROTOCOL)[1], whole)


def test_the_vertex_of_a_parabola_is_found_exactly_and_stays_near():
    def parabola(x):
        return 5.0 - 2.0 * (x - 0.3) ** 2

    offset, value = vertex(*(np.array([parabola(x)]) for x in (-1.0, 0.0, 1.0)))
    assert offset[0] == pytest.approx(0.3)
    assert value[0] == pytest.approx(5.0)
    rising = vertex(np.array([0.0]), np.array([2.0]), np.array([3.9]))
    assert rising[0][0] == 1.0
    assert vertex(np.array([1.0]), np.array([0.0]), np.array([1.0]))[0][0] == 0.0


@pytest.mark.parametrize("real", [False, True])
def test_the_noise_is_found_under_the_signal_and_alone(real):
    drawn = 0.05 * _drawn((4, 3, 20000))
    signal = drawn + 2.0 * recovery(900.0, 1.0, PROTOCOL)[:, None, None]
    parts = 3 if real else 6
    for images, share in ((signal, 1.0), (drawn, 0.0)):
        packed = gram(images.real if real else images)
        assert noise_sd(packed, parts) == pytest.approx(0.05, rel=0.03)
        assert has_signal(packed, 0.05, 4 * parts, 3.0).mean() == pytest.approx(share, abs=1e-3)


def test_no_voxel_no_noise():
    assert noise_sd(np.zeros((10, 30)), 4) == 0.0


def test_t1_is_as_precise_as_the_bound_allows():
    count, t1 = 4000, 701.0
    shape = recovery(t1, 1.0, PROTOCOL)
    clean = 0.7 * shape[:, None] * np.exp(-np.array(PROTOCOL.echoes) / 64.0)
    sd = np.abs(clean).max() / 40
    packed = gram(clean[..., None] + sd * _drawn((4, 2, count)))
    fitted, explained = fit_t1(packed, np.ones(count), PROTOCOL, (100.0, 6000.0))
    assert fitted.mean() == pytest.approx(t1, rel=0.005)
    assert fitted.std() / t1 == pytest.approx(cramer_rao_bounds(PROTOCOL)["T1"], rel=0.1)
    assert (explained <= energy(packed) + 1e-12).all()


def test_t1_stays_within_its_limits():
    packed = gram(_drawn((4, 2, 500)))
    fitted, _ = fit_t1(packed, np.ones(500), PROTOCOL, (200.0, 3000.0))
    assert fitted.min() >= 200.0 * (1 - 1e-9)
    assert fitted.max() <= 3000.0 * (1 + 1e-9)


def test_the_field_is_smooth_and_near_the_truth_in_noise():
    phantom = make_phantom(size=40, slices=4, noise=0.012, seed=3)
    at = np.flatnonzero(phantom.inside)
    packed = gram(phantom.images.reshape(4, 2, -1)[..., at])
    points = np.stack(np.unravel_index(at, phantom.t1.shape)) * np.array([[5.0], [5.0], [5.0]])
    field = transmit_field(packed, points, 0.012, PROTOCOL, Relaxometry())
    off = field - phantom.b1.reshape(-1)[at]
    assert np.sqrt((off**2).mean()) < 0.006
    assert (transmit_field(packed, points, 0.012, PROTOCOL, Relaxometry(b1="nominal")) == 1).all()


@pytest.mark.parametrize("slices", [2, 4])
def test_the_field_of_every_slice_is_found_from_a_part_of_the_voxels(monkeypatch, slices):
    phantom = make_phantom(size=32, slices=slices)
    at = np.flatnonzero(phantom.inside)
    monkeypatch.setattr(fit, "_MOST", at.size // slices)
    packed = gram(phantom.images.reshape(4, 2, -1)[..., at])
    points = np.stack(np.unravel_index(at, phantom.t1.shape)) * 6.0
    field = transmit_field(packed, points, 0.0, PROTOCOL, Relaxometry())
    assert np.abs(field - phantom.b1.reshape(-1)[at]).max() < 0.01


def test_one_voxel_has_a_field_too():
    packed = gram(_drawn((4, 2, 1)))
    field = transmit_field(packed, np.zeros((3, 1)), 0.1, PROTOCOL, Relaxometry())
    assert field.shape == (1,)
    assert 0.6 <= field[0] <= 1.4
