"""Volumes in overlapping blocks, large slices in overlapping tiles, joined without seams."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from taskgan.cohort.conditions import with_condition_planes
from taskgan.cohort.slices import Case, to_slices, to_volume, with_neighbours
from taskgan.networks.volume_unet import VolumeUNet

if TYPE_CHECKING:
    from taskgan.model.restorer import RestoredVolume, Restorer

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


WHOLE_SLICE = 1024 * 1024
"""Pixels up to which a slice is restored as a whole."""
TILE = 512
OVERLAP = 128


@dataclass(frozen=True)
class Tiles:
    """Tiles of one size that cover a slice (H, W), neighbours sharing at least ``overlap`` pixels.

    Attributes:
        shape: (H, W).
        tile: (h, w), at most the slice's.
    """

    shape: tuple[int, int]
    tile: tuple[int, int]
    corners: tuple[tuple[int, int], ...]
    overlap: int = OVERLAP

    @classmethod
    def cover(cls, shape: tuple[int, int], *, edge: int = TILE, overlap: int = OVERLAP) -> "Tiles":
        """Spread tiles evenly.

        Args:
            shape: (H, W).
            overlap: Least number of pixels that neighbours share.
        """
        if edge <= overlap:
            raise ValueError(f"tiles of {edge} cannot overlap by {overlap}")
        rows, columns = (_starts(length, edge, overlap) for length in shape)
        tile = min(edge, shape[0]), min(edge, shape[1])
        return cls(shape, tile, tuple((row, column) for row in rows for column in columns), overlap)

    def cut(self, channels: Array) -> Array:
        """(I, H, W) to (T, I, h, w)."""
        height, width = self.tile
        return np.stack([channels[:, y : y + height, x : x + width] for y, x in self.corners])

    def join(self, tiles: Array) -> Array:
        """(T, h, w) to (H, W). Weights fall to the edge of a tile and add up to one everywhere.

        Tiles that agree where they overlap are joined exactly, up to rounding.
        """
        height, width = self.tile
        weight = np.outer(_ramp(height, self.overlap), _ramp(width, self.overlap))
        total, weights = np.zeros(self.shape), np.zeros(self.shape)
        for (y, x), values in zip(self.corners, tiles, strict=True):
            total[y : y + height, x : x + width] += weight * values
            weights[y : y + height, x : x + width] += weight
        return np.asarray(total / weights, dtype=np.float32)


def restore_case(
    restorer: "Restorer", case: Case, *, samples: int = 0, seed: int = 0, condition: str = ""
) -> "RestoredVolume":
    """:meth:`Restorer.restore_inputs`, in tiles where a case is one slice of more than :data:`WHOLE_SLICE` pixels.

    A deep generator sees all of its image, so that tiles are an approximation. A projection is of the whole image,
    after tiles were joined. Of samples, every tile has its own draws, and the standard deviation where tiles overlap
    is the weighted mean of theirs, before a projection.
    """
    _, _, height, width = case.inputs.shape
    slices = len(case.inputs) == restorer.data.colours and not restorer.data.neighbours and restorer.data.patch is None
    if not slices or height * width <= WHOLE_SLICE:
        return restorer.restore_inputs(case.inputs, case.intensity, samples=samples, seed=seed, condition=condition)
    tiles = Tiles.cover((height, width))
    return restore_in_tiles(restorer, case, tiles, samples=samples, seed=seed, condition=condition)


def restore_in_tiles(
    restorer: "Restorer", case: Case, tiles: Tiles, *, samples: int = 0, seed: int = 0, condition: str = ""
) -> "RestoredVolume":
    """The one slice of a case, or its colours, in tiles; the tiles are the slices of what the restorer sees."""
    colours, (_, channels, *shape) = len(case.inputs), case.inputs.shape
    parts = tiles.cut(case.inputs.reshape(-1, *shape)).reshape(-1, channels, *tiles.tile)
    with restorer.unprojected():
        restored = restorer.restore_inputs(parts, case.intensity, samples=samples, seed=seed, condition=condition)

    def _joined(image: Array) -> Array:
        """Tiles (h, w, T · colours) to (colours, H, W)."""
        by_tile = to_slices(image).reshape(-1, colours, *tiles.tile)
        return np.stack([tiles.join(by_tile[:, k]) for k in range(colours)])

    sd = None if restored.sd is None else to_volume(_joined(restored.sd))
    joined = _joined(restored.image)
    if restorer.projects:
        joined = case.intensity.invert(restorer.project(case.intensity.apply(joined), case.inputs))
    return replace(restored, image=to_volume(joined), sd=sd)


def _starts(length: int, edge: int, overlap: int) -> list[int]:
    if length <= edge:
        return [0]
    count = -(-(length - overlap) // (edge - overlap))
    return [int(start) for start in np.linspace(0, length - edge, count).round()]


def _ramp(length: int, overlap: int) -> NDArray[np.float64]:
    """Up over the overlap and down again; never zero."""
    place = np.arange(length) + 0.5
    return np.asarray(np.minimum(np.minimum(place, length - place) / max(overlap, 1), 1.0))
