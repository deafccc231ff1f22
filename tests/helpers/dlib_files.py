"""Writer of dlib's serialisation of its face network, for tests: random weights in a small file."""

from pathlib import Path

import numpy as np
import torch

from taskgan.networks.photos import DlibFace, scaled_layers

WIDTH = 2


def integer(value: int) -> bytes:
    """How many bytes and the sign, then the bytes, lowest first."""
    size = max(1, (abs(value).bit_length() + 7) // 8)
    return bytes([size | (0x80 if value < 0 else 0)]) + abs(value).to_bytes(size, "little")


def text(value: str) -> bytes:
    return integer(len(value)) + value.encode()


def tensor(*parts: torch.Tensor, sizes: tuple[int, int, int, int] | None = None) -> bytes:
    values = np.concatenate([part.detach().numpy().ravel() for part in parts]).astype("<f4")
    return b"".join(map(integer, (2, *(sizes or (len(values), 1, 1, 1))))) + values.tobytes()


def random_network(width: int = WIDTH, seed: int = 0) -> DlibFace:
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        network = DlibFace(width=width)
        for name, parameter in network.named_parameters():
            torch.nn.init.normal_(parameter, 1.0 if name.endswith("gain") else 0.0, 0.3)
    return network.eval()


def dlib_bytes(network: DlibFace, *, layers: int | None = None) -> bytes:
    """What dlib writes, but for sizes and rates, which are any; of ``layers`` convolutions only."""
    empty = integer(2) + 4 * integer(0)
    rest = integer(3) + integer(3) + b"110" + empty + empty
    parts = [integer(1), integer(1), text("loss_metric_2"), integer(2) * 60, text("input_rgb_image_sized")]
    for layer in list(scaled_layers(network).values())[:layers]:
        parts += [text("con_4"), tensor(layer.conv.weight, layer.conv.bias), rest]
        parts += [text("affine_"), tensor(layer.gain, layer.shift), rest, text("relu_"), b"110" + empty]
    weight = network.head.weight
    sizes = (weight.shape[1], weight.shape[0], 1, 1)
    parts += [text("fc_2"), integer(weight.shape[0]), integer(weight.shape[1]), tensor(weight.T, sizes=sizes), rest]
    return b"".join(parts)


def write_dlib(path: Path, network: DlibFace | None = None, **changes: int) -> Path:
    path.write_bytes(dlib_bytes(network or random_network(), **changes))
    return path
