"""Images of a case must lie on the same grid; where files are, as seen from a folder."""

import os
from pathlib import Path

import numpy as np

from taskgan.cohort.images import Volume
from taskgan.cohort.pairs import Pair
from taskgan.core.errors import UserError


def check_same_grid(image: Volume, source: Volume, path: Path, pair: Pair) -> None:
    """Refuse an image whose shape or affine is not the case's (0.1 mm at the far corner is tolerated).

    Raises:
        UserError: It names the file and both grids.
    """
    if image.data.shape != source.data.shape:
        raise UserError(
            f"{path} has shape {'×'.join(map(str, image.data.shape))}, expected "
            f"{'×'.join(map(str, source.data.shape))} like {pair.degraded}"
        )
    corner = np.array([*source.data.shape, 1.0])
    off = float(np.linalg.norm((image.affine - source.affine) @ corner))
    if off > 0.1 or not np.allclose(image.affine, source.affine, atol=1e-2):
        raise UserError(
            f"{path} is on another grid than {pair.degraded}: the far corner is {off:.2f} mm away"
        )


def relative_path(path: Path, folder: Path) -> str:
    """``path`` as seen from ``folder``, so that the two can move together."""
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
