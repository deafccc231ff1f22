import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgan.core.errors import Problems
from taskgan.physics.sequences import TARGETS, Mdme, SpinEcho, mdme_signal, target_signal
from taskgan.physics.tissues import TABLE
from taskgan.simulate.mr.settings import mr_simulation

MDME = Mdme()
BRAIN = ("white", "grey", "deep_grey", "csf", "plaque", "tumour", "oedema")


def _mdme(name, td, te=21.0, b1=1.0, protocol=MDME):
    tissue = TABLE[name]
    return float(mdme_signal(tissue.pd, tissue.t1, tissue.t2, te=te, td=td, b1=b1, protocol=protocol))


def _target(name, contrast):
    tissue = TABLE[name]
    return float(target_signal(tissue.pd, tissue.t1, tissue.t2, _by_name(contrast)))


def _by_name(contrast):
    return next(target for target in TARGETS if target.name == contrast)


def test_protocol_is_the_papers():
    assert (MDME.tr, MDME.delays, MDME.echoes) == (4350, (150, 600, 1950, 4200), (21, 95))
    assert [(t.name, t.tr, t.te, t.ti) for t in TARGETS] == [
        ("T1w", 600, 15, None),
        ("T1-FLAIR", 2500, 20, 950),
        ("T2w", 4500, 100, None),
        ("T2-FLAIR", 9500, 110, 2400),
        ("STIR", 5000, 60, 220),
        ("PDw", 2700, 20, None),
    ]


@given(
    pd=st.floats(0.1, 1.2),
    t1=st.floats(200, 5000),
    t2=st.floats(20, 500),
    td=st.sampled_from(MDME.delays),
    te=st.sampled_from(MDME.echoes),
    b1=st.floats(0.7, 1.3),
)
def test_mdme_is_the_steady_state_of_its_pulses(pd, t1, t2, td, te, b1):
    """Bloch equations, pulse by pulse, until nothing changes, against the closed form."""
    theta, alpha = math.radians(120) * b1, math.radians(90) * b1
    m = 1.0
    for _ in range(60):
        before = 1 - (1 - m * math.cos(theta)) * math.exp(-td / t1)
        transverse = before * math.sin(alpha)
        m = 1 - (1 - before * math.cos(alpha)) * math.exp(-(MDME.tr - td) / t1)
    expected = pd * transverse * math.exp(-te / t2)
    found = float(mdme_signal(pd, t1, t2, te=te, td=td, b1=b1, protocol=MDME))
    assert found == pytest.approx(expected, abs=1e-6)


@given(t1=st.floats(200, 5000), t2=st.floats(20, 500), target=st.sampled_from(TARGETS))
def test_targets_are_the_steady_state_of_their_pulses(t1, t2, target):
    m = 1.0
    for _ in range(60):
        if target.ti is None:
            before = m
            after = 0.0
            rest = target.tr
        else:
            before = 1 - (1 + m) * math.exp(-target.ti / t1)
            after = 0.0
            rest = target.tr - target.ti
        m = 1 - (1 - after) * math.exp(-rest / t1)
    found = float(target_signal(0.8, t1, t2, target))
    assert found == pytest.approx(0.8 * before * math.exp(-target.te / t2), abs=1e-9)


def test_nominal_transmit_field_needs_no_denominator():
    """At B1 = 1 cos α is 0, so that the signal is that of a saturation recovery from −½."""
    for name in BRAIN:
        tissue = TABLE[name]
        for td in MDME.delays:
            recovered = 1 - 1.5 * math.exp(-td / tissue.t1) + 0.5 * math.exp(-MDME.tr / tissue.t1)
            expected = tissue.pd * math.exp(-21 / tissue.t2) * recovered
            assert _mdme(name, td) == pytest.approx(expected, rel=1e-12)
            assert _mdme(name, td, b1=0.85) != pytest.approx(expected, rel=1e-3)


def test_shortest_delay_is_negative_for_brain_and_the_longest_positive():
    for name in BRAIN:
        for b1 in (0.9, 1.0, 1.2):  # at 0.85 white matter has just recovered: 102° saturate too little
            assert _mdme(name, 150, b1=b1) < 0 < _mdme(name, 4200, b1=b1)
    assert [n for n in BRAIN if _mdme(n, 600) < 0] == ["csf", "tumour"]


def _null_ti(t1, tr):
    """Inversion time at which a tissue gives nothing."""
    return t1 * math.log(2 / (1 + math.exp(-tr / t1)))


def test_known_nulls():
    csf, fat = TABLE["csf"], TABLE["fat"]
    flair, stir = _by_name("T2-FLAIR"), _by_name("STIR")
    for tissue, target in ((csf, flair), (fat, stir)):
        at_null = target.model_copy(update={"ti": _null_ti(tissue.t1, target.tr)})
        assert float(target_signal(1, tissue.t1, tissue.t2, at_null)) == pytest.approx(0, abs=1e-12)
    # At the protocol's own TI either is nearly gone.
    assert abs(_target("csf", "T2-FLAIR")) < 0.2 * _target("white", "T2-FLAIR")
    assert abs(_target("fat", "STIR")) < 0.25 * abs(_target("white", "STIR"))


def test_contrasts_are_in_the_order_that_readers_know():
    def magnitudes(contrast, *names):
        return [abs(_target(name, contrast)) for name in names]

    for contrast in ("T1w", "T1-FLAIR"):
        falling = magnitudes(contrast, "fat", "white", "grey", "csf" if contrast == "T1w" else "tumour")
        assert falling == sorted(falling, reverse=True)
    for contrast in ("T2w", "STIR"):
        rising = magnitudes(contrast, "white", "grey", "plaque", "csf")
        assert rising == sorted(rising)
    rising = magnitudes("T2-FLAIR", "csf", "white", "grey", "plaque")
    assert rising == sorted(rising)
    assert rising[-1] > 1.5 * rising[1]
    assert _target("grey", "PDw") > _target("white", "PDw")


def test_signals_are_linear_in_density_and_broadcast():
    t1 = np.array([700.0, 1100.0, 4200.0])
    one = mdme_signal(1.0, t1, 80.0, te=21, td=600, b1=np.ones((2, 1)), protocol=MDME)
    assert one.shape == (2, 3)
    np.testing.assert_allclose(mdme_signal(0.5, t1, 80.0, te=21, td=600, b1=np.ones((2, 1)), protocol=MDME), 0.5 * one)
    np.testing.assert_allclose(target_signal(0.5, t1, 80.0, TARGETS[3]), 0.5 * target_signal(1, t1, 80, TARGETS[3]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mdme": {"delays": (600, 150)}}, "rising times"),
        ({"mdme": {"delays": (150, 5000)}}, "does not fit into TR 4350 ms"),
        ({"targets": ()}, "each once"),
        ({"targets": (SpinEcho(name="T3w", tr=1, te=1),)}, "each once"),
        ({"splits": (0.5, 0.5, 0.5)}, "sum to 1"),
        ({"snr": 0}, "snr"),
        ({"colour": "red"}, "unknown key colour"),
    ],
)
def test_settings_refuse(change, message):
    with pytest.raises(Problems, match=message):
        mr_simulation(**change)
