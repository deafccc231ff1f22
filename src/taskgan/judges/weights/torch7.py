"""A reader of the binary serialisation of Torch7 (``torch.save`` of Lua): values and tensors, never code.

A file is one value. Each begins with its type, a little-endian int32: nil; a number (float64); a string (int32
length, bytes); a boolean (int32); a table; an object of a class. Tables and objects carry an int32 index, by which a
second mention refers to the first. A table has an int32 number of entries, key and value. An object has a version
(``V 1``) and the name of its class, both strings without a type, then its own content: a tensor its int32 number of
axes, int64 sizes, strides and the place of its first element (from 1) and, as a value, its storage; a storage its
int64 length and its elements; every other class its table of fields.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.core.errors import UserError
from taskgan.core.parse import truncated

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
    """An object that is neither a tensor nor a storage.

    Attributes:
        kind: Name of its class, such as ``nn.Linear``.
        fields: Its fields by name.
    """

    kind: str
    fields: dict[Any, Any] = field(default_factory=dict, repr=False)


def read_torch7(path: Path) -> Any:
    """Read a file.

    Args:
        path: Little-endian, int64 sizes: what Torch7 writes on 64-bit machines.

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
            raise self._broken(
                f"holds a Lua function at byte {began}, which is never run", "tensors and tables alone"
            )
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
        sizes, strides = (
            tuple(int(n) for n in self._numbers("<i8", axes, "the sizes of a tensor")) for _ in range(2)
        )
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
        self._known[index] = whole if whole is not None else np.zeros(sizes, dtype=elements)
        tensor: NDArray[Any] = self._known[index]
        return tensor

    def _storage(self, index: int, elements: str) -> NDArray[Any]:
        length = int(self._numbers("<i8", 1, "the length of a storage")[0])
        self._known[index] = self._numbers(elements, length, "the elements of a storage")
        storage: NDArray[Any] = self._known[index]
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
