import numpy as np
import pytest

from taskgan.physics.sequences import TARGETS, mdme_signal, target_signal
from taskgan.physics.tissues import SPREAD, TABLE, TISSUES, draw_tissues, effective_tissues, index
from taskgan.simulate.deform import Grid
from taskgan.simulate.mr.scan import (
    LEVELS,
    Fields,
    acquire_mdme,
    acquire_target,
    draw_fields,
    mixed_signal,
    reference_mdme,
    reference_target,
    smooth_field,
    tissue_voxels,
    transmit_field,
)
from taskgan.simulate.mr.settings import MrSimulation

GRID = Grid((24, 24, 10), (8.0, 8.0, 8.0))
QUIET = MrSimulation(noise=0)
STEP = 0.5 / LEVELS + 1e-6


def _fields(**changes):
    zero = np.zeros(GRID.shape, dtype=np.float32)
    values = {"b1": zero + 1, "phase": zero, "phase_growth": zero, "textures": np.stack([zero] * 3), "gain": 1.0}
    return Fields(**{**values, **changes})


def _body(**parts):
    fractions = np.zeros((len(TISSUES), *GRID.shape), dtype=np.float32)
    for name, part in parts.items():
        fractions[index(name)] = part
    return fractions


def _signal(name, delay=4200.0, te=21.0, b1=1.0):
    t = TABLE[name]
    return float(mdme_signal(t.pd, t.t1, t.t2, te=te, td=delay, b1=b1, protocol=QUIET.mdme))


def test_one_tissue_gives_its_equation_in_every_image(rng):
    images = acquire_mdme(_body(grey=1.0), TABLE, _fields(), QUIET, rng)
    assert len(images) == 8
    for (d, e), image in images.items():
        assert image.real.mean() == pytest.approx(
            _signal("grey", QUIET.mdme.delays[d - 1], QUIET.mdme.echoes[e - 1]), abs=STEP
        )
        assert (image.imag == 0).all()
    assert (images[1, 1].real < 0).all()
    for target in TARGETS:
        image = acquire_target(_body(csf=1.0), TABLE, _fields(), target, QUIET, rng)
        t = TABLE["csf"]
        assert image.mean() == pytest.approx(abs(float(target_signal(t.pd, t.t1, t.t2, target))), abs=STEP)


def test_a_voxel_of_two_tissues_is_the_mean_of_their_signals(rng):
    images = acquire_mdme(_body(grey=0.5, csf=0.5), TABLE, _fields(), QUIET, rng)
    for (d, e), image in images.items():
        td, te = QUIET.mdme.delays[d - 1], QUIET.mdme.echoes[e - 1]
        mean = 0.5 * (_signal("grey", td, te) + _signal("csf", td, te))
        assert image.real.mean() == pytest.approx(mean, abs=STEP)
    # Signed signals are mixed before the magnitude: on T2-FLAIR CSF lowers grey matter, it does not add to it,
    # and the voxel is darker than one of mixed parameters would be.
    flair = next(t for t in TARGETS if t.name == "T2-FLAIR")
    grey, csf = TABLE["grey"], TABLE["csf"]
    image = acquire_target(_body(grey=0.5, csf=0.5), TABLE, _fields(), flair, QUIET, rng)
    signals = [float(target_signal(t.pd, t.t1, t.t2, flair)) for t in (grey, csf)]
    assert signals[1] < 0 < signals[0]
    assert image.mean() == pytest.approx(np.mean(signals), abs=STEP)
    parameters = (0.5 * (a + b) for a, b in ((grey.pd, csf.pd), (grey.t1, csf.t1), (grey.t2, csf.t2)))
    assert abs(float(target_signal(*parameters, flair)) - image.mean()) > 20 * STEP


def test_air_gives_nothing_and_gain_scales_everything(rng):
    assert all((i == 0).all() for i in acquire_mdme(_body(), TABLE, _fields(), QUIET, rng).values())
    one = acquire_target(_body(white=0.3), TABLE, _fields(), TARGETS[0], QUIET, rng)
    three = acquire_target(_body(white=0.3), TABLE, _fields(gain=3.0), TARGETS[0], QUIET, rng)
    np.testing.assert_allclose(three, 3 * one, atol=4 * STEP)


def test_transmit_field_and_phase_enter_as_they_should(rng):
    b1 = np.linspace(0.8, 1.2, GRID.shape[0], dtype=np.float32)[:, None, None] * np.ones(GRID.shape, np.float32)
    image = acquire_mdme(_body(white=1.0), TABLE, _fields(b1=b1), QUIET, rng)[4, 1].real
    for k in (0, 12, 23):
        assert image[k].mean() == pytest.approx(_signal("white", b1=float(b1[k, 0, 0])), abs=STEP)
    turned = _fields(phase=np.full(GRID.shape, 0.2, np.float32), phase_growth=np.full(GRID.shape, 0.3, np.float32))
    images = acquire_mdme(_body(white=1.0), TABLE, turned, QUIET, rng)
    assert np.angle(images[4, 2]).mean() == pytest.approx(0.5, abs=0.01)
    assert np.angle(images[4, 1]).mean() == pytest.approx(0.2 + 0.3 * 21 / 95, abs=0.01)
    assert np.abs(images[4, 1]).mean() == pytest.approx(_signal("white"), abs=3 * STEP)
    target = acquire_target(_body(white=1.0), TABLE, turned, TARGETS[0], QUIET, rng)
    np.testing.assert_array_equal(target, acquire_target(_body(white=1.0), TABLE, _fields(), TARGETS[0], QUIET, rng))


def test_noise_has_its_sd_in_both_parts_and_is_independent(rng):
    settings = MrSimulation(snr=20, noise=2.0, target_snr=30)
    sd = 2.0 * reference_mdme(settings.mdme) / 20
    assert reference_mdme(settings.mdme) == pytest.approx(_signal("white"))
    images = acquire_mdme(_body(white=1.0), TABLE, _fields(), settings, rng)
    quiet = acquire_mdme(_body(white=1.0), TABLE, _fields(), QUIET, rng)
    noise = [part for key in images for part in ((images[key] - quiet[key]).real, (images[key] - quiet[key]).imag)]
    for part in noise:
        assert part.std() == pytest.approx(sd, rel=0.04)
        assert part.mean() == pytest.approx(0, abs=4 * sd / np.sqrt(part.size))
    together = np.corrcoef([part.ravel() for part in noise])
    assert np.abs(together - np.eye(16)).max() < 0.07
    air = acquire_target(_body(), TABLE, _fields(), TARGETS[4], settings, rng)
    target_sd = 2.0 * reference_target(TARGETS[4]) / 30
    assert air.min() >= 0
    assert air.mean() == pytest.approx(target_sd * np.sqrt(np.pi / 2), rel=0.03)  # Rayleigh


def test_fields_are_smooth_bounded_and_centred(rng):
    head = np.zeros(GRID.shape, dtype=bool)
    head[4:20, 4:20, 1:9] = True
    b1 = transmit_field(GRID, head, 0.2, rng)
    assert 0.12 - 1e-6 <= np.abs(b1[head] - 1).max() <= 0.2 + 1e-6
    assert np.abs(np.diff(b1, axis=0)).max() < 0.12
    assert (transmit_field(GRID, head, 0.0, rng) == 1).all()
    phase = smooth_field(GRID, rng)
    assert (phase.mean(), phase.std()) == pytest.approx((0, 1), abs=1e-4)
    flat = MrSimulation(b1=0, phase_rad=0, texture=0, gain=0)
    fields = draw_fields(flat, GRID, head, rng)
    assert fields.gain == 1
    for part in (fields.b1 - 1, fields.phase, fields.phase_growth, fields.textures):
        assert (part == 0).all()


def test_texture_changes_a_tissue_within_itself(rng):
    textures = np.zeros((3, *GRID.shape), dtype=np.float32)
    textures[2, 0] = 0.1
    own = tissue_voxels(_body(white=1.0), TABLE, textures)
    found = mixed_signal(own, GRID.shape, lambda part: part.pd * part.t1 / 701)
    np.testing.assert_allclose(found[0], 0.77, rtol=1e-5)
    np.testing.assert_allclose(found[1:], 0.70, rtol=1e-5)


def test_tissues_vary_between_subjects_as_the_table_says():
    drawn = [draw_tissues(np.random.default_rng(seed)) for seed in range(400)]
    for name in TISSUES:
        assert all(0.02 <= sd <= 0.08 for sd in SPREAD[name])
        for k, part in enumerate(("t1", "t2", "pd")):
            values = np.array([getattr(d[name], part) for d in drawn]) / getattr(TABLE[name], part)
            assert values.mean() == pytest.approx(1, abs=0.02)
            assert values.std() == pytest.approx(SPREAD[name][k], rel=0.15)
    assert draw_tissues(np.random.default_rng(0), spread=0) == TABLE
    assert set(TABLE) == set(SPREAD) == set(TISSUES)


def test_targets_see_slightly_other_tissues(rng):
    seen = effective_tissues(TABLE, rng, difference=0.02)
    for name in TISSUES:
        assert seen[name] != TABLE[name]
        assert seen[name].pd == TABLE[name].pd
        assert seen[name].t1 / TABLE[name].t1 == pytest.approx(1.02, abs=0.055)
        assert seen[name].t2 / TABLE[name].t2 == pytest.approx(1.05, abs=0.055)
    assert effective_tissues(TABLE, rng, difference=0) == TABLE
