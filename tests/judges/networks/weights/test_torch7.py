"""The binary format of Torch7, value by value."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taskgan.core.errors import UserError
from taskgan.judges.weights.torch7 import Torch7Object, read_torch7
from vgg_face_files import Torch7Writer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.t7"


def _read(writer: Torch7Writer, path: Path) -> Any:
    path.write_bytes(bytes(writer.bytes))
    return read_torch7(path)


def test_plain_values(path: Path) -> None:
    writer = Torch7Writer()
    writer.table(
        {
            "nothing": writer.nil,
            "number": lambda: writer.number(-1.5),
            "text": lambda: writer.string("fc7"),
            "yes": lambda: writer.boolean(True),
            "no": lambda: writer.boolean(False),
            2.0: lambda: writer.table({}),
        }
    )
    found = _read(writer, path)
    assert found == {"nothing": None, "number": -1.5, "text": "fc7", "yes": True, "no": False, 2.0: {}}
    assert type(found["yes"]) is bool


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("Float", "f4"), ("Double", "f8"), ("Cuda", "f4"), ("Long", "i8"), ("Int", "i4"), ("Short", "i2"), ("Byte", "u1")],
)
def test_tensors_of_every_kind(kind: str, dtype: str, path: Path) -> None:
    values = np.arange(24).reshape(2, 3, 4).astype(dtype)
    writer = Torch7Writer()
    writer.tensor(values, kind)
    found = _read(writer, path)
    assert found.dtype == np.dtype(dtype)
    assert np.array_equal(found, values)
    assert not found.flags.writeable


def test_strides_and_offset_are_followed(path: Path) -> None:
    writer = Torch7Writer()

    def content() -> None:
        writer.ints(2)
        writer.longs(2, 3, 1, 2, 4)  # sizes, strides, the fourth element first
        writer.storage(np.arange(10, dtype=np.float32))

    writer.object("torch.FloatTensor", content)
    assert np.array_equal(_read(writer, path), [[3, 5, 7], [4, 6, 8]])


def test_a_second_mention_is_the_same_object(path: Path) -> None:
    writer = Torch7Writer()
    weights = np.ones((2, 2), dtype=np.float32)
    marks: dict[str, int] = {}

    def first() -> None:
        marks["tensor"] = writer.tensor(weights)

    def holder() -> None:
        marks["table"] = writer.table({"itself": lambda: writer.again(3, 2)})

    writer.table(
        {
            "table": holder,
            "tensor": first,
            "again": lambda: writer.again(4, marks["tensor"]),
            "table again": lambda: writer.again(3, marks["table"]),
        }
    )
    found = _read(writer, path)
    assert marks["table"] == 2
    assert found["table again"] is found["table"]
    assert found["table"]["itself"] is found["table"]  # a module may know its parent
    assert found["again"] is found["tensor"]


def test_two_tensors_share_one_storage(path: Path) -> None:
    writer = Torch7Writer()
    values, marks = np.arange(6, dtype=np.float32), {}

    def storage() -> None:
        marks["storage"] = writer.storage(values)

    writer.table(
        {
            "all": lambda: writer.tensor(values, storage=storage),
            "square": lambda: writer.tensor(
                values[:4].reshape(2, 2), storage=lambda: writer.again(4, marks["storage"])
            ),
        }
    )
    found = _read(writer, path)
    assert np.array_equal(found["square"], [[0, 1], [2, 3]])
    assert np.shares_memory(found["all"], found["square"])


def test_objects_with_and_without_a_version(path: Path) -> None:
    for version in ("V 1", None):
        writer = Torch7Writer()
        writer.object("nn.ReLU", lambda w=writer: w.table({"inplace": lambda: w.boolean(True)}), version=version)
        found = _read(writer, path)
        assert found == Torch7Object("nn.ReLU", {"inplace": True})


def test_empty_tensors(path: Path) -> None:
    writer = Torch7Writer()
    empty = np.zeros(0, dtype=np.float32)
    writer.table({"nil": lambda: writer.tensor(empty, storage=writer.nil), "none": lambda: writer.tensor(empty)})
    found = _read(writer, path)
    assert found["nil"].size == found["none"].size == 0


def _tensor(sizes: list[int], strides: list[int], offset: int, elements: int = 4) -> Torch7Writer:
    writer = Torch7Writer()

    def content() -> None:
        writer.ints(len(sizes))
        writer.longs(*sizes, *strides, offset)
        writer.storage(np.zeros(elements, dtype=np.float32))

    writer.object("torch.FloatTensor", content)
    return writer


@pytest.mark.parametrize(
    ("sizes", "strides", "offset"),
    [
        ([2, 3], [3, 1], 1),  # six of four
        ([4], [1], 2),
        ([4], [1], 0),
        ([4], [-1], 4),
        ([-4], [1], 1),
        ([2**40, 2**40], [0, 0], 1),  # one number, expanded without end
        ([2], [2**62], 1),
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(sizes: list[int], strides: list[int], offset: int, path: Path) -> None:
    with pytest.raises(UserError, match="reaches beyond its 4 elements"):
        _read(_tensor(sizes, strides, offset), path)


def test_lengths_that_nobody_could_hold_are_refused_before_memory_is_taken(path: Path) -> None:
    for data, words in (
        (struct.pack("<ii", 2, 2**31 - 1), "ends inside a string"),
        (struct.pack("<ii", 2, -1), "ends inside a string"),
        (struct.pack("<iii", 3, 1, 2**31 - 1), "table of 2147483647 entries"),
        (struct.pack("<ii3sii", 4, 1, b"", 0, 0)[:8] + struct.pack("<i18sq", 18, b"torch.FloatStorage", 2**61), "ends"),
        (struct.pack("<ii", 1, 0), "ends inside a number: 8 bytes wanted at byte 4, 4 left"),
        (struct.pack("<i", 9), "has the type 9 at byte 0"),
    ):
        path.write_bytes(data)
        with pytest.raises(UserError, match=words):
            read_torch7(path)


def test_functions_are_never_run(path: Path) -> None:
    for kind in (6, 7, 8):
        writer = Torch7Writer()
        writer.table({"apply": lambda w=writer, k=kind: w.ints(k, 2, 4, 0)})
        with pytest.raises(UserError, match="Lua function at byte .*, which is never run"):
            _read(writer, path)


def test_values_without_end_and_tables_as_keys_are_refused(path: Path) -> None:
    writer = Torch7Writer()

    def nest(depth: int) -> None:
        writer.table({1.0: (lambda: nest(depth - 1)) if depth else writer.nil})

    nest(150)
    with pytest.raises(UserError, match="nests more than 100 values"):
        _read(writer, path)
    path.write_bytes(struct.pack("<iiiiii", 3, 1, 1, 3, 2, 0) + struct.pack("<i", 0))
    with pytest.raises(UserError, match="a dict as the key of a table"):
        read_torch7(path)
