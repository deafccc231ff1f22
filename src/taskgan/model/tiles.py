"""Large slices in overlapping tiles, joined without seams."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.slices import Case, to_slices, to_volume
from taskgan.model.restorer import RestoredVolume, Restorer

Array = NDArray[np.float32]

WHOLE = 1024 * 1024
"""Pixels up to which a slice is restored as a whole."""
TILE = 512
OVERLAP = 128


@dataclass(frozen=True)
class Tiles:
    """Tiles of one size that cover a slice (H, W), neighbours sharing at least ``overlap`` pixels.

    Attributes:
        shape: (H, W).
        tile: (h, w), at most the slice's.
        corners: Upper left of each tile.
        overlap: What was asked for, over which weights fall.
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
            edge: Of a tile, more than the overlap.
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
    restorer: Restorer, case: Case, *, samples: int = 0, seed: int = 0, condition: str = ""
) -> RestoredVolume:
    """:meth:`Restorer.restore_inputs`, in tiles where a case is one slice of more than :data:`WHOLE` pixels.

    A deep generator sees all of its image, so that tiles are an approximation. A projection is of the whole image,
    after tiles were joined. Of samples, every tile has its own draws, and the standard deviation where tiles overlap
    is the weighted mean of theirs, before a projection.
    """
    _, _, height, width = case.inputs.shape
    slices = len(case.inputs) == restorer.data.colours and not restorer.data.neighbours and restorer.data.patch is None
    if not slices or height * width <= WHOLE:
        return restorer.restore_inputs(case.inputs, case.intensity, samples=samples, seed=seed, condition=condition)
    tiles = Tiles.cover((height, width))
    return restore_in_tiles(restorer, case, tiles, samples=samples, seed=seed, condition=condition)


def restore_in_tiles(
    restorer: Restorer, case: Case, tiles: Tiles, *, samples: int = 0, seed: int = 0, condition: str = ""
) -> RestoredVolume:
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
