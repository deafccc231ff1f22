"""``VGG_FACE.t7``: a Torch7 network, and a reader of Torch7's binary serialisation (``torch.save`` of Lua).

Values and tensors are read, never code. Of the network, layers have no names but an order, and it sees blue first.

A file is one value. Each begins with its type, a little-endian int32: nil; a number (float64); a string (int32
length, bytes); a boolean (int32); a table; an object of a class. Tables and objects carry an int32 index, by which a
second mention refers to the first. A table has an int32 number of entries, key and value. An object has a version
(``V 1``) and the name of its class, both strings without a type, then its own content: a tensor its int32 number of
axes, int64 sizes, strides and the place of its first element (from 1) and, as a value, its storage; a storage its
int64 length and its elements; every other class its table of fields.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.core.errors import UserError
from taskgan.core.parse import truncated
from taskgan.judges.weights.layers import Layer
from taskgan.networks.photos import layer_shapes

_NIL, _NUMBER, _STRING, _TABLE, _OBJECT, _BOOLEAN = range(6)
_FUNCTIONS = (6, 7, 8)
_DEEPEST = 100  # values inside values; a network has a dozen
_MOST_AXES = 16
_ELEMENTS = {
    "Float": "<f4",
    "Double": "<f8",
    "Half": "<f2",
    "Cuda": "<f4",
    "CudaDouble": "<f8",
    "Long": "<i8",
    "Int": "<i4",
    "Short": "<i2",
    "Char": "<i1",
    "Byte": "<u1",
}


@dataclass(frozen=True)
class Torch7Object:
    """An object that is neither a tensor nor a storage: its class, such as ``nn.Linear``, and its fields by name."""

    kind: str
    fields: dict[Any, Any] = field(default_factory=dict, repr=False)


def read_torch7(path: Path) -> Any:
    """Read a file of little-endian numbers and int64 sizes: what Torch7 writes on 64-bit machines.

    Returns:
        None, float, str, bool, dict (a table, numbers as float keys), :class:`Torch7Object`, or a numpy array for a
        tensor: a view of the mapped file where it can be one, read-only.

    Raises:
        UserError: If it is no such file, ends early, contradicts itself or holds functions.
    """
    if not path.stat().st_size:
        raise UserError(f"{path} is empty, expected a Torch7 binary file")
    return _Reader(np.memmap(path, dtype=np.uint8, mode="r"), path).value(0)


class _Reader:
    """Walks through the bytes; nothing is believed about a length before there are bytes for it."""

    def __init__(self, data: NDArray[np.uint8], path: Path) -> None:
        self._data, self._path = data, path
        self._at = 0
        self._known: dict[int, Any] = {}

    def value(self, depth: int) -> Any:
        """The next value; ``depth`` is how many tables and objects it lies in."""
        if depth > _DEEPEST:
            raise self._broken(f"nests more than {_DEEPEST} values", "a network")
        began = self._at
        kind = self._int("a value")
        if kind == _NIL:
            return None
        if kind == _NUMBER:
            return float(self._numbers("<f8", 1, "a number")[0])
        if kind == _STRING:
            return self._string("a string")
        if kind == _BOOLEAN:
            return self._int("a boolean") == 1
        if kind == _TABLE:
            return self._table(depth)
        if kind == _OBJECT:
            return self._object(depth)
        if kind in _FUNCTIONS:
            what = f"holds a Lua function at byte {began}, which is never run"
            raise self._broken(what, "tensors and tables alone")
        raise self._broken(f"has the type {kind} at byte {began}", "a Torch7 binary file, whose types are 0 to 5")

    def _table(self, depth: int) -> Any:
        index = self._int("the index of a table")
        if index in self._known:
            return self._known[index]
        table: dict[Any, Any] = {}
        self._known[index] = table  # before its entries: they may refer to it
        count = self._int("the size of a table")
        if not 0 <= count <= self._left // 8:  # a key and a value take four bytes each, or more
            raise self._broken(f"tells of a table of {count} entries with {self._left} bytes left", "a whole file")
        for _ in range(count):
            key, value = self.value(depth + 1), self.value(depth + 1)
            if not isinstance(key, str | float | bool):
                raise self._broken(f"has a {type(key).__name__} as the key of a table", "names and numbers")
            table[key] = value
        return table

    def _object(self, depth: int) -> Any:
        index = self._int("the index of an object")
        if index in self._known:
            return self._known[index]
        name = self._string("the version of an object")
        if name.startswith("V "):  # the first files had no version
            name = self._string("the name of a class")
        module, _, last = name.partition(".")
        if module == "torch" and last.removesuffix("Tensor") in _ELEMENTS and last.endswith("Tensor"):
            return self._tensor(index, _ELEMENTS[last.removesuffix("Tensor")], depth)
        if module == "torch" and last.removesuffix("Storage") in _ELEMENTS and last.endswith("Storage"):
            return self._storage(index, _ELEMENTS[last.removesuffix("Storage")])
        instance = Torch7Object(name)
        self._known[index] = instance
        fields = self.value(depth + 1)
        if not isinstance(fields, dict):
            raise self._broken(f"has an object {truncated(name)} without a table of fields", "layers of nn")
        instance.fields.update(fields)
        return instance

    def _tensor(self, index: int, elements: str, depth: int) -> NDArray[Any]:
        axes = self._int("the axes of a tensor")
        if not 0 <= axes <= _MOST_AXES:
            raise self._broken(f"has a tensor of {axes} axes", f"0 to {_MOST_AXES}")
        sizes, strides = (tuple(self._numbers("<i8", axes, "the sizes of a tensor").tolist()) for _ in range(2))
        offset = int(self._numbers("<i8", 1, "the offset of a tensor")[0]) - 1
        storage = self.value(depth + 1)
        if storage is None or not axes:
            storage, sizes, strides, offset = np.zeros(0, dtype=elements), (0,), (1,), 0
        if not isinstance(storage, np.ndarray) or storage.dtype != np.dtype(elements) or storage.ndim != 1:
            raise self._broken("has a tensor whose storage is of another kind", "a storage of the same elements")
        count = int(np.prod([*sizes, 1], dtype=object))  # Python's integers do not overflow
        last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
        if min(sizes) < 0 or (count and (min(strides) < 0 or offset < 0 or max(last + 1, count) > len(storage))):
            raise self._broken(
                f"has a tensor of {'×'.join(map(str, sizes))} that reaches beyond its {len(storage)} elements",
                "a tensor inside its storage",
            )
        steps = tuple(stride * storage.itemsize for stride in strides)
        whole = np.lib.stride_tricks.as_strided(storage[offset:], sizes, steps, writeable=False) if count else None
        tensor: NDArray[Any] = whole if whole is not None else np.zeros(sizes, dtype=elements)
        self._known[index] = tensor
        return tensor

    def _storage(self, index: int, elements: str) -> NDArray[Any]:
        length = int(self._numbers("<i8", 1, "the length of a storage")[0])
        storage = self._known[index] = self._numbers(elements, length, "the elements of a storage")
        return storage

    def _string(self, what: str) -> str:
        length = self._int(f"the length of {what}")
        return self._numbers("<u1", length, what).tobytes().decode("latin-1")

    def _int(self, what: str) -> int:
        return int(self._numbers("<i4", 1, what)[0])

    def _numbers(self, elements: str, count: int, what: str) -> NDArray[Any]:
        size = count * np.dtype(elements).itemsize
        if count < 0 or size > self._left:
            raise self._broken(
                f"ends inside {what}: {size} bytes wanted at byte {self._at}, {self._left} left", "a whole file"
            )
        values = self._data[self._at : self._at + size].view(elements)
        self._at += size
        return values

    @property
    def _left(self) -> int:
        return len(self._data) - self._at

    def _broken(self, problem: str, expected: str) -> UserError:
        return UserError(f"{self._path} {problem}; expected {expected}, as Torch7 writes them")


_MOST_CONTAINERS = 20  # in containers


def torch7_layers(path: Path) -> dict[str, Layer]:
    """The layers with weights of an ``nn.Sequential``, in order: thirteen convolutions, three fully connected.

    Convolutions may be ``SpatialConvolution`` or ``SpatialConvolutionMM`` (filters flattened) of nn or cudnn.

    The authors' program for this file turns red, green, blue round before the network sees them. The first filters
    are turned round here instead, so that they are those of the other two files.

    Raises:
        UserError: If the file is damaged, or its layers are not in number and kind those of VGG-Face.
    """
    root = read_torch7(path)
    if not isinstance(root, Torch7Object) or "modules" not in root.fields:
        raise UserError(f"{path} holds {_type_name(root)}, expected a network such as nn.Sequential")
    names = list(layer_shapes(1))
    modules = list(_with_weights(root, path, 0, set()))
    if len(modules) != len(names):
        raise UserError(f"{path} has {len(modules)} layers with weights, expected VGG-Face's {len(names)}")
    layers: dict[str, Layer] = {}
    for name, module in zip(names, modules, strict=True):
        expected = "SpatialConvolution" if name.startswith("conv") else "Linear"
        if expected not in module.kind:
            raise UserError(f"{path} has {truncated(module.kind)} in the place of {name}, expected nn.{expected} there")
        layers[name] = Layer(*(_numbers(module, part, name, path) for part in ("weight", "bias")))
    first = layers["conv1_1"]
    layers["conv1_1"] = Layer(_blue_last(first.weight), first.bias)
    return layers


def _blue_last(weight: NDArray[np.floating]) -> NDArray[np.floating]:
    """Filters (N, 3, 3, 3), or flattened (N, 27), with their colours turned round; of another shape as they are."""
    if weight.size != weight.shape[0] * 27:
        return weight  # refused by its shape later on
    return weight.reshape(len(weight), 3, 9)[:, ::-1].reshape(weight.shape)


def _numbers(module: Torch7Object, part: str, name: str, path: Path) -> NDArray[np.floating]:
    values = module.fields.get(part)
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f":
        raise UserError(f"{path}: the {part} of {name} is {_type_name(values)}, expected a tensor of numbers")
    return values


def _with_weights(module: Torch7Object, path: Path, depth: int, seen: set[int]) -> Iterator[Torch7Object]:
    """Modules with weights in their order, each once: containers may share what they hold, or hold themselves."""
    if id(module) in seen:
        return
    seen.add(id(module))
    if depth > _MOST_CONTAINERS:
        raise UserError(f"{path} nests more than {_MOST_CONTAINERS} containers, expected VGG-Face's nn.Sequential")
    if module.fields.get("weight") is not None:
        yield module
    inside = module.fields.get("modules")
    if not isinstance(inside, dict):
        return
    for key in sorted(k for k in inside if isinstance(k, float)):
        if isinstance(inside[key], Torch7Object):
            yield from _with_weights(inside[key], path, depth + 1, seen)


def _type_name(value: Any) -> str:
    if isinstance(value, Torch7Object):
        return f"an object {truncated(value.kind)}"
    if isinstance(value, np.ndarray):
        return f"a tensor of {value.dtype}"
    return {dict: "a table", type(None): "nothing", float: "a number"}.get(type(value), f"a {type(value).__name__}")
