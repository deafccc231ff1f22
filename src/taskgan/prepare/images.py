"""One image of a user's, NIfTI or DICOM, in the axis order nearest to RAS."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.images import SUFFIXES, read_sidecar, read_volume
from taskgan.core.errors import UserError
from taskgan.prepare.dicom.series import SeriesFilter, read_series

Array = NDArray[np.float32]

# What a sidecar keeps of the user's own: the acquisition, and nothing of who, where or when.
_SIDECAR_KEYS = (
    "Manufacturer",
    "ManufacturersModelName",
    "MagneticFieldStrength",
    "MRAcquisitionType",
    "ScanningSequence",
    "SequenceVariant",
    "RepetitionTime",
    "RepetitionTimeExcitation",
    "EchoTime",
    "InversionTime",
    "FlipAngle",
    "SaturationFlipAngle",
    "SliceThickness",
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
    """

    data: NDArray[Any]
    affine: NDArray[np.float64]
    reference: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


def read_image(path: Path, pick: SeriesFilter | None = None) -> Image:
    """Read a NIfTI file, a folder of DICOM files or a multi-frame DICOM file.

    Args:
        path: The file or folder.
        pick: Which image of a DICOM folder that holds several.

    Raises:
        UserError: If it does not exist, cannot be read, is not 3D or holds NaN.
    """
    if path.name.endswith(SUFFIXES):
        volume = read_volume(path)
        side = read_sidecar(path)
        metadata = {key: side[key] for key in _SIDECAR_KEYS if key in side}
        data, affine, reference = volume.data, volume.affine, ""
    else:
        data, affine, frame = read_series(path, pick or SeriesFilter())
        metadata, reference = dict(frame.metadata), frame.reference
    if abs(float(np.linalg.det(affine[:3, :3]))) < 1e-9:
        raise UserError(f"{path} has a singular affine, expected three directions with a length")
    data, affine = _canonical(data, affine)
    return Image(data, affine, reference, metadata)


def _canonical(data: Array, affine: NDArray[np.float64]) -> tuple[Array, NDArray[np.float64]]:
    """Swap and flip axes towards RAS."""
    turn = nib.orientations.io_orientation(affine)
    turned = np.ascontiguousarray(nib.orientations.apply_orientation(data, turn))
    return turned, np.asarray(affine @ nib.orientations.inv_ornt_aff(turn, data.shape))
