"""Released weights of others, read into our networks: one file a format."""

from pathlib import Path

from torch import nn

from taskgan.core.errors import UserError
from taskgan.judges.weights.dlib_file import load_dlib_face
from taskgan.judges.weights.formats import load_vgg_face
from taskgan.networks.dlib_face import DlibFaceRecogniser
from taskgan.networks.foreign import ForeignNetwork
from taskgan.networks.vgg_face import VggFaceRecogniser
from taskgan.recipe import RecogniserSettings

__all__ = ["load_released", "load_vgg_face"]


def load_released(network: nn.Module, settings: RecogniserSettings, path: Path) -> None:
    """Give a network the weights of a file.

    Args:
        network: Built by the settings.
        settings: Of the recogniser.
        path: The file.

    Raises:
        UserError: If the file is missing, damaged or holds another network.
    """
    if isinstance(network, VggFaceRecogniser):
        network.network.load_state_dict(load_vgg_face(path, width=settings.width))
    elif isinstance(network, DlibFaceRecogniser):
        network.network.load_state_dict(load_dlib_face(path, width=settings.width))
    elif isinstance(network, ForeignNetwork):
        try:
            read = path.read_bytes()
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}), expected {settings.facts.files}") from None
        network.load_program(read)
