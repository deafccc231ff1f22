"""Volumes in overlapping blocks, joined without seams."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from taskgan.cohort.conditions import with_condition_planes
from taskgan.cohort.slices import with_neighbours
from taskgan.networks.volume_unet import VolumeUNet

Array = NDArray[np.float32]
Sizes = tuple[int, int, int]

WHOLE = 2**23
"""Voxels up to which a volume is restored as a whole: a map of 12 channels is then 400 MB."""
BLOCK: Sizes = (96, 256, 256)
"""Edges of a block (slices, rows, columns) of larger ones."""
_BLEND = 8  # voxels over which one block gives way to the next, beyond what either sees wrong


def restore_blocks(
    network: nn.Module, inputs: Array, device: torch.device, run: Callable[[torch.Tensor], torch.Tensor] | None = None
) -> Array:
    """A volume by a generator in evaluation, in blocks where it is larger than :data:`WHOLE`.

    Args:
        network: A :class:`VolumeUNet`; of another module, whose reach nobody knows, the volume stays whole.
        inputs: (C, D, H, W) float32, network units.
        device: The network's.
        run: What computes it in the network's place (:mod:`taskgan.model.engines`).

    Returns:
        (D, H, W) float32, network units.
    """

    def _restored(block: Array) -> Array:
        images = torch.from_numpy(np.ascontiguousarray(block))[None].to(device)
        with torch.inference_mode(), torch.backends.cudnn.flags(True, deterministic=True, allow_tf32=False):
            return np.asarray((run or network)(images)[0, 0].float().cpu().numpy())

    if not isinstance(network, VolumeUNet) or inputs[0].size <= WHOLE:
        return _restored(inputs)
    return in_blocks(_restored, inputs, edges=BLOCK, reach=network.reach, stride=network.stride)


def in_blocks(apply: Callable[[Array], Array], inputs: Array, *, edges: Sizes, reach: Sizes, stride: Sizes) -> Array:
    """What ``apply`` makes of a volume, block by block.

    Neighbours overlap by twice the reach and a little more. What a block gives within the reach of a face inside the
    volume, where it misses input, counts nothing; over the little more it gives way to its neighbour, whose values
    there are the same up to rounding. Blocks start at multiples of the stride, so that voxels meet in the network as
    they do in the whole volume.

    Args:
        apply: (C, d, h, w) to (d, h, w).
        inputs: (C, D, H, W).
        edges: Of a block (slices, rows, columns); larger where the overlap leaves no room.
        reach: How far ``apply`` looks.
        stride: Of its innermost map.

    Returns:
        (D, H, W) float32.
    """
    axes = [_spans(*sizes) for sizes in zip(inputs.shape[1:], edges, reach, stride, strict=True)]
    joined = np.zeros(inputs.shape[1:], np.float32)
    for (z, in_z), (y, in_y), (x, in_x) in itertools.product(*axes):
        weight = in_z[:, None, None] * in_y[:, None] * in_x
        joined[z, y, x] += weight * apply(inputs[:, z, y, x])
    return joined


def _spans(length: int, edge: int, reach: int, stride: int) -> list[tuple[slice, Array]]:
    """Where blocks lie along an axis, and what their voxels count: one together everywhere."""
    step = max(edge - 2 * reach, 2 * _BLEND) - _BLEND  # room for two transitions, so that three blocks never meet
    step = -(-step // stride) * stride
    edge = step + 2 * reach + _BLEND
    starts = range(0, max(length - edge, 0) + step, step) if length > edge else range(1)
    spans = []
    for start in starts:
        stop = min(start + edge, length)
        place = np.arange(stop - start) + 0.5
        left = (place - reach) / _BLEND if start else np.ones_like(place)
        right = (stop - start - place - reach) / _BLEND if stop < length else np.ones_like(place)
        spans.append((slice(start, stop), np.clip(np.minimum(left, right), 0, 1).astype(np.float32)))
        if stop == length:
            break
    return spans


@dataclass(frozen=True)
class SliceStack:
    """The slices of a case (S, I, H, W), of which the last ``context`` channels are smoothed copies, and the
    condition (K,) that is wanted."""

    inputs: Array
    neighbours: int
    context: int
    code: Array

    def channels(self, index: int) -> Array:
        """What the generator sees of one slice."""
        slices = with_neighbours(self.inputs, index, self.neighbours, self.context)
        return with_condition_planes(slices, self.code)

    def volume(self) -> Array:
        """What a generator of volumes sees (C, S, H, W)."""
        return with_condition_planes(self.inputs.swapaxes(0, 1), self.code)

    def keep_empty(self, restored: Array) -> Array:
        """Restored slices (S, H, W), of colours (S · 3, H, W), zero where all inputs of a slice are: nothing was
        measured there."""
        measured = self.inputs[:, : self.inputs.shape[1] - self.context]  # copies of neighbours are not
        filled = np.asarray(measured.any(axis=(1, 2, 3)))
        filled = np.repeat(filled, len(restored) // len(filled))  # colours of one slice
        return np.where(filled[:, None, None], restored, np.float32(0))


def as_volume(image: NDArray[Any] | torch.Tensor) -> Array:
    """(X, Y, Z) or (X, Y) to (X, Y, Z) float32 on the CPU."""
    values = image.detach().cpu().float().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
    return np.asarray(values.reshape(*values.shape[:2], -1), dtype=np.float32)


def slice_generator(seed: int, index: int, number: int) -> torch.Generator:
    """Where the draws of a sample of a slice come from: the seed and their place alone."""
    state = np.random.SeedSequence([seed, index, number]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0] >> 1))
