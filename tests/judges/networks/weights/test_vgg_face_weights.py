"""The two released formats give one network, and what is not one of them is called by its name."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from taskgan.core.errors import UserError
from taskgan.judges import weights
from taskgan.judges.weights import load_vgg_face
from taskgan.networks.photos import VGG_MEAN, VggFace
from vgg_face_files import WIDTH, random_layers, write_mat, write_pth

Layers = dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]


@pytest.fixture(scope="module")
def layers() -> Layers:
    return random_layers()


@pytest.fixture(scope="module")
def files(layers: Layers, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every way in which the weights may be written."""
    folder = tmp_path_factory.mktemp("released")
    return {
        "pth": write_pth(folder / "vgg_face_dag.pth", layers),
        "pth zip": write_pth(folder / "new.pt", layers, legacy=False),
        "mat": write_mat(folder / "vgg-face.mat", layers),
        "mat old": write_mat(folder / "old.mat", layers, old=True, mean=None),
        "mat net": write_mat(folder / "net.mat", layers, in_net=True),
    }


def test_every_format_gives_the_same_layers(files: dict[str, Path], layers: Layers) -> None:
    for name, path in files.items():
        state = load_vgg_face(path, width=WIDTH)
        assert set(state) == {f"{n}.{part}" for n in layers for part in ("weight", "bias")}, name
        for layer, (weight, bias) in layers.items():
            assert np.array_equal(state[f"{layer}.weight"].numpy(), weight), (name, layer)
            assert np.array_equal(state[f"{layer}.bias"].numpy(), bias), (name, layer)


def test_every_format_computes_the_same_layer_by_layer(files: dict[str, Path]) -> None:
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 60
    seen = []
    for name in ("pth", "mat"):
        network = VggFace(width=WIDTH).eval()
        network.load_state_dict(load_vgg_face(files[name], width=WIDTH))
        outputs: list[torch.Tensor] = []
        for layer in network.children():
            layer.register_forward_hook(lambda _m, _i, out, kept=outputs: kept.append(out))
        with torch.no_grad():
            network.scores(network(x)[0])
        seen.append(outputs)
    assert len(seen[0]) == 16 + 2  # the dropout is asked twice
    for ours, *others in zip(*seen, strict=True):
        assert ours.std() > 0
        assert all(torch.equal(ours, other) for other in others)


def _cut(path: Path, to: Path, share: float) -> Path:
    data = path.read_bytes()
    to.write_bytes(data[: int(share * len(data))])
    return to


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.3, 0.7, 0.999])
@pytest.mark.parametrize("name", ["pth", "pth zip", "mat"])
def test_a_file_that_ends_early_gets_a_sentence(
    name: str, share: float, files: dict[str, Path], tmp_path: Path
) -> None:
    cut = _cut(files[name], tmp_path / files[name].name, share)
    with pytest.raises(UserError, match="expected") as told:
        load_vgg_face(cut, width=WIDTH)
    assert str(cut) in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("suffix", [".pth", ".mat"])
def test_what_is_no_weights_at_all_gets_a_sentence(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    for content in (b"", b"<!DOCTYPE html><title>404 Not Found</title>" * 40, bytes(range(256)) * 8):
        path.write_bytes(content)
        with pytest.raises(UserError, match="expected") as told:
            load_vgg_face(path, width=WIDTH)
        assert str(path) in str(told.value)


def test_missing_files_and_other_endings_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"does not exist, expected vgg_face_dag\.pth"):
        load_vgg_face(tmp_path / "vgg_face_dag.pth")
    for name in ("weights.h5", "VGG_FACE.t7"):
        (tmp_path / name).write_bytes(b"x")
        ending = name.partition(".")[2]
        with pytest.raises(UserError, match=rf"ends in \.{ending}, expected vgg_face_dag\.pth or vgg-face\.mat$"):
            load_vgg_face(tmp_path / name)


WRITERS: dict[str, Callable[..., Path]] = {"a.pth": write_pth, "a.mat": write_mat}


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_another_width_is_told_by_its_shapes(name: str, layers: Layers, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="weights of conv1_1 are .*, expected 64×3×3×3 as in VGG-Face$"):
        load_vgg_face(WRITERS[name](tmp_path / name, layers))


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_a_layer_too_few_or_too_many_is_another_architecture(name: str, layers: Layers, tmp_path: Path) -> None:
    fewer = {k: v for k, v in layers.items() if k != "conv3_3"}
    with pytest.raises(UserError, match="no layer conv3_3: found 15 layers"):
        load_vgg_face(WRITERS[name](tmp_path / name, fewer), width=WIDTH)
    more = {**layers, "fc9": layers["fc8"]}
    with pytest.raises(UserError, match="has the layer fc9"):
        load_vgg_face(WRITERS[name](tmp_path / name, more), width=WIDTH)


@pytest.mark.parametrize("name", ["a.pth", "a.mat"])
def test_other_names_are_another_architecture(name: str, layers: Layers, tmp_path: Path) -> None:
    renamed = {k.replace("conv", "features."): v for k, v in layers.items()}
    with pytest.raises(UserError, match=r"no layer conv1_1: found 16 layers from features\.1_1 to fc8"):
        load_vgg_face(WRITERS[name](tmp_path / name, renamed), width=WIDTH)


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_a_wrong_shape_nan_and_too_few_biases_are_named(name: str, layers: Layers, tmp_path: Path) -> None:
    weight, bias = layers["conv4_2"]
    turned = np.ascontiguousarray(weight.transpose(0, 2, 3, 1))
    broken = np.where(np.arange(bias.size) == 3, np.nan, bias).astype(np.float32)
    for pair, words in (
        ((turned, bias), r"weights of conv4_2 are 16×3×(3×16|48), expected 16×16×3×3"),
        ((weight, bias[:5]), "conv4_2 has 5 biases, expected 16"),
        ((weight, broken), "conv4_2 holds NaN"),
    ):
        with pytest.raises(UserError, match=words):
            load_vgg_face(WRITERS[name](tmp_path / name, {**layers, "conv4_2": pair}), width=WIDTH)


def test_a_state_dict_is_read_without_running_what_it_holds(layers: Layers, tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"conv1_1.weight": Path("/")}, path)  # a class of somebody's own
    with pytest.raises(UserError, match="cannot be read as a PyTorch state dict"):
        load_vgg_face(path, width=WIDTH)
    for held, words in (
        ([torch.zeros(1)], "holds a list"),
        ({"state_dict": {"a": torch.zeros(1)}}, "state_dict is a dict"),
        ({"conv1_1": torch.zeros(1)}, r"holds conv1_1, expected conv1_1\.weight"),
        ({"conv1_1.weight": torch.zeros(1)}, r"no conv1_1\.bias"),
    ):
        torch.save(held, path)
        with pytest.raises(UserError, match=words):
            load_vgg_face(path, width=WIDTH)


def test_a_mean_image_of_blue_first_is_seen(layers: Layers, tmp_path: Path) -> None:
    whole = np.broadcast_to(np.asarray(VGG_MEAN, dtype=np.float32), (4, 4, 3))
    for fine in (whole, np.reshape(VGG_MEAN, (1, 1, 3)), np.round(VGG_MEAN, 2)):
        load_vgg_face(write_mat(tmp_path / "fine.mat", layers, mean=fine), width=WIDTH)
    for wrong, words in (
        (VGG_MEAN[::-1], r"averageImage is \(93\.5940, 104\.7624, 129\.1863\), which is blue first; expected"),
        ((123.68, 116.779, 103.939), r"averageImage is \(123\.6800, 116\.7790, 103\.9390\); expected"),
        ((1.0, 2.0), r"expected red, green and blue"),
    ):
        with pytest.raises(UserError, match=words):
            load_vgg_face(write_mat(tmp_path / "bgr.mat", layers, mean=wrong), width=WIDTH)
        with pytest.raises(UserError, match=words):
            load_vgg_face(write_mat(tmp_path / "net.mat", layers, mean=wrong, in_net=True), width=WIDTH)


def test_hdf5_and_other_contents_of_a_mat_file_are_named(tmp_path: Path) -> None:
    from scipy.io import savemat

    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
    (tmp_path / "a.mat").write_bytes(header + b"\x89HDF\r\n\x1a\n" + bytes(600))
    with pytest.raises(UserError, match=r"MATLAB 7\.3 file \(HDF5\), expected version 5 to 7"):
        load_vgg_face(tmp_path / "a.mat")
    savemat(tmp_path / "b.mat", {"x": np.zeros(3), "y": "text"})
    with pytest.raises(UserError, match="holds x, y, expected the MatConvNet network's cell array layers"):
        load_vgg_face(tmp_path / "b.mat")


def test_a_changed_byte_of_a_mat_file_is_a_sentence_and_kills_nobody(files: dict[str, Path], tmp_path: Path) -> None:
    """Of MATLAB's tags and sizes: some make scipy's reader die."""
    raw, path = files["mat"].read_bytes(), tmp_path / "a.mat"
    for at, value in ((128, 200), (136, 255), (150, 255), (180, 7), (200, 128), (260, 255)):
        path.write_bytes(raw[:at] + bytes([value]) + raw[at + 1 :])
        message = message_of(path)
        assert not message or message.startswith(str(path))
        assert len(message) < len(str(path)) + 500


def test_a_reader_of_mat_files_that_dies_is_a_sentence(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = tmp_path / "dying.py"
    monkeypatch.setattr(weights, "__file__", str(tmp_path / "weights.py"))
    for code, words in (
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "died with signal 11"),
        ("raise MemoryError('all of it')", "MemoryError: all of it"),
    ):
        dying.with_name("mat_child.py").write_text(code)
        with pytest.raises(UserError, match=words):
            load_vgg_face(files["mat"], width=WIDTH)


def test_tensors_that_are_no_plain_numbers_are_refused(tmp_path: Path) -> None:
    for value in (
        torch.ones(1).expand(10**6, 10**6),
        torch.eye(3).to_sparse(),
        torch.ones(3, dtype=torch.complex64),
        torch.ones(3, dtype=torch.int8),
    ):
        torch.save({"conv1_1.weight": value}, tmp_path / "a.pth")
        with pytest.raises(UserError, match="no plain tensor of real numbers"):
            load_vgg_face(tmp_path / "a.pth")


def message_of(path: Path) -> str:
    """What reading a file of weights has against it; empty where nothing. Any other error is a failure."""
    try:
        load_vgg_face(path, width=WIDTH)
    except UserError as error:
        return str(error)
    return ""


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(suffix=st.sampled_from(["pth", "pth zip"]), data=st.data())
def test_damaged_weights_are_weights_or_a_sentence(
    files: dict[str, Path], tmp_path: Path, suffix: str, data: st.DataObject
) -> None:
    raw = bytearray(files[suffix].read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, min(len(raw) - 1, 4000)))
        raw[at] = data.draw(st.integers(0, 255))
    path = tmp_path / f"a{files[suffix].suffix}"
    path.write_bytes(raw[: data.draw(st.integers(1, len(raw)) | st.just(len(raw)))])
    message = message_of(path)
    assert not message or message.startswith(str(path))
