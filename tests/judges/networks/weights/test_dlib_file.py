"""dlib's own file: every weight comes back where it belongs, and whatever is no such file gets a sentence."""

from pathlib import Path

import pytest
import torch

from dlib_files import WIDTH, dlib_bytes, integer, random_network, tensor, text, write_dlib
from taskgan.core.errors import UserError
from taskgan.judges.weights import load_dlib_face
from taskgan.networks.photos import DlibFace


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    network = random_network()
    state = load_dlib_face(write_dlib(tmp_path / "a.dat", network), width=WIDTH)
    expected = network.state_dict()
    assert set(state) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(state[name], value, rtol=0, atol=0)
    DlibFace(width=WIDTH).load_state_dict(state)


def test_integers_are_as_dlib_packs_them() -> None:
    # From the released file: 4,736 numbers of the first layer, 150 pixels.
    assert integer(4736) == b"\x02\x80\x12"
    assert integer(150) == b"\x01\x96"
    assert integer(-3) == b"\x81\x03"


def test_another_network_is_named(tmp_path: Path) -> None:
    path = write_dlib(tmp_path / "a.dat")
    for width, numbers, wanted in ((4, "148×1×1×1", 296), (64, "148×1×1×1", 4736)):
        with pytest.raises(UserError, match=f"con_ of layer 1 has {numbers} numbers, expected {wanted}"):
            load_dlib_face(path, width=width)
    write_dlib(path, layers=28)
    with pytest.raises(UserError, match="has fc where con_ of layer 29 should be"):
        load_dlib_face(path, width=WIDTH)
    raw = dlib_bytes(random_network())
    path.write_bytes(raw + text("con_4") + tensor(torch.zeros(3)))
    with pytest.raises(UserError, match="layers beyond the last"):
        load_dlib_face(path, width=WIDTH)


def test_damage_is_named(tmp_path: Path) -> None:
    path, raw = tmp_path / "a.dat", dlib_bytes(random_network())
    with pytest.raises(UserError, match="does not exist, expected dlib_face_recognition_resnet_model_v1.dat"):
        load_dlib_face(path)
    for cut, words in (
        (0, "has the end of the file where con_ of layer 1"),
        (len(raw) // 2, "ends within|end of the file|damaged"),
        (-900, "ends within|end of the file|damaged"),
    ):
        path.write_bytes(raw[:cut])
        with pytest.raises(UserError, match=words):
            load_dlib_face(path, width=WIDTH)
    first = raw.index(text("con_4")) + len(text("con_4"))
    for damage, words in (
        (b"\x01\x02\x00", "is damaged at byte"),
        (b"\x01\x02\x08" + b"\xff" * 8 + b"\x08" + b"\xff" * 8 + b"\x01\x01\x01\x01", "numbers, expected 148"),
        (b"\x01\x02\x81\x94\x81\x01\x01\x01\x01\x01", "numbers, expected 148"),
    ):
        path.write_bytes(raw[:first] + damage + raw[first + len(damage) :])
        with pytest.raises(UserError, match=words):
            load_dlib_face(path, width=WIDTH)
    network = random_network()
    with torch.no_grad():
        network.stages[1][0].second.shift[0] = float("nan")
    with pytest.raises(UserError, match="affine_ of layer 9 holds NaN"):
        load_dlib_face(write_dlib(path, network), width=WIDTH)
