"""Every engine gives torch's result; a graph of dynamic sizes gives it for sizes that do not divide."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from small_models import network_of, write
from taskgan.core.errors import UserError
from taskgan.model import engines
from taskgan.model.engines import Computation, check_engine, exported_program, is_installed
from taskgan.model.restorer import Restorer
from taskgan.networks.generator import generator_network
from taskgan.recipe import Data, Generator
from taskgan.recipe.generator import Blur

GENERATOR = Generator(width=4, max_width=16, depth=3, norm="batch", dropout_layers=2)
VOLUME = (Data(patch=(8, 8, 8)), Generator(dimensions=3, width=4, max_width=8, depth=2, norm="none", residual=True))

needs_openvino = pytest.mark.skipif(not is_installed("openvino"), reason="openvino (extra export) is not installed")
needs_onnx = pytest.mark.skipif(not is_installed("onnxruntime"), reason="onnxruntime (extra export) is not installed")


def volume_network() -> torch.nn.Module:
    torch.manual_seed(0)
    network = generator_network(VOLUME[1], VOLUME[0])
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network.eval()


RUN_BOTH = """
import torch
from taskgan.model.engines import EngineNetwork
from taskgan.networks.generator import generator_network
from taskgan.recipe import Data, Generator
network = generator_network(Generator(width=4, max_width=8, depth=2), Data()).eval()
for engine in ("onnxruntime", "openvino"):
    with torch.inference_mode():
        print(EngineNetwork(network, engine)(torch.rand(1, 1, 8, 8)).shape)
"""


@needs_openvino
@needs_onnx
def test_engines_number_no_device_and_report_nothing(tmp_path: Path) -> None:
    """What both do by default when an automation names itself by no variable: files in the home, then the network."""
    clean = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH", "LANG")}
    clean |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / ".cache")}
    done = subprocess.run([sys.executable, "-c", RUN_BOTH], env=clean, capture_output=True, text=True)
    assert done.stdout.count("[1, 1, 8, 8]") == 2, done.stderr
    left = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert not left


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux says what is mapped")
def test_weights_that_are_loaded_let_go_of_their_file(tmp_path: Path) -> None:
    """One piece of it kept all of it in memory, beside its copies: 230 MB at the paper's size."""
    model = write(tmp_path / "model")
    restorer = Restorer.from_folder(model, engine="torch")
    assert restorer.card is not None
    assert str(model) not in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("norm", ["batch", "instance", "group"])
def test_a_graph_of_dynamic_sizes_does_not_settle_for_the_parity_of_its_example(norm: Any) -> None:
    network = network_of(generator=GENERATOR.model_copy(update={"norm": norm}))
    module = exported_program(network, torch.rand(2, 1, 18, 22), dynamic=True).module(check_guards=False)
    for shape in ((1, 1, 33, 21), (3, 1, 16, 47), (2, 1, 64, 8)):
        x = torch.rand(shape)
        with torch.no_grad():
            torch.testing.assert_close(module(x), network(x), rtol=1e-5, atol=1e-5)


def test_a_graph_of_volumes_is_of_any_size() -> None:
    network = volume_network()
    module = exported_program(network, torch.rand(2, 1, 7, 9, 11), dynamic=True).module(check_guards=False)
    for shape in ((1, 1, 5, 13, 16), (2, 1, 8, 6, 7)):
        x = torch.rand(shape)
        with torch.no_grad():
            torch.testing.assert_close(module(x), network(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "engine", [pytest.param("openvino", marks=needs_openvino), pytest.param("onnxruntime", marks=needs_onnx)]
)
def test_an_engine_restores_what_torch_restores(engine: Any) -> None:
    image = np.random.default_rng(0).gamma(2.0, 1.0, (21, 14, 5)).astype(np.float32)
    cases: list[tuple[torch.nn.Module, Data]] = [(network_of(generator=GENERATOR), Data())]
    projected = GENERATOR.model_copy(update={"projection": 1.0, "degradation": (Blur(sigma=1),)})
    cases += [(network_of(generator=projected), Data())]
    cases += [(volume_network(), VOLUME[0])] if engine == "openvino" else []
    for network, data in cases:
        exact = Restorer(network, data).restore_volume(image)
        other = Restorer(network, data, engine=engine).restore_volume(image)
        assert (exact.engine, other.engine, other.precision) == ("torch", engine, "32")
        np.testing.assert_allclose(other.image, exact.image, rtol=0, atol=1e-4 * exact.image.max())


@needs_openvino
def test_bfloat16_of_an_engine_is_held_against_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "bf16_is_native", lambda: True)
    image = np.random.default_rng(0).gamma(2.0, 1.0, (16, 16, 3)).astype(np.float32)
    restored = Restorer(network_of(), Data(), precision="auto", engine="openvino").restore_volume(image)
    assert restored.error is not None
    assert restored.precision == ("bf16" if restored.error <= 0.01 else "32")
    with pytest.raises(UserError, match="onnxruntime computes in float32"):
        Restorer(network_of(), Data(), precision="bf16", engine="onnxruntime")


def test_auto_takes_what_was_measured_to_be_faster_and_measures_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(engines, "is_installed", lambda name: True)
    monkeypatch.setattr(engines.metadata, "version", lambda name: "1")
    seconds = {"torch": [1.0, 1.0], "onnxruntime": [9.0, 0.97], "openvino": [5.0, 0.5]}
    measured: list[str] = []

    def times(self: Computation, name: str, work: Any) -> list[float]:
        measured.append(name)
        return seconds[name]

    monkeypatch.setattr(Computation, "_time", times)
    computation = Computation(network_of(), "32", "auto")
    assert computation.fastest(lambda network: None, {"size": 1}, parts=100) == "openvino"
    assert computation.fastest(lambda network: None, {"size": 1}, parts=2) == "torch"  # conversion does not pay
    assert measured == ["torch", "onnxruntime", "openvino"]
    assert computation.fastest(lambda network: None, {"size": 2}, parts=1) == "torch"
    assert len(measured) == 6


def test_samples_are_drawn_by_torch_whatever_the_engine(tmp_path: Path) -> None:
    folder = write(tmp_path / "model")
    image = np.random.default_rng(0).gamma(2.0, 1.0, (8, 8, 2)).astype(np.float32)
    one = Restorer.from_folder(folder, precision="32").restore_volume(image, samples=2)
    other = Restorer.from_folder(folder, precision="32", engine="auto").restore_volume(image, samples=2)
    assert other.engine == "torch"
    assert np.array_equal(one.image, other.image)


def test_an_unknown_engine_and_one_that_is_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="engine is 'tvm', expected one of auto, torch"):
        check_engine("tvm")
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="openvino is not installed"):
        check_engine("openvino")
