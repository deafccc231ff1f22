"""Axes of volumes: which way slices lie, and how a volume is brought into other axes and back.

Axes are named by where they point, as nibabel does: ``LAS`` runs to the left, to the front and to the head. A turn is
nibabel's (3, 2) array of swaps and flips; nothing is interpolated.
"""

from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

Affine = NDArray[np.float64]
Turn = NDArray[Any]
_THICK = 1.5  # times the edge in the plane: slices that were acquired as such


def slice_axes(affine: Affine) -> str:
    """The axes in which a volume is cut into slices: axial ones, or the acquired ones where these are thick.

    The directions are those of the file, which are swapped at most, e.g. ``RPS`` for a file in ``PSR``. The affine is
    voxel to world (4, 4), mm; empty where it has no three directions.
    """
    place = nib.orientations.io_orientation(affine) if np.isfinite(affine).all() else np.full((3, 2), np.nan)
    if np.isnan(place).any():
        return ""
    codes = nib.orientations.ornt2axcodes(place)
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    order = [0, 1, 2] if edges[2] > _THICK * max(edges[:2]) else [int(k) for k in np.argsort(place[:, 0])]
    return "".join(str(codes[k]) for k in order)


def turn_towards(affine: Affine, axes: str) -> Turn | None:
    """How a file's axes become others; None where they are these, or ``axes`` is empty."""
    if not axes or not np.isfinite(affine).all():
        return None
    place = nib.orientations.io_orientation(affine)
    if np.isnan(place).any():
        return None
    turn = nib.orientations.ornt_transform(place, nib.orientations.axcodes2ornt(tuple(axes)))
    return None if np.array_equal(turn, [[0, 1], [1, 1], [2, 1]]) else np.asarray(turn)


def turned(data: NDArray[Any], turn: Turn) -> NDArray[Any]:
    """(X, Y, Z) in the other axes, contiguous."""
    return np.ascontiguousarray(nib.orientations.apply_orientation(data, turn))


def turned_shape(shape: tuple[int, ...], turn: Turn) -> tuple[int, ...]:
    """The first three lengths in the other axes."""
    return tuple(shape[k] for k in np.argsort(turn[:, 0]))


def turned_affine(affine: Affine, shape: tuple[int, ...], turn: Turn) -> Affine:
    """The affine of :func:`turned`; ``shape`` is of the file."""
    return np.asarray(affine @ nib.orientations.inv_ornt_aff(turn, shape))


def _inverse(turn: Turn) -> Turn:
    order = np.argsort(turn[:, 0])
    return np.stack([order, turn[order, 1]], axis=1)


def turned_back(data: NDArray[Any], turn: Turn) -> NDArray[Any]:
    """What :func:`turned` was given."""
    return turned(data, _inverse(turn))


def affine_back(affine: Affine, shape: tuple[int, ...], turn: Turn) -> Affine:
    """What :func:`turned_affine` was given; ``shape`` is of the turned image."""
    return turned_affine(affine, shape, _inverse(turn))


def from_ras(data: NDArray[Any], affine: NDArray[np.float64]) -> NDArray[Any]:
    """Undo :func:`nearest_ras`; the affine is of the image as it was before."""
    return turned_back(data, nib.orientations.io_orientation(affine))


def nearest_ras(data: NDArray[Any], affine: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Flip and swap axes of (X, Y, Z) towards right, anterior, superior; nothing is interpolated."""
    turn = nib.orientations.io_orientation(affine)
    return turned(data, turn), turned_affine(affine, data.shape, turn)
