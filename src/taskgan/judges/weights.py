"""Released weights of others, read into our networks. No code in a file is ever run."""

import json
import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taskgan.core.errors import UserError
from taskgan.core.parse import error_text, truncated
from taskgan.core.tensors import load_torch
from taskgan.networks.photos import VGG_MEAN, DlibFace, layer_shapes, scaled_layers

FILES = "vgg_face_dag.pth or vgg-face.mat"
"""The released files of VGG-Face, for messages."""


class Layer(NamedTuple):
    """Weights of one layer as a file holds them, output channels first, and biases: O numbers, of any shape.

    Weights are (O, I, h, w) of a convolution, which fully connected layers may be too; (O, I · h · w) flattened.
    """

    weight: NDArray[np.floating]
    bias: NDArray[np.floating]


def checked_state(layers: Mapping[str, Layer], width: int, path: Path) -> dict[str, Tensor]:
    """The state of a :class:`~taskgan.networks.photos.VggFace` from a file's layers.

    Returns:
        float32, by the names of the parameters of a network of this width.

    Raises:
        UserError: If a layer is missing, is one too many, has another shape or holds NaN.
    """
    expected = layer_shapes(width)
    if absent := [name for name in expected if name not in layers]:
        raise UserError(
            f"{path} has no layer {absent[0]}: found {_name_list(layers)}, expected VGG-Face's 16 layers conv1_1 to fc8"
        )
    if strange := [name for name in layers if name not in expected]:
        raise UserError(f"{path} has the layer {strange[0]}, expected no others than VGG-Face's conv1_1 to fc8")
    state: dict[str, Tensor] = {}
    for name, shape in expected.items():
        layer = layers[name]
        if not _same_shape(layer.weight.shape, shape):
            raise UserError(
                f"{path}: weights of {name} are {_times(layer.weight.shape)}, expected {_times(shape)} as in VGG-Face"
                + (f" of width {width}" if width != 64 else "")
            )
        if layer.bias.size != shape[0]:
            raise UserError(f"{path}: {name} has {layer.bias.size} biases, expected {shape[0]}")
        for part, values, size in (("weight", layer.weight, shape), ("bias", layer.bias, shape[:1])):
            tensor = torch.from_numpy(np.array(values, dtype=np.float32).reshape(size))
            if not bool(torch.isfinite(tensor).all()):
                raise UserError(f"{path}: {name} holds NaN or infinite values, expected finite {part}s")
            state[f"{name}.{part}"] = tensor
    return state


def _same_shape(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    """The same, or the same flattened; (O, I, 1, 1) is (O, I). Another order of axes is neither."""
    flat = (expected[0], math.prod(expected[1:]))
    if shape == expected or len(expected) == 4:
        return shape in (expected, flat)
    return len(shape) == 4 and shape[2] == shape[3] and (shape[0], math.prod(shape[1:])) == flat


def _name_list(layers: Mapping[str, Layer]) -> str:
    names = list(layers)
    return ", ".join(names) or "none" if len(names) <= 4 else f"{len(names)} layers from {names[0]} to {names[-1]}"


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "a number"


_PARTS = {"weight", "bias"}


def state_dict_layers(path: Path) -> dict[str, Layer]:
    """The layers of a flat state dict ``conv1_1.weight``, ``conv1_1.bias``, …, ``fc8.bias``.

    Raises:
        UserError: If it cannot be read without running code, or holds something else.
    """
    try:
        state = load_torch(path)
    except Exception as error:  # pickle, zip and torch each have their own
        raise UserError(
            f"{path} cannot be read as a PyTorch state dict ({error_text(error).rstrip('.')}), expected tensors and "
            "their names alone, whole"
        ) from None
    if not isinstance(state, dict) or not state:
        raise UserError(f"{path} holds a {type(state).__name__}, expected a state dict with conv1_1.weight to fc8.bias")
    for key, value in state.items():
        name = truncated(str(key))
        if not isinstance(value, Tensor):
            raise UserError(f"{path}: {name} is a {type(value).__name__}, expected tensors alone")
        plain = value.layout == torch.strided and value.is_floating_point() and not value.is_quantized
        # No more values than are stored: a few bytes can tell of a terabyte.
        if not plain or value.numel() * value.element_size() > value.untyped_storage().nbytes():
            kind = str(value.dtype).removeprefix("torch.")
            raise UserError(f"{path}: {name} is no plain tensor of real numbers ({kind}), expected float32")
        if not isinstance(key, str) or key.rpartition(".")[2] not in _PARTS:
            raise UserError(f"{path} holds {name}, expected conv1_1.weight to fc8.bias and nothing else")
    names = dict.fromkeys(key.rpartition(".")[0] for key in state)
    for part in (f"{name}.{part}" for name in names for part in sorted(_PARTS)):
        if part not in state:
            raise UserError(f"{path} holds no {part}, expected a weight and a bias of every layer")
    return {name: Layer(*(state[f"{name}.{part}"].float().numpy() for part in ("weight", "bias"))) for name in names}


_LONGEST_S = 600
_NEAR = 0.5  # of a grey level


def matconvnet_layers(path: Path) -> dict[str, Layer]:
    """The layers of a MatConvNet network (Vedaldi and Lenc 2015, 10.1145/2733373.2807412).

    That is a simple network: a cell array ``layers``, by itself or in a struct ``net``.

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
            reason = f"its reader died with signal {-done.returncode}" if done.returncode < 0 else truncated(said)
            raise UserError(f"{path} cannot be read as a MATLAB file ({reason}), expected a whole vgg-face.mat")
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


def load_vgg_face(path: Path, *, width: int = 64) -> dict[str, Tensor]:
    """Read weights for a :class:`~taskgan.networks.photos.VggFace`. No code in the file is ever run.

    What comes back sees red first, as both files do. A file says nothing about that, but for the mean image that
    ``vgg-face.mat`` carries, which is checked; the card's AUC on clean pairs is what tells.

    Args:
        path: ``vgg_face_dag.pth`` (PyTorch) or ``vgg-face.mat`` (MatConvNet); the name's ending says which.
        width: Of the network; 64 is the published one.

    Returns:
        By the names of the network's parameters, float32.

    Raises:
        UserError: If the file is missing, damaged, of another format or holds another network.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist, expected {FILES}")
    reader = {".pth": state_dict_layers, ".pt": state_dict_layers, ".mat": matconvnet_layers}.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path} ends in {path.suffix or 'nothing'}, expected {FILES}")
    return checked_state(reader(path), width, path)


DLIB_FILE = "dlib_face_recognition_resnet_model_v1.dat"
"""The released file of dlib, for messages."""
_MOST_BYTES = 256 * 2**20
_NAMES = re.compile(rb"\x01[\x03-\x08](con|affine|fc)_\d?(?=\x01)")
_INTEGERS_BEFORE = {"con": 0, "affine": 0, "fc": 2}  # between a layer's name and its tensor
_TENSOR = 2


def load_dlib_face(path: Path, *, width: int = 64) -> dict[str, Tensor]:
    """Read weights for a :class:`~taskgan.networks.photos.DlibFace`. No code in the file is ever run.

    Args:
        path: The released file.
        width: Of the network; 64 is the published one.

    Returns:
        By the names of the network's parameters, float32.

    Raises:
        UserError: If the file is missing, damaged or holds another network.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist, expected {DLIB_FILE}")
    if path.stat().st_size > _MOST_BYTES:
        raise UserError(f"{path} has more than {_MOST_BYTES // 2**20} MiB, expected {DLIB_FILE} (22 MB)")
    file, state = _File(path), dict[str, Tensor]()
    with torch.device("meta"):
        network = DlibFace(width=width)
    for number, (name, layer) in enumerate(scaled_layers(network).items(), start=1):
        what, (count, *sizes) = f"layer {number}", layer.conv.weight.shape
        values = file.layer("con", layer.conv.weight.numel() + count, what)
        state[f"{name}.conv.weight"] = values[:-count].reshape(count, *sizes)
        state[f"{name}.conv.bias"] = values[-count:]
        state[f"{name}.gain"], state[f"{name}.shift"] = file.layer("affine", 2 * count, what).chunk(2)
    outputs, inputs = network.head.weight.shape
    state["head.weight"] = file.layer("fc", inputs * outputs, "the last layer").reshape(inputs, outputs).T
    file.ends()
    return {name: value.contiguous() for name, value in state.items()}


class _File:
    """The bytes of what dlib's ``serialize`` writes, and how far they were read.

    A whole number is a byte with its sign (bit 7) and how many bytes follow, then these, lowest first; a text is its
    length and its bytes; a tensor is the number 2 (of the format), four sizes, and float32 values. Layers stand from
    the image to the descriptor, each with its name and one tensor: filters and biases of ``con_``, gains and shifts of
    ``affine_``, the matrix (inputs × outputs) of ``fc_``. What lies between them (sizes, rates of learning, layers
    without weights) decides nothing that the architecture does not know.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._place = path, 0
        self._bytes = path.read_bytes()

    def layer(self, kind: str, count: int, what: str) -> Tensor:
        """The numbers (count,) of the next layer with weights, which must be of this kind."""
        place = _NAMES.search(self._bytes, self._place)
        actual = place.group(1).decode() if place else "the end of the file"
        if place is None or actual != kind:
            raise UserError(
                f"{self._path} has {actual} where {kind}_ of {what} should be, expected the 29 layers of {DLIB_FILE}"
            )
        self._place = place.end()
        integers = [self._integer(what) for _ in range(_INTEGERS_BEFORE[kind] + 5)][-5:]
        if integers[0] != _TENSOR or min(integers[1:]) < 1 or int(np.prod(integers[1:], dtype=object)) != count:
            sizes = "×".join(map(str, integers[1:]))
            raise UserError(f"{self._path}: {kind}_ of {what} has {sizes} numbers, expected {count}")
        end = self._place + 4 * count
        if end > len(self._bytes):
            raise UserError(f"{self._path} ends within {kind}_ of {what}, expected a whole {DLIB_FILE}")
        values: NDArray[np.float32] = np.frombuffer(self._bytes[self._place : end], dtype="<f4").astype(np.float32)
        if not np.isfinite(values).all():
            raise UserError(f"{self._path}: {kind}_ of {what} holds NaN or infinite values, expected finite weights")
        self._place = end
        return torch.from_numpy(values)

    def ends(self) -> None:
        """Refuse a file that goes on with further layers."""
        if _NAMES.search(self._bytes, self._place):
            raise UserError(f"{self._path} has layers beyond the last, expected the 29 layers of {DLIB_FILE}")

    def _integer(self, what: str) -> int:
        head = self._bytes[self._place] if self._place < len(self._bytes) else 0
        size = head & 0x0F
        raw = self._bytes[self._place + 1 : self._place + 1 + size]
        if not 1 <= size <= 8 or len(raw) < size or head & 0x70:
            raise UserError(f"{self._path} is damaged at byte {self._place}, in {what}: expected a whole {DLIB_FILE}")
        self._place += 1 + size
        return int.from_bytes(raw, "little") * (-1 if head & 0x80 else 1)
