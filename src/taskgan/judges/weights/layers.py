"""Whether the layers that a file holds are those of VGG-Face."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taskgan.core.errors import UserError
from taskgan.networks.photos import layer_shapes

FILES = "vgg_face_dag.pth, vgg-face.mat or VGG_FACE.t7"
"""The released files, for messages."""


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
