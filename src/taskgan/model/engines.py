"""Engines that run a generator: torch, or one that compiles its graph; norms folded, bfloat16 where there is any.

``torch``; ``onnxruntime`` (float32) or ``openvino``, on the CPU; ``auto``: what takes least time for the first
volume, conversion included, as measured once for this machine, network and size. How far bfloat16 may be off is one
rule for all engines (:data:`taskgan.model.restorer.BF16_TOLERANCE`).
"""

import copy
import importlib.util
import logging
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from taskgan.core.errors import UserError
from taskgan.core.files import processor_name, read_measured, write_measured
from taskgan.core.tensors import bf16_is_native
from taskgan.core.version import __version__
from taskgan.networks.generator import UNet
from taskgan.networks.programs import onnx_session

Precision = Literal["auto", "32", "bf16"]

_NAMES: tuple[Precision, ...] = ("auto", "32", "bf16")


def check_precision(text: str) -> Precision:
    """The precision that a user named.

    Raises:
        UserError: If there is none of that name.
    """
    for known in _NAMES:
        if text == known:
            return known
    raise UserError(f"precision is {text!r}, expected auto, 32 or bf16")


def fold_batch_norms(network: UNet, *, in_place: bool = False) -> UNet:
    """The network in evaluation, its batch norms part of the convolutions before them, channels last.

    The result is the same up to rounding; other norms depend on the image and stay.

    Args:
        in_place: Change it, rather than a copy: at the paper's size a copy is another 250 MB.
    """
    fast = (network if in_place else copy.deepcopy(network)).eval()
    for layers in (fast.down, fast.up):
        for index, layer in enumerate(layers):
            convolution, norm = layer.children()
            if isinstance(norm, nn.BatchNorm2d) and isinstance(convolution, nn.Conv2d | nn.ConvTranspose2d):
                transposed = isinstance(convolution, nn.ConvTranspose2d)
                fused = fuse_conv_bn_eval(convolution, norm, transpose=transposed)
                layers[index] = nn.Sequential(fused, nn.Identity())
    before = {tensor.data_ptr() for tensor in fast.state_dict().values()}
    fast.requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for tensor in (*fast.parameters(), *fast.buffers()):
        if tensor.data_ptr() in before:  # as long as one piece of a mapped file is used, all of it stays in memory
            tensor.data = tensor.data.clone()
    return fast


def to_bf16(network: UNet) -> UNet:
    """A copy of a folded network in bfloat16, all but the last layer: the output keeps float32's digits."""
    small = copy.deepcopy(network)
    for layers in (small.down, small.up):
        layers.to(torch.bfloat16)
    return small


Engine = Literal["auto", "torch", "onnxruntime", "openvino"]
Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]

ENGINES: tuple[Engine, ...] = ("auto", "torch", "onnxruntime", "openvino")
_LIBRARIES = {"onnxruntime": ("onnxruntime", "onnx", "onnxscript"), "openvino": ("openvino",)}
_GAIN = 0.95  # another engine must take less than this share of torch's time: timings are noisy


def check_engine(text: str) -> Engine:
    """The engine that a user named.

    Raises:
        UserError: If there is none of that name, or it is not installed.
    """
    if not (found := [known for known in ENGINES if known == text]):
        raise UserError(f"engine is {text!r}, expected one of {', '.join(ENGINES)}")
    if not is_installed(text):
        raise UserError(f"engine {text} is not installed: pip install 'taskgan[export]'")
    return found[0]


def is_installed(engine: str) -> bool:
    """Whether an engine's libraries are at hand; nothing is imported."""
    return all(importlib.util.find_spec(name) is not None for name in _LIBRARIES.get(engine, ()))


def exported_program(network: nn.Module, images: Tensor, *, dynamic: bool) -> Any:
    """The graph of a generator (:func:`unprojected`, on the CPU) as :class:`torch.export.ExportedProgram`.

    Of dynamic graphs all sizes but the channels are free, and those of the example ``images`` are at least 2.
    """
    free = torch.export.Dim.DYNAMIC
    shapes = ({axis: free for axis in range(images.ndim) if axis != 1},) if dynamic else None
    with torch.no_grad():
        return torch.export.export(network.eval(), (images,), dynamic_shapes=shapes)


@contextmanager
def unprojected(network: Any) -> Iterator[None]:
    """For the block a network does without its projection (:mod:`taskgan.networks.projection`): that decomposes
    matrices of the image's size, which no graph holds, and is applied to whole images after the network.
    """
    layer = getattr(network, "projection", None)
    if layer is not None:
        network.projection = None
    try:
        yield
    finally:
        if layer is not None:
            network.projection = layer


def onnx_file(program: Any) -> bytes:
    """A program as an ONNX file, without the notes on where in the code its nodes come from."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it speaks of operators of other packages
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        converted: Any = torch.onnx.export(program, dynamo=True, verbose=False, optimize=True)
    proto = converted.model_proto
    for part in (*proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output, proto):
        del part.metadata_props[:]
    return bytes(proto.SerializeToString(deterministic=True))


def openvino_run(model: Any, *, bf16: bool = False, threads: int = 0) -> Run:
    """A function of arrays for OpenVINO's model, or the path of an ``.xml`` or ``.onnx``; 0 threads are its own."""
    import openvino

    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32", "NUM_STREAMS": "1"}
    settings |= {"INFERENCE_NUM_THREADS": threads} if threads else {}
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    return lambda images: np.array(request.infer({0: np.ascontiguousarray(images)}, share_inputs=True)[0])


def onnxruntime_run(model: bytes | str, *, threads: int = 0) -> Run:
    """A function of arrays for an ONNX file, as bytes or by its path; 0 threads are the engine's own choice."""
    session = onnx_session(model, threads)
    name = session.get_inputs()[0].name
    return lambda images: np.asarray(session.run(None, {name: np.ascontiguousarray(images)})[0])


class EngineNetwork(nn.Module):
    """A generator (float32, CPU) as an engine runs it; compiled for every size of its input when that comes."""

    def __init__(self, network: nn.Module, engine: str, *, bf16: bool = False) -> None:
        super().__init__()
        self.network, self.engine, self.bf16 = network, engine, bf16
        self._runs: dict[torch.Size, Run] = {}

    def forward(self, x: Tensor) -> Tensor:
        """What the generator makes of ``x``, up to rounding."""
        if x.shape not in self._runs:
            self._runs[x.shape] = self._compiled(x)
        restored = torch.from_numpy(self._runs[x.shape](x.numpy()))
        return self.network.project(restored, x) if isinstance(self.network, UNet) else restored

    def _compiled(self, x: Tensor) -> Run:
        with torch.inference_mode(False), unprojected(self.network):
            program = exported_program(self.network, torch.zeros(x.shape), dynamic=False)
        if self.engine == "onnxruntime":
            return onnxruntime_run(onnx_file(program), threads=torch.get_num_threads())
        import openvino

        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the converter's own code
            return openvino_run(openvino.convert_model(program), bf16=self.bf16, threads=torch.get_num_threads())


class Computation:
    """What computes a generator, see :class:`~taskgan.model.restorer.Restorer`; on a GPU that is torch.

    ``exact`` is the generator in float32 by the engine ``used``, ``small`` in bfloat16 or None, ``probe`` whether
    that counts only where it is near; ``engine`` is the one asked for, ``auto`` until it is measured.

    Raises:
        UserError: If bfloat16 is asked of a network that is no U-Net on the CPU, or of an engine that has none.
    """

    def __init__(self, network: nn.Module, precision: Precision, engine: Engine) -> None:
        device = next(network.parameters()).device
        able = isinstance(network, UNet) and device.type == "cpu"
        if precision == "bf16" and not able:
            kind = type(network).__name__
            raise UserError(f"precision bf16 needs a U-Net on the CPU, this is a {kind} on {device}; use 32")
        if precision == "bf16" and engine == "onnxruntime":
            raise UserError("engine onnxruntime computes in float32; use precision 32 or auto, or another engine")
        self._network, self._precision = network, precision
        self._low = precision == "bf16" or (precision == "auto" and able and bf16_is_native())
        self.engine: Engine = engine if device.type == "cpu" else "torch"
        self.used, self.probe = "", False
        self.exact: nn.Module = network
        self.small: nn.Module | None = None
        if engine != "auto":
            self.use(self.engine)

    def use(self, engine: str) -> None:
        """Set an engine up; nothing where it is."""
        if engine == self.used:
            return
        network, self.used = self._network, engine
        self.exact = network if engine == "torch" else EngineNetwork(network, engine)
        self.small = None
        if self._low and engine == "openvino":
            self.small = EngineNetwork(network, engine, bf16=True)
        elif self._low and engine == "torch":
            assert isinstance(network, UNet)
            self.small = to_bf16(network)
        self.probe = self._precision == "auto" and self.small is not None

    def fastest(self, work: Callable[[nn.Module], None], key: Mapping[str, Any], parts: int) -> Engine:
        """The engine that needs least time for an image of so many ``parts``, as measured on this machine once.

        ``work`` is one of them, ``key`` all that its time depends on besides machine, libraries and precision.
        """
        candidates = [name for name in ENGINES[1:] if is_installed(name)]
        if self._precision == "bf16" and "onnxruntime" in candidates:
            candidates.remove("onnxruntime")
        libraries = {name: metadata.version(name) for name in candidates}
        device = [processor_name(), torch.get_num_threads()]
        whole = {**key, "code": __version__, "libraries": libraries, "device": device, "precision": self._precision}
        times: dict[str, Any] = read_measured("engine", whole, dict) or {}
        if any(not isinstance(times.get(name), list) or len(times[name]) != 2 for name in candidates):
            times = {str(name): self._time(name, work) for name in candidates}
            write_measured("engine", whole, times)
        seconds = {name: times[name][0] + times[name][1] * (parts - 1) for name in candidates}
        best = min(candidates, key=lambda name: seconds[name])
        return best if seconds[best] < _GAIN * seconds["torch"] else "torch"

    def _time(self, engine: str, work: Callable[[nn.Module], None]) -> list[float]:
        """Seconds of the first call, and of the fastest of two later ones."""
        self.use(engine)
        taken = []
        for _ in range(3):
            began = time.perf_counter()
            work(self.small or self.exact)
            taken.append(round(time.perf_counter() - began, 6))
        return [taken[0], min(taken[1:])]
