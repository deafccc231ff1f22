"""``vgg-face.mat``: a MatConvNet network (Vedaldi and Lenc 2015, 10.1145/2733373.2807412)."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.core.errors import UserError
from taskgan.core.parse import truncated
from taskgan.judges.weights.layers import Layer
from taskgan.networks.photos import VGG_MEAN

_LONGEST_S = 600
_NEAR = 0.5  # of a grey level


def matconvnet_layers(path: Path) -> dict[str, Layer]:
    """The layers with weights of a simple network: a cell array ``layers``, by itself or in a struct ``net``.

    Filters are H×W×Cin×Cout, those of the fully connected layers too; newer files keep them with the biases in
    ``weights``, older ones as ``filters`` and ``biases``. A mean image that is there must be VGG-Face's, red first.

    Files of MATLAB 5 to 7, which the released one is. Version 7.3 is HDF5, for which nothing is installed here: say
    ``save(file, '-struct', 'net', '-v7')`` in MATLAB.

    Raises:
        UserError: If it is no such file, or its mean image is another.
    """
    held = _read(path)
    net = held.get("net")
    layers = held.get("layers", _field(net, "layers"))
    if layers is None:
        names = truncated(", ".join(sorted(held))) or "nothing"
        raise UserError(f"{path} holds {names}, expected the MatConvNet network's cell array layers")
    for place in (held, net):
        meta = _field(place, "meta")
        _check_mean(_field(_field(meta if meta is not None else place, "normalization"), "averageImage"), path)
    by_name: dict[str, Layer] = {}
    for number, layer in enumerate(layers if isinstance(layers, list) else [layers], start=1):
        one = _only(layer)
        pair = _weights(one)
        if pair is None:
            continue
        name = truncated(_text(_field(one, "name"))) or f"layer {number}"
        if any(isinstance(part, dict | list) for part in pair):
            raise UserError(f"{path}: {name} has weights that are no arrays, expected filters H×W×Cin×Cout")
        filters = np.atleast_1d(np.asarray(pair[0]))
        if filters.ndim > 4 or any(np.asarray(part).dtype.kind != "f" for part in pair):
            raise UserError(f"{path}: {name} has weights {filters.shape}, expected filters H×W×Cin×Cout")
        filters = filters.reshape(filters.shape + (1,) * (4 - filters.ndim))  # MATLAB drops them at the end
        by_name[name] = Layer(np.ascontiguousarray(filters.transpose(3, 2, 0, 1)), np.asarray(pair[1]))
    return by_name


def _read(path: Path) -> dict[str, Any]:
    """The variables of a file: structs as mappings, cells as lists, arrays. A child process reads it."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "arrays.npz"
        call = [sys.executable, str(Path(__file__).with_name("mat_child.py")), str(path), str(target)]
        try:
            done = subprocess.run(call, capture_output=True, text=True, errors="replace", timeout=_LONGEST_S)
        except subprocess.TimeoutExpired:
            raise UserError(f"{path} is not read in {_LONGEST_S} s, expected a whole vgg-face.mat") from None
        if done.returncode:
            said = (done.stderr.strip().splitlines() or [""])[-1]
            if said.startswith("NotImplementedError"):
                raise UserError(
                    f"{path} is a MATLAB 7.3 file (HDF5), expected version 5 to 7 like the released vgg-face.mat; in "
                    "MATLAB: save(file, '-struct', 'net', '-v7')"
                )
            found = f"its reader died with signal {-done.returncode}" if done.returncode < 0 else truncated(said)
            raise UserError(f"{path} cannot be read as a MATLAB file ({found}), expected a whole vgg-face.mat")
        with np.load(target, allow_pickle=False) as arrays:
            held = {name: arrays[name] for name in arrays.files}
    tree: dict[str, Any] = json.loads(str(held.pop("tree")))
    return {name: _filled(value, held) for name, value in tree.items()}


def _filled(value: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(one, arrays) for name, one in value.items()}
    return [_filled(one, arrays) for one in value] if isinstance(value, list) else arrays.get(value)


def _check_mean(image: Any, path: Path) -> None:
    if image is None:
        return
    values = np.asarray([] if isinstance(image, dict | list) else image)
    if values.dtype.kind not in "fiu" or values.size % 3 or not values.size:
        raise UserError(f"{path}: averageImage is {values.shape}, expected red, green and blue")
    mean = values.astype(np.float64).reshape(-1, 3).mean(axis=0)
    if np.allclose(mean, VGG_MEAN, rtol=0, atol=_NEAR):
        return
    actual, expected = (", ".join(f"{v:.4f}" for v in m) for m in (mean, VGG_MEAN))
    order = ", which is blue first" if np.allclose(mean[::-1], VGG_MEAN, rtol=0, atol=_NEAR) else ""
    raise UserError(
        f"{path}: averageImage is ({actual}){order}; expected VGG-Face's ({expected}), red first, which is what its "
        "input is made with"
    )


def _weights(layer: Any) -> tuple[Any, Any] | None:
    pair = _field(layer, "weights")
    if not isinstance(pair, list):
        pair = [part for part in (_field(layer, "filters"), _field(layer, "biases")) if part is not None]
    return (pair[0], pair[1]) if len(pair) == 2 else None


def _only(value: Any) -> Any:
    """What a 1×1 array of a struct or cell holds."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value


def _field(struct: Any, name: str) -> Any:
    """A field of a struct (or a variable of a file); None where it is not there."""
    struct = _only(struct)
    return struct.get(name) if isinstance(struct, dict) else None


def _text(value: Any) -> str:
    array: NDArray[Any] = np.asarray(value)
    return str(array.ravel()[0]) if array.dtype.kind == "U" and array.size else ""
