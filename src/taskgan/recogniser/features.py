"""Where a recogniser puts an image: the space in which the geometry of the mapping is measured."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

_BATCH = 64


def slice_features(network: nn.Module, slices: NDArray[np.float32]) -> NDArray[np.float64]:
    """Features of the last stage, averaged over each slice.

    An image is where the mean of its slices is: not their concatenation, because heads differ in height and in where
    the middle slice falls: by position, half a slice of shift would count as a difference between subjects.

    Args:
        network: ``forward(x (B, 1, H, W)) -> (output, features)``, features finest first.
        slices: (S, H, W), network units.

    Returns:
        (S, F), as many as the last stage has channels. Deterministic; the network's mode is put back.

    Raises:
        ValueError: If the slices have another number of axes or there are none.
    """
    if slices.ndim != 3 or not len(slices):
        raise ValueError(f"expected slices (S, H, W) with at least one, got {slices.shape}")
    device = next(network.parameters()).device
    trained = network.training
    network.eval()
    try:
        with torch.no_grad():
            features = []
            for k in range(0, len(slices), _BATCH):
                part = np.ascontiguousarray(slices[k : k + _BATCH, None], dtype=np.float32)
                last = network(torch.from_numpy(part).to(device))[1][-1]
                features.append(last.double().mean(dim=(2, 3)).cpu().numpy())
    finally:
        network.train(trained)
    return np.concatenate(features)
