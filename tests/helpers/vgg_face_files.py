"""Writers of the two formats that VGG-Face was released in, for tests: random weights in small files."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.io import savemat

from taskgan.networks.photos import VGG_MEAN, layer_shapes

Array = NDArray[np.float32]
WIDTH = 2


def random_layers(width: int = WIDTH, seed: int = 0) -> dict[str, tuple[Array, Array]]:
    """Weights (as the network's parameters) and biases by name."""
    rng = np.random.default_rng(seed)
    return {
        name: (
            rng.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape).astype(np.float32),
            rng.normal(0, 0.1, shape[0]).astype(np.float32),
        )
        for name, shape in layer_shapes(width).items()
    }


def write_pth(path: Path, layers: dict[str, tuple[Array, Array]], *, legacy: bool = True) -> Path:
    """The released file is of 2018: the format before zip."""
    state: dict[str, torch.Tensor] = {}
    for name, (weight, bias) in layers.items():
        state[f"{name}.weight"], state[f"{name}.bias"] = torch.from_numpy(weight), torch.from_numpy(bias)
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    return path


def write_mat(
    path: Path, layers: dict[str, tuple[Array, Array]], *, mean: Any = VGG_MEAN, old: bool = False, in_net: bool = False
) -> Path:
    """A MatConvNet simple network; fully connected layers are convolutions of 7×7 and 1×1 there."""
    cells = []
    for name, (weight, bias) in layers.items():
        four = weight if weight.ndim == 4 else weight.reshape(len(weight), -1, *((7, 7) if name == "fc6" else (1, 1)))
        filters, biases = four.transpose(2, 3, 1, 0), bias[:, None]
        layer: dict[str, Any] = {"name": name, "type": "conv", "stride": 1.0, "pad": 1.0}
        if old:
            layer |= {"filters": filters, "biases": biases}
        else:
            pair = np.empty((1, 2), dtype=object)
            pair[0, 0], pair[0, 1] = filters, biases
            layer["weights"] = pair
        cells += [layer, {"name": f"relu{name.removeprefix('conv')}", "type": "relu"}]
    row = np.empty((1, len(cells)), dtype=object)
    row[0] = cells
    net: dict[str, Any] = {"layers": row}
    if mean is not None:
        net["meta"] = {"normalization": {"averageImage": np.asarray(mean), "imageSize": np.array([224.0, 224, 3])}}
    savemat(path, {"net": net} if in_net else net, do_compression=False)
    return path
