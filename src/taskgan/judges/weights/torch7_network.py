"""``VGG_FACE.t7``: a Torch7 network, whose layers have no names but an order, and which sees blue first."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.core.errors import UserError
from taskgan.core.parse import truncated
from taskgan.judges.weights.layers import Layer
from taskgan.judges.weights.torch7 import Torch7Object, read_torch7
from taskgan.networks.vgg_face import layer_shapes

_DEEPEST = 20  # containers in containers


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
            raise UserError(
                f"{path} has {truncated(module.kind)} in the place of {name}, expected nn.{expected} there"
            )
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
    if depth > _DEEPEST:
        raise UserError(f"{path} nests more than {_DEEPEST} containers, expected VGG-Face's nn.Sequential")
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
