"""Small programs of others: one that torch.export saves, and an ONNX model written by hand."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


def save_exported(path: Path, network: nn.Module, shape: tuple[int, ...]) -> Path:
    """Export a network for any number of images of one shape (C, H, W)."""
    images = torch.zeros(2, *shape)
    program = torch.export.export(network.eval(), (images,), dynamic_shapes=({0: torch.export.Dim("images")},))
    torch.export.save(program, path)
    return path


def _varint(value: int) -> bytes:
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def _field(number: int, value: int | str | bytes) -> bytes:
    """A field of protobuf: a whole number, or a text or message with its length."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(raw)) + raw


def _tensor(name: str, values: NDArray[np.float32]) -> bytes:
    sizes = b"".join(_field(1, int(size)) for size in values.shape)
    return _field(5, sizes + _field(2, 1) + _field(8, name) + _field(9, values.astype("<f4").tobytes()))


def _node(operator: str, inputs: tuple[str, ...], output: str, attributes: bytes = b"") -> bytes:
    names = b"".join(_field(1, name) for name in inputs)
    return _field(1, names + _field(2, output) + _field(4, operator) + attributes)


def _value(number: int, name: str, sizes: tuple[int | str, ...]) -> bytes:
    axes = b"".join(_field(1, _field(2, s) if isinstance(s, str) else _field(1, s)) for s in sizes)
    return _field(number, _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, axes))))


def onnx_bytes(weight: NDArray[np.float32], bias: NDArray[np.float32]) -> bytes:
    """Images (N, C, H, W), flattened and multiplied: ``Flatten`` and ``Gemm`` of opset 13."""
    transposed = _field(5, _field(1, "transB") + _field(3, 1) + _field(20, 2))
    edge = round((weight.shape[1] / 3) ** 0.5)
    graph = (
        _node("Flatten", ("images",), "flat")
        + _node("Gemm", ("flat", "w", "b"), "descriptor", transposed)
        + _field(2, "linear")
        + _tensor("w", weight)
        + _tensor("b", bias)
        + _value(11, "images", ("n", 3, edge, edge))
        + _value(12, "descriptor", ("n", len(weight)))
    )
    return _field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 13))
