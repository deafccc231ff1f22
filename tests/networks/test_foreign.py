"""Programs of torch.export and ONNX models as readers: what they see, gradients, and what is refused."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from foreign_files import onnx_bytes, save_exported
from taskgan.core.errors import UserError
from taskgan.networks.foreign import ForeignNetwork
from taskgan.recipe.preparation import Preparation

ARGUMENTS = {"in_channels": 1, "width": 64, "norm": "batch", "dropout": 0.0}
PREPARE = Preparation(pixels=8, channels=3, upright=True, scale=255, mean=(120, 110, 100), sd=(50.0,))


@pytest.fixture(scope="module")
def linear() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 5)).eval()


def _empty(kind: str, outputs: int = 5) -> ForeignNetwork:
    return ForeignNetwork(form=kind, **ARGUMENTS, outputs=outputs, prepare=PREPARE)


def _reader(kind: str, linear: nn.Sequential, tmp_path: Path, outputs: int = 5) -> ForeignNetwork:
    if kind == "onnx":
        pytest.importorskip("onnxruntime", reason="ONNX models want onnxruntime")
        program = onnx_bytes(linear[1].weight.detach().numpy(), linear[1].bias.detach().numpy())
    else:
        program = save_exported(tmp_path / "a.pt2", linear, (3, 8, 8)).read_bytes()
    reader = _empty(kind, outputs)
    reader.load_program(program)
    return reader


@pytest.mark.parametrize("kind", ["exported", "onnx"])
def test_it_reads_what_the_recipe_shows_it(kind: str, linear: nn.Sequential, tmp_path: Path) -> None:
    reader = _reader(kind, linear, tmp_path)
    slices = torch.rand(4, 1, 8, 8)
    upright = 255 * slices.transpose(2, 3)
    seen = torch.cat([(upright - mean) / 50 for mean in (120, 110, 100)], dim=1)
    outputs, features = reader(slices)
    torch.testing.assert_close(outputs, linear(seen), rtol=1e-4, atol=1e-4)
    assert [f.shape for f in features] == [(4, 5, 1, 1)]
    torch.testing.assert_close(reader(slices[:1])[0], outputs[:1], rtol=1e-4, atol=1e-4)
    assert reader.train().eval() is reader


@pytest.mark.parametrize("kind", ["exported", "onnx"])
def test_it_is_kept_and_copied_by_its_bytes(kind: str, linear: nn.Sequential, tmp_path: Path) -> None:
    reader, slices = _reader(kind, linear, tmp_path), torch.rand(2, 1, 9, 9)
    state = reader.state_dict()
    assert list(state) == ["program"]
    empty = _empty(kind)
    empty.reserve(len(state["program"]))
    empty.load_state_dict(state)
    for other in (empty, copy.deepcopy(reader)):
        torch.testing.assert_close(other(slices)[0], reader(slices)[0], rtol=0, atol=0)


def test_a_gradient_passes_through_an_exported_program(linear: nn.Sequential, tmp_path: Path) -> None:
    reader = _reader("exported", linear, tmp_path)
    image = torch.rand(2, 1, 8, 8, requires_grad=True)
    reader(image)[0][:, 1].sum().backward()
    weight = linear[1].weight[1].reshape(3, 8, 8).sum(dim=0).T * 255 / 50
    torch.testing.assert_close(image.grad[:, 0], weight.expand(2, -1, -1), rtol=1e-4, atol=1e-4)
    assert not list(reader.parameters())


@pytest.mark.parametrize("kind", ["exported", "onnx"])
def test_what_does_not_fit_is_a_sentence(kind: str, linear: nn.Sequential, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gives \(2, 5\), expected \(2, 7\)"):
        _reader(kind, linear, tmp_path, outputs=7)(torch.rand(2, 1, 8, 8))
    reader = _reader(kind, linear, tmp_path)
    reader.settings = Preparation(pixels=9, channels=3)
    with pytest.raises(UserError, match=r"does not read images \(2, 3, 9, 9\).*size of prepare.pixels"):
        reader(torch.rand(2, 1, 8, 8))
    whole = bytes(reader.program.numpy())
    for raw in (b"", b"no program", whole[: len(whole) // 2]):
        with pytest.raises(UserError, match=f"of {len(raw)} bytes cannot be opened"):
            reader.load_program(raw)


def test_preparation_is_checked() -> None:
    for values, words in (
        ({"crop": (0.5, 0.5, 0.0)}, "above 0"),
        ({"channels": 2}, "expected 1 or 3"),
        ({"channels": 3, "mean": (1.0, 2.0)}, "2 mean"),
        ({"sd": (0.0,)}, "above 0"),
    ):
        with pytest.raises(ValueError, match=words):
            Preparation.model_validate(values)
    assert np.allclose(Preparation().mean, 0)
