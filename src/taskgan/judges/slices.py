"""Which slices of a volume decide."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Array = NDArray[np.float32]


def middle_slices(slices: Array, middle: int = 40) -> Array:
    """The middle ``middle`` entries along the first axis (slices or their probabilities), or all if fewer."""
    start = max(0, (len(slices) - middle) // 2)
    return slices[start : start + middle]


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


Number = TypeVar("Number", bound=np.floating)
BATCH = 64
"""Photos that are read together."""


def read_volumes(
    read: Callable[[NDArray[np.float32]], NDArray[Number]], volumes: Sequence[NDArray[np.float32]]
) -> list[NDArray[Number]]:
    """Read several volumes; photos, volumes of one slice, of one size together: a call costs more than their reading.

    Args:
        read: Says something of each of the slices (S, H, W) by itself: (S, …).
        volumes: (S, H, W) each.

    Returns:
        What was said of each volume's slices, in order.
    """
    outputs: dict[int, NDArray[Number]] = {}
    for shape in dict.fromkeys(volume.shape for volume in volumes):
        alike = [k for k, volume in enumerate(volumes) if volume.shape == shape]
        together = BATCH if shape[0] == 1 else 1
        for start in range(0, len(alike), together):
            some = alike[start : start + together]
            values = read(np.concatenate([volumes[k] for k in some]))
            outputs |= dict(zip(some, np.split(values, len(some)), strict=True))
    return [outputs[k] for k in range(len(volumes))]
