"""Writers of the three formats that VGG-Face was released in, for tests: random weights in small files."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.io import savemat

from taskgan.networks.photos import VGG_MEAN, layer_shapes

Array = NDArray[np.float32]
WIDTH = 2


def random_layers(width: int = WIDTH, seed: int = 0) -> dict[str, tuple[Array, Array]]:
    """Weights (as the network's parameters) and biases by name."""
    rng = np.random.default_rng(seed)
    return {
        name: (
            rng.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape).astype(np.float32),
            rng.normal(0, 0.1, shape[0]).astype(np.float32),
        )
        for name, shape in layer_shapes(width).items()
    }


def write_pth(path: Path, layers: dict[str, tuple[Array, Array]], *, legacy: bool = True) -> Path:
    """The released file is of 2018: the format before zip."""
    state: dict[str, torch.Tensor] = {}
    for name, (weight, bias) in layers.items():
        state[f"{name}.weight"], state[f"{name}.bias"] = torch.from_numpy(weight), torch.from_numpy(bias)
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    return path


def write_mat(
    path: Path, layers: dict[str, tuple[Array, Array]], *, mean: Any = VGG_MEAN, old: bool = False, in_net: bool = False
) -> Path:
    """A MatConvNet simple network; fully connected layers are convolutions of 7×7 and 1×1 there."""
    cells = []
    for name, (weight, bias) in layers.items():
        four = weight if weight.ndim == 4 else weight.reshape(len(weight), -1, *((7, 7) if name == "fc6" else (1, 1)))
        filters, biases = four.transpose(2, 3, 1, 0), bias[:, None]
        layer: dict[str, Any] = {"name": name, "type": "conv", "stride": 1.0, "pad": 1.0}
        if old:
            layer |= {"filters": filters, "biases": biases}
        else:
            pair = np.empty((1, 2), dtype=object)
            pair[0, 0], pair[0, 1] = filters, biases
            layer["weights"] = pair
        cells += [layer, {"name": f"relu{name.removeprefix('conv')}", "type": "relu"}]
    row = np.empty((1, len(cells)), dtype=object)
    row[0] = cells
    net: dict[str, Any] = {"layers": row}
    if mean is not None:
        net["meta"] = {"normalization": {"averageImage": np.asarray(mean), "imageSize": np.array([224.0, 224, 3])}}
    savemat(path, {"net": net} if in_net else net, do_compression=False)
    return path


class Torch7Writer:
    """Writes what ``torch.save`` of Torch7 writes."""

    def __init__(self) -> None:
        self.bytes = bytearray()
        self._index = 0

    def ints(self, *values: int) -> None:
        self.bytes += struct.pack(f"<{len(values)}i", *values)

    def longs(self, *values: int) -> None:
        self.bytes += struct.pack(f"<{len(values)}q", *values)

    def text(self, text: str) -> None:
        self.ints(len(text))
        self.bytes += text.encode()

    def nil(self) -> None:
        self.ints(0)

    def number(self, value: float) -> None:
        self.ints(1)
        self.bytes += struct.pack("<d", value)

    def string(self, text: str) -> None:
        self.ints(2)
        self.text(text)

    def boolean(self, value: bool) -> None:
        self.ints(5, int(value))

    def table(self, entries: dict[Any, Callable[[], Any]]) -> int:
        """Keys are strings or numbers; values write themselves. Gives the index."""
        index = self._next(3)
        self.ints(len(entries))
        for key, write in entries.items():
            if isinstance(key, str):
                self.string(key)
            else:
                self.number(key)
            write()
        return index

    def again(self, kind: int, index: int) -> None:
        """A second mention of a table (3) or object (4)."""
        self.ints(kind, index)

    def object(self, name: str, write: Callable[[], Any], *, version: str | None = "V 1") -> int:
        index = self._next(4)
        if version is not None:
            self.text(version)
        self.text(name)
        write()
        return index

    def tensor(self, values: Array, kind: str = "Float", *, storage: Callable[[], Any] | None = None) -> int:
        def content() -> None:
            strides = [s // values.itemsize for s in values.strides]
            self.ints(values.ndim)
            self.longs(*values.shape, *strides, 1)
            (storage or (lambda: self.storage(values.ravel(), kind)))()

        return self.object(f"torch.{kind}Tensor", content)

    def storage(self, values: NDArray[Any], kind: str = "Float") -> int:
        def content() -> None:
            self.longs(len(values))
            self.bytes.extend(values.tobytes())

        return self.object(f"torch.{kind}Storage", content)

    def _next(self, kind: int) -> int:
        self._index += 1
        self.ints(kind, self._index)
        return self._index


def write_t7(
    path: Path, layers: dict[str, tuple[Array, Array]], *, flat: bool = True, kind: str = "Float", head: str = "nn"
) -> Path:
    """An ``nn.Sequential`` with the layers between that have no weights; it sees blue first, as the released file."""
    writer = Torch7Writer()
    weight, bias = layers["conv1_1"]
    layers = layers | {"conv1_1": (weight[:, ::-1], bias)}

    def layer(name: str, weight: Array, bias: Array) -> Callable[[], Any]:
        four, dtype = weight.ndim == 4, {"Float": "<f4", "Double": "<f8", "Cuda": "<f4"}[kind]
        shown = weight.reshape(len(weight), -1) if four and flat else weight
        called = f"{head}.SpatialConvolution{'MM' if flat else ''}" if four else f"{head}.Linear"
        return lambda: writer.object(
            called,
            lambda: writer.table(
                {
                    "weight": lambda: writer.tensor(np.ascontiguousarray(shown, dtype=dtype), kind),
                    "bias": lambda: writer.tensor(bias.astype(dtype), kind),
                    "gradInput": lambda: writer.tensor(np.zeros(0, dtype=dtype).reshape(0), kind, storage=writer.nil),
                    "train": lambda: writer.boolean(False),
                    "_type": lambda: writer.string(f"torch.{kind}Tensor"),
                }
            ),
        )

    def plain(called: str) -> Callable[[], Any]:
        return lambda: writer.object(
            called,
            lambda: writer.table({"inplace": lambda: writer.boolean(True), "threshold": lambda: writer.number(0)}),
        )

    modules = [m for name, pair in layers.items() for m in (layer(name, *pair), plain("nn.ReLU"))]
    table = {float(k): module for k, module in enumerate(modules, start=1)}
    writer.object("nn.Sequential", lambda: writer.table({"modules": lambda: writer.table(table)}))
    path.write_bytes(bytes(writer.bytes))
    return path
