"""``dlib_face_recognition_resnet_model_v1.dat``: a network as dlib's ``serialize`` writes it.

A whole number is a byte with its sign (bit 7) and how many bytes follow, then these, lowest first; a text is its
length and its bytes; a tensor is the number 2 (of the format), four sizes, and float32 values. Layers stand from
the image to the descriptor, each with its name and one tensor: filters and biases of ``con_``, gains and shifts of
``affine_``, the matrix (inputs × outputs) of ``fc_``. What lies between them (sizes, rates of learning, layers
without weights) decides nothing that the architecture does not know.
"""

import re
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taskgan.core.errors import UserError
from taskgan.networks.photos import DlibFace, scaled_layers

FILE = "dlib_face_recognition_resnet_model_v1.dat"
"""The released file, for messages."""
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
        raise UserError(f"{path} does not exist, expected {FILE}")
    if path.stat().st_size > _MOST_BYTES:
        raise UserError(f"{path} has more than {_MOST_BYTES // 2**20} MiB, expected {FILE} (22 MB)")
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
    """The bytes and how far they were read."""

    def __init__(self, path: Path) -> None:
        self._path, self._place = path, 0
        self._bytes = path.read_bytes()

    def layer(self, kind: str, count: int, what: str) -> Tensor:
        """The numbers (count,) of the next layer with weights, which must be of this kind."""
        place = _NAMES.search(self._bytes, self._place)
        found = place.group(1).decode() if place else "the end of the file"
        if place is None or found != kind:
            raise UserError(
                f"{self._path} has {found} where {kind}_ of {what} should be, expected the 29 layers of {FILE}"
            )
        self._place = place.end()
        integers = [self._integer(what) for _ in range(_INTEGERS_BEFORE[kind] + 5)][-5:]
        if integers[0] != _TENSOR or min(integers[1:]) < 1 or int(np.prod(integers[1:], dtype=object)) != count:
            sizes = "×".join(map(str, integers[1:]))
            raise UserError(f"{self._path}: {kind}_ of {what} has {sizes} numbers, expected {count}")
        end = self._place + 4 * count
        if end > len(self._bytes):
            raise UserError(f"{self._path} ends within {kind}_ of {what}, expected a whole {FILE}")
        values: NDArray[np.float32] = np.frombuffer(self._bytes[self._place : end], dtype="<f4").astype(np.float32)
        if not np.isfinite(values).all():
            raise UserError(f"{self._path}: {kind}_ of {what} holds NaN or infinite values, expected finite weights")
        self._place = end
        return torch.from_numpy(values)

    def ends(self) -> None:
        """Refuse a file that goes on with further layers."""
        if _NAMES.search(self._bytes, self._place):
            raise UserError(f"{self._path} has layers beyond the last, expected the 29 layers of {FILE}")

    def _integer(self, what: str) -> int:
        head = self._bytes[self._place] if self._place < len(self._bytes) else 0
        size = head & 0x0F
        raw = self._bytes[self._place + 1 : self._place + 1 + size]
        if not 1 <= size <= 8 or len(raw) < size or head & 0x70:
            raise UserError(f"{self._path} is damaged at byte {self._place}, in {what}: expected a whole {FILE}")
        self._place += 1 + size
        return int.from_bytes(raw, "little") * (-1 if head & 0x80 else 1)
