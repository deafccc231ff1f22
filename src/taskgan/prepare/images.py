"""One image of a user's, NIfTI or DICOM, in the axis order nearest to RAS."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from taskgan.cohort.slices import AFFINE_MM
from taskgan.core.errors import UserError
from taskgan.images.dicom.series import SeriesFilter, read_series
from taskgan.images.orientation import nearest_ras
from taskgan.images.volumes import SUFFIXES, read_sidecar, read_volume

Array = NDArray[np.float32]

# What a sidecar keeps of the user's own: the acquisition, and nothing of who, where or when.
_SIDECAR_KEYS = (
    *("Manufacturer", "ManufacturersModelName", "MagneticFieldStrength", "MRAcquisitionType", "ScanningSequence"),
    *("SequenceVariant", "RepetitionTime", "RepetitionTimeExcitation", "EchoTime", "InversionTime", "FlipAngle"),
    *("SaturationFlipAngle", "SliceThickness"),
)


@dataclass(frozen=True)
class Image:
    """A three-dimensional image in world coordinates.

    Attributes:
        data: (X, Y, Z), float32 (or complex64 where parts were joined), axes nearest to right, anterior,
            superior: flipped and swapped, not interpolated.
        affine: Voxel to world (RAS, mm).
        reference: DICOM frame of reference; empty where the file has none.
        metadata: Fields of a BIDS sidecar that describe the acquisition.
        notes: What the reader did, or did not use, of which a user should know.
    """

    data: NDArray[Any]
    affine: NDArray[np.float64]
    reference: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_image(path: Path, pick: SeriesFilter | None = None) -> Image:
    """Read a NIfTI file, a multi-frame DICOM file or a folder of DICOM files, of which ``pick`` says which image.

    Raises:
        UserError: If it does not exist, cannot be read, is not 3D or holds NaN.
    """
    if path.name.endswith(SUFFIXES):
        volume = read_volume(path)
        side = read_sidecar(path)
        metadata = {key: side[key] for key in _SIDECAR_KEYS if key in side}
        data, affine, reference, notes = volume.data, volume.affine, "", volume.notes
    else:
        data, affine, series = read_series(path, pick or SeriesFilter())
        metadata, reference, notes = dict(series.first.metadata), series.first.reference, series.notes
    if abs(float(np.linalg.det(affine[:3, :3]))) < 1e-9:
        raise UserError(f"{path} has a singular affine, expected three directions with a length")
    data, affine = nearest_ras(data, affine)
    return Image(data, affine, reference, metadata, notes)


Affine = NDArray[np.float64]
Shape = tuple[int, ...]


def grid_difference(shape: Shape, affine: Affine, other_shape: Shape, other_affine: Affine) -> str:
    """How a grid differs from the one that it should agree with, as the middle of a sentence; empty where they agree.

    Shapes are (X, Y, Z); affines, voxel to world in mm, may differ by 0.001 mm, what a quaternion can cost.
    """
    if shape != other_shape:
        return f"has shape {format_shape(shape)}, expected {format_shape(other_shape)}"
    apart = float(np.abs(affine - other_affine).max())
    if apart > AFFINE_MM:
        return f"has another affine (they differ by up to {apart:.3g} mm), expected the same"
    return ""


def format_shape(shape: Shape) -> str:
    """``288×288×22``."""
    return "×".join(map(str, shape))


def describe_grid(shape: Shape, affine: Affine) -> str:
    """``288×288×22 at 0.8×0.8×6 mm``."""
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    return f"{format_shape(shape)} at {'×'.join(f'{edge:.3g}' for edge in edges)} mm"


def resample(data: Array, affine: Affine, shape: Shape, onto: Affine, *, nearest: bool = False) -> tuple[Array, float]:
    """Bring an image (X, Y, Z) onto another grid of the same world; affines are voxel to world, mm.

    Linear interpolation in three dimensions (``nearest``: the nearest voxel, for masks) without a low-pass filter:
    values are not smoothed beyond it, and detail finer than the new grid is not taken out first. What lies more than
    half a voxel outside the image is 0; within that border the nearest voxel counts, so that grids that differ by
    rounding keep their edges.

    Returns:
        The values on the new grid, and the share of its voxels that the image covers.
    """
    to_old = np.linalg.inv(affine) @ onto
    matrix, offset = to_old[:3, :3], to_old[:3, 3]
    order: Literal[0, 1] = 0 if nearest else 1
    values: Array = ndimage.affine_transform(
        data, matrix, offset, output_shape=shape, output=np.dtype(np.float32), order=order, mode="nearest"
    )
    inside = np.ones(shape, dtype=bool)
    index = np.meshgrid(*(np.arange(n, dtype=np.float64) for n in shape), indexing="ij", sparse=True)
    for axis, length in enumerate(data.shape):
        place = offset[axis] + sum(matrix[axis, k] * index[k] for k in range(3))
        inside &= (place >= -0.5 - 1e-6) & (place <= length - 0.5 + 1e-6)
    return np.asarray(np.where(inside, values, 0.0), dtype=np.float32), float(inside.mean())
