"""The released weights of VGG-Face, in whichever of their three formats a file is."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from taskgan.core.errors import UserError
from taskgan.core.parse import error_text, truncated
from taskgan.core.tensors import load_torch
from taskgan.judges.weights.layers import FILES, Layer, checked_state
from taskgan.judges.weights.matconvnet import matconvnet_layers
from taskgan.judges.weights.torch7 import torch7_layers

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


_FORMATS: dict[str, Callable[[Path], dict[str, Layer]]] = dict.fromkeys((".pth", ".pt"), state_dict_layers)
_FORMATS |= {".mat": matconvnet_layers, ".t7": torch7_layers}


def load_vgg_face(path: Path, *, width: int = 64) -> dict[str, Tensor]:
    """Read weights for a :class:`~taskgan.networks.photos.VggFace`. No code in the file is ever run.

    What comes back sees red first. So do two of the files; the third sees blue first and is turned round. A file
    says nothing about that, but for the mean image that ``vgg-face.mat`` carries, which is checked; the card's AUC on
    clean pairs is what tells.

    Args:
        path: ``vgg_face_dag.pth`` (PyTorch), ``vgg-face.mat`` (MatConvNet) or ``VGG_FACE.t7`` (Torch7); the name's
            ending says which.
        width: Of the network; 64 is the published one.

    Returns:
        By the names of the network's parameters, float32.

    Raises:
        UserError: If the file is missing, damaged, of another format or holds another network.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist, expected {FILES}")
    if path.suffix.lower() not in _FORMATS:
        raise UserError(f"{path} ends in {path.suffix or 'nothing'}, expected {FILES}")
    return checked_state(_FORMATS[path.suffix.lower()](path), width, path)
