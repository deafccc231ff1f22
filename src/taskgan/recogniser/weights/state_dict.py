"""``vgg_face_dag.pth``: a flat PyTorch state dict."""

from pathlib import Path

import torch
from torch import Tensor

from taskgan.core.errors import UserError
from taskgan.core.parse import error_text, truncated
from taskgan.core.tensors import load_torch
from taskgan.recogniser.weights.layers import Layer

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
        raise UserError(
            f"{path} holds a {type(state).__name__}, expected a state dict with conv1_1.weight to fc8.bias"
        )
    for key, value in state.items():
        if not isinstance(value, Tensor):
            raise UserError(
                f"{path}: {truncated(str(key))} is a {type(value).__name__}, expected tensors alone"
            )
        if value.layout != torch.strided or not value.is_floating_point() or _expanded(value):
            kind = str(value.dtype).removeprefix("torch.")
            raise UserError(
                f"{path}: {truncated(str(key))} is no plain tensor of real numbers ({kind}), expected float32"
            )
        if not isinstance(key, str) or key.rpartition(".")[2] not in _PARTS:
            raise UserError(
                f"{path} holds {truncated(str(key))}, expected conv1_1.weight to fc8.bias and nothing else"
            )
    names = dict.fromkeys(key.rpartition(".")[0] for key in state)
    for name in names:
        for part in sorted(_PARTS):
            if f"{name}.{part}" not in state:
                raise UserError(f"{path} holds no {name}.{part}, expected a weight and a bias of every layer")
    return {
        name: Layer(*(state[f"{name}.{part}"].float().numpy() for part in ("weight", "bias")))
        for name in names
    }


def _expanded(tensor: Tensor) -> bool:
    """Whether it has more values than are stored: a few bytes can tell of a terabyte."""
    return tensor.is_quantized or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes()
