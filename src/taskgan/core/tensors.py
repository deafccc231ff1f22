"""Tensors and arrays from files: read without running code, and held against the network that they are for."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskgan.core.console import say
from taskgan.core.parse import quoted

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn


def load_torch(path: Path) -> Any:
    """What ``torch.save`` wrote: tensors on the CPU and plain values, never code.

    Raises:
        Exception: Whatever pickle, zip and torch raise of a damaged file, or of one that unpacks to more than it is.
    """
    import torch

    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            _refuse_packed(archive)
    return torch.load(path, map_location="cpu", weights_only=True)


def load_arrays(path: Path) -> "dict[str, NDArray[Any]]":
    """The arrays of an ``.npz`` file that ``numpy.savez`` wrote, without pickle.

    Raises:
        Exception: Whatever zip and numpy raise of a damaged file, or of one that unpacks to more than it is.
    """
    import numpy as np

    # A handle of one's own: of a damaged file by name the library leaves its own open.
    with path.open("rb") as handle:
        with zipfile.ZipFile(handle) as archive:
            _refuse_packed(archive)
        handle.seek(0)
        with np.load(handle, allow_pickle=False) as held:
            return {name: held[name] for name in held.files}


def _refuse_packed(archive: zipfile.ZipFile) -> None:
    packed = next((i.filename for i in archive.infolist() if i.file_size > i.compress_size), None)
    if packed is not None:
        raise ValueError(f"{packed} is compressed, which neither torch.save nor numpy.savez does")


_NATIVE_BF16 = ("avx512_bf16", "amx_bf16")


def bf16_is_native() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; emulated, it is 10 to 25 times slower than float32.

    Decided by what the CPU is, not by a stopwatch: the same machine gives the same numbers however busy it is.
    """
    import torch

    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in _NATIVE_BF16)


def warn_of_emulated_bf16(precision: str, device_type: str) -> None:
    """Say so where bf16 was asked of a CPU that emulates it."""
    if precision == "bf16" and device_type == "cpu" and not bf16_is_native():
        say("warning: precision is bf16, which this CPU emulates, 10 to 25 times slower than 32; auto would take 32")


def state_mismatch(state: Mapping[str, "Tensor"], network: "nn.Module") -> str:
    """What of some weights does not fit a network: a name, a type or a shape; empty where all does. ``network``: on any
    device, ``meta`` too.
    """
    required = network.state_dict()
    for name in required:
        if name not in state:
            return f"{name} is missing"
    for name, tensor in state.items():
        if name not in required:
            return f"{quoted(name)} is unknown"
        for what, actual, expected in (
            ("type", tensor.dtype, required[name].dtype),
            ("shape", tuple(tensor.shape), tuple(required[name].shape)),
        ):
            if actual != expected:
                return f"{name} has the {what} {actual}, expected {expected}"
    return ""


def nonfinite_tensor(state: Mapping[str, "Tensor"]) -> str:
    """Name of the first tensor with NaN or infinite values; empty where there is none."""
    import torch

    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            return name
    return ""
