"""The released weights of VGG-Face, in whichever of their three formats a file is."""

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from taskgan.core.errors import UserError
from taskgan.recogniser.weights.layers import FILES, Layer, checked_state
from taskgan.recogniser.weights.matconvnet import matconvnet_layers
from taskgan.recogniser.weights.state_dict import state_dict_layers
from taskgan.recogniser.weights.torch7_network import torch7_layers

_FORMATS: dict[str, Callable[[Path], dict[str, Layer]]] = {
    ".pth": state_dict_layers,
    ".pt": state_dict_layers,
    ".mat": matconvnet_layers,
    ".t7": torch7_layers,
}


def load_vgg_face(path: Path, *, width: int = 64) -> dict[str, Tensor]:
    """Read weights for a :class:`~taskgan.networks.vgg_face.VggFace`. No code in the file is ever run.

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
