"""An exported graph gives what the model gives, on any size; its card says what is to be done around it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from small_models import card_of, write
from taskgan.core.artefact import verify
from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml
from taskgan.model.engines import is_installed, onnxruntime_run, openvino_run
from taskgan.model.folder import read_model, write_model
from taskgan.networks.generator import generator_network
from taskgan.recipe import Data, Generator
from taskgan.release.export import FORMATS, export

FILM = Generator(width=4, max_width=8, depth=3, norm="instance", conditioning="film", dropout_layers=1)
CONTRASTS = Data(neighbours=1, condition="contrast", conditions=("T1w", "PDw"))
RUNS: dict[str, Any] = {"onnx": onnxruntime_run, "openvino": openvino_run}


def volume_model(folder: Path) -> Path:
    data = Data(patch=(8, 8, 8), context=(4.0,))
    generator = Generator(dimensions=3, width=4, max_width=8, depth=2, norm="none", residual=4.0)
    torch.manual_seed(1)
    network = generator_network(generator, data)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    write_model(folder, network.state_dict(), card_of(data, generator))
    return folder


def run_of(file: Path, runtime: str) -> Any:
    if runtime != "torch":
        return RUNS[runtime](str(file))
    module = torch.export.load(file).module(check_guards=False)
    return lambda x: module(torch.from_numpy(x)).detach().numpy()


@pytest.mark.parametrize(
    ("dimensions", "to", "runtimes"),
    [
        (2, "onnx", ("onnx", "openvino")),  # OpenVINO reads both
        (3, "onnx", ("onnx", "openvino")),
        (2, "openvino", ("openvino",)),
        (2, "torch-export", ("torch",)),
    ],
)
def test_the_graph_is_the_model_on_shapes_that_do_not_divide(
    dimensions: int, to: str, runtimes: tuple[str, ...], tmp_path: Path
) -> None:
    if to != "torch-export" and not (is_installed("onnxruntime") and is_installed("openvino")):
        pytest.skip("onnxruntime and openvino (extra export) are not installed")
    model = write(tmp_path / "model") if dimensions == 2 else volume_model(tmp_path / "model")
    out = export(model, tmp_path / "out", to=to)
    assert verify(out) == (1, [])
    state, card = read_model(model)
    network = generator_network(card.generator, card.data).eval()
    network.load_state_dict(state)
    for shape in ((1, 1, 29, 18), (3, 1, 16, 45)) if dimensions == 2 else ((1, 2, 5, 13, 18), (2, 2, 9, 6, 7)):
        x = torch.rand(shape)
        with torch.no_grad():
            exact = network(x)
        for runtime in runtimes:
            restored = torch.from_numpy(run_of(out / FORMATS[to], runtime)(x.numpy()))
            torch.testing.assert_close(restored, exact, rtol=0, atol=1e-4 * float(exact.max()))


def test_the_card_says_what_goes_before_and_after(tmp_path: Path) -> None:
    write(tmp_path / "model", CONTRASTS, FILM)
    out = export(tmp_path / "model", tmp_path / "out", to="torch-export", licence="apache-2.0")
    processing = read_yaml(out / "export.yaml")["processing"]
    assert processing["channels"] == [
        "degraded",
        "degraded of slice -1",
        "degraded of slice +1",
        "plane of ones where contrast is T1w",
        "plane of ones where contrast is PDw",
    ]
    text = (out / "README.md").read_text()
    assert text.startswith("---\nlicense: apache-2.0\n")
    assert all(sentence in text for sentence in [*processing["before"], *processing["after"]])
    export(tmp_path / "model", tmp_path / "out", to="torch-export", licence="apache-2.0")  # already done
    with pytest.raises(UserError, match="other inputs or settings"):
        export(tmp_path / "model", tmp_path / "out", to="torch-export", licence="mit")


def test_what_cannot_be_exported_is_named(tmp_path: Path) -> None:
    write(tmp_path / "model")
    with pytest.raises(UserError, match="--to is 'tflite', expected one of onnx, openvino, torch-export"):
        export(tmp_path / "model", tmp_path / "out", to="tflite")
    (tmp_path / "other").mkdir()
    save_file({"x": torch.zeros(1)}, tmp_path / "other" / "x.safetensors")
    with pytest.raises(UserError, match="holds something else"):
        export(tmp_path / "model", tmp_path / "other", to="torch-export")
    assert not (tmp_path / "out").exists()
