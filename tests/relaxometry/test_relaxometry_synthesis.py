import numpy as np
import pytest

from mdme_phantom import NAMES, PROTOCOL, make_phantom
from taskgan.physics.sequences import TARGETS, mdme_signal, target_signal
from taskgan.physics.tissues import TABLE
from taskgan.relaxometry.fit import fit_maps, synthesise

FLAIR = next(target for target in TARGETS if target.name == "T2-FLAIR")


def _signal(name, target):
    tissue = TABLE[name]
    return float(target_signal(tissue.pd, tissue.t1, tissue.t2, target))


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_contrasts_of_single_tissues_are_those_of_their_equations(target):
    phantom = make_phantom(size=24, slices=2, gain=2.5)
    maps = fit_maps(phantom.images, PROTOCOL, voxel_mm=(8.0, 8.0, 5.0))
    image = synthesise(maps, target)
    true = 2.5 * np.abs(target_signal(phantom.pd, phantom.t1, phantom.t2, target))
    assert np.abs(image - true)[phantom.inside].max() < 0.01 * 2.5
    assert not image[~phantom.inside].any()
    assert image.dtype == np.float32


@pytest.mark.parametrize("share", [0.2, 0.35, 0.5, 0.65, 0.8])
def test_a_voxel_of_csf_and_grey_matter_is_too_bright_on_synthetic_t2_flair(share):
    # Four mixed voxels among pure ones, from which the field is known. Signals are added, not parameters.
    phantom = make_phantom(size=24, slices=2, field=0.1)
    there = (slice(11, 13), slice(11, 13), 0)
    for d, td in enumerate(PROTOCOL.delays):
        for e, te in enumerate(PROTOCOL.echoes):
            csf, grey = (
                mdme_signal(t.pd, t.t1, t.t2, te=te, td=td, b1=phantom.b1[there], protocol=PROTOCOL)
                for t in (TABLE["csf"], TABLE["grey"])
            )
            phantom.images[d, e][there] = share * csf + (1 - share) * grey
    maps = fit_maps(phantom.images, PROTOCOL, voxel_mm=(8.0, 8.0, 5.0))
    true = abs(share * _signal("csf", FLAIR) + (1 - share) * _signal("grey", FLAIR))
    synthetic = synthesise(maps, FLAIR)[there]
    assert (synthetic > true + 0.25 * _signal("white", FLAIR)).all()
    # It is the mixture that does it: pure tissue beside it is right.
    grey = (phantom.tissue == NAMES.index("grey")) & (maps.t1 < 1300)
    assert np.median(synthesise(maps, FLAIR)[grey]) == pytest.approx(_signal("grey", FLAIR), rel=0.01)
