import json

import numpy as np
import pytest

from mdme_phantom import PROTOCOL
from taskgan.core.errors import Problems, UserError
from taskgan.images.volumes import sidecar, write_volume
from taskgan.physics.sequences import TARGETS, Mdme, SpinEcho
from taskgan.relaxometry.acquisition import Relaxometry
from taskgan.relaxometry.noise import check_identifiable, cramer_rao_bounds
from taskgan.relaxometry.protocol import ProtocolFile, contrast_sequence, input_protocol
from taskgan.simulate.mr.cohort import input_sidecar, target_sidecar

FLAIR = next(target for target in TARGETS if target.name == "T2-FLAIR")


def _images(folder, protocol):
    found = {}
    for d, td in enumerate(protocol.delays, start=1):
        for e, te in enumerate(protocol.echoes, start=1):
            found[d, e] = folder / f"d{d}e{e}.nii.gz"
            write_volume(
                found[d, e], np.zeros((2, 2, 1), np.float32), np.eye(4), side=input_sidecar(protocol, td, te, 5.0)
            )
    return found


def _change(path, **fields):
    side = json.loads(sidecar(path).read_text())
    side = {key: value for key, value in {**side, **fields}.items() if value is not None}
    sidecar(path).write_text(json.dumps(side))


def test_times_and_angles_are_those_of_the_sidecars(tmp_path):
    own = Mdme(tr=5000, delays=(100, 500, 1500, 3000, 4800), echoes=(12, 50, 90), saturation_deg=115)
    assert input_protocol(_images(tmp_path, own), ProtocolFile()) == (own, "sidecars")


def test_a_file_goes_first_and_defaults_come_last(tmp_path):
    images = _images(tmp_path, PROTOCOL)
    given = Mdme(tr=6000)
    assert input_protocol(images, ProtocolFile(mdme=given)) == (given, "file")
    for path in images.values():
        _change(path, SaturationFlipAngle=None)
    protocol, source = input_protocol(images, ProtocolFile())
    assert (protocol, source) == (PROTOCOL, "sidecars, default SaturationFlipAngle")
    for path in images.values():
        sidecar(path).unlink()
    assert input_protocol(images, ProtocolFile()) == (PROTOCOL, "default")
    del images[4, 1], images[4, 2]
    with pytest.raises(UserError, match="has 3 delays and 2 echoes, .* without times"):
        input_protocol(images, ProtocolFile())


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"InversionTime": None}, "d2e1.json has no InversionTime"),
        ({"InversionTime": 600}, "expected seconds, not milliseconds"),
        ({"InversionTime": 0.7}, "has another InversionTime than d2e1.nii.gz: 600, 700 ms|than d2e1"),
        ({"EchoTime": "long"}, "the value 'long' as EchoTime"),
        ({"FlipAngle": 80}, "differ in FlipAngle"),
        ({"RepetitionTime": 5}, "another RepetitionTime"),
    ],
)
def test_what_sidecars_lack_or_contradict_is_named(tmp_path, fields, sentence):
    images = _images(tmp_path, PROTOCOL)
    _change(images[2, 1], **fields)
    with pytest.raises(UserError, match=sentence) as caught:
        input_protocol(images, ProtocolFile())
    assert "\n" not in str(caught.value)


def test_delays_that_do_not_rise_are_refused(tmp_path):
    images = _images(tmp_path, PROTOCOL)
    images[1, 1], images[1, 2], images[2, 1], images[2, 2] = (images[2, 1], images[2, 2], images[1, 1], images[1, 2])
    with pytest.raises(Problems, match="rising times"):
        input_protocol(images, ProtocolFile())


def test_a_contrast_is_what_its_own_image_says_it_is(tmp_path):
    path = tmp_path / "flair.nii.gz"
    own = SpinEcho(name="T2-FLAIR", tr=9000, te=120, ti=2500)
    write_volume(path, np.zeros((2, 2, 1), np.float32), np.eye(4), side=target_sidecar(own, 5.0))
    assert contrast_sequence("T2-FLAIR", path, ProtocolFile()) == (own, "sidecar", [])
    assert contrast_sequence("T2-FLAIR", None, ProtocolFile()) == (FLAIR, "default", [])
    mine = SpinEcho(name="T2-FLAIR", tr=8000, te=90, ti=2200)
    assert contrast_sequence("T2-FLAIR", path, ProtocolFile(targets=(mine,))) == (mine, "file", [])
    _change(path, InversionTime=None)  # half a FLAIR is no FLAIR
    assert contrast_sequence("T2-FLAIR", path, ProtocolFile()) == (FLAIR, "default", [])
    _change(path, ScanningSequence=["GR", "IR"], InversionTime=0.9)
    assert "gradient echo" in contrast_sequence("T1w", path, ProtocolFile())[2][0]
    with pytest.raises(UserError, match="the contrast 'DWI' has no protocol"):
        contrast_sequence("DWI", None, ProtocolFile())


def test_a_contrast_is_given_once():
    with pytest.raises(ValueError, match="expected each once"):
        ProtocolFile(targets=(FLAIR, FLAIR))


@pytest.mark.parametrize(
    ("protocol", "sentence"),
    [
        (Mdme(delays=(600, 1950)), "expected at least 3 and 2 to fit T1, T2 and B1"),
        (Mdme(echoes=(21,)), "4 delays and 1 echoes"),
        (Mdme(delays=(4000, 4100, 4200)), "cannot tell T1 and B1 of white matter: delays 4000"),
        (Mdme(echoes=(21, 22)), "cannot tell T2 of white matter"),
    ],
)
def test_a_protocol_that_tells_nothing_is_refused(protocol, sentence):
    with pytest.raises(UserError, match=sentence) as caught:
        check_identifiable(protocol, Relaxometry(), "mine")
    assert "\n" not in str(caught.value)


def test_with_a_nominal_field_two_delays_are_enough():
    check_identifiable(Mdme(delays=(300, 1950)), Relaxometry(b1="nominal"), "mine")
    check_identifiable(PROTOCOL, Relaxometry(), "the default")


def test_an_echo_farther_away_tells_more_of_t2_and_nothing_less_of_t1():
    near, far = cramer_rao_bounds(Mdme(echoes=(21, 40))), cramer_rao_bounds(Mdme(echoes=(21, 95)))
    assert far["T2"] < near["T2"]
    assert cramer_rao_bounds(Mdme(delays=(150, 600, 1950)))["B1"] > cramer_rao_bounds(PROTOCOL)["B1"]


def test_ranges_of_the_fit_rise():
    with pytest.raises(ValueError, match="t1 is 900 to 100"):
        Relaxometry(t1=(900, 100))
