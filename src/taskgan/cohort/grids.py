"""Images of a case must lie on the same grid; where files are, as seen from a folder."""

import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.pairs import Pair, Pairs
from taskgan.core.errors import UserError
from taskgan.images.orientation import slice_axes
from taskgan.images.photos import is_photo_name
from taskgan.images.volumes import Volume, read_shape, read_volume
from taskgan.recipe import Data


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
        raise UserError(f"{path} is on another grid than {pair.degraded}: the far corner is {off:.2f} mm away")


def relative_path(path: Path, folder: Path) -> str:
    """``path`` as seen from ``folder``, so that the two can move together."""
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def input_is_comparable(pairs: Pairs, data: Data) -> bool:
    """Whether the degraded image is another version of the clean one.

    It is not where a condition says which of several images is to be made of it, and not where one degraded image has
    several clean ones in the table: the multi-echo source of six MR contrasts is none of them, so that its PSNR
    against each would be a number without a meaning. Such cohorts have no rows ``input``.
    """
    if data.condition:
        return False
    clean: dict[Path, Path] = {}
    return all(pair.clean is None or clean.setdefault(pair.degraded, pair.clean) == pair.clean for pair in pairs)


def resolved_axes(data: Data, pairs: Pairs) -> Data:
    """The settings with the axes of slices, where these were left to the training images. ``pairs``: the first training
    row that can be read decides, or the first of all where none is for training.
    """
    if data.axes:
        return data
    for pair in pairs.split("train").rows or pairs.rows[:1]:
        if is_photo_name(pair.degraded):
            return data
        try:
            affine = read_shape(pair.degraded, series=pair.series("degraded"))[1]
            return data.model_copy(update={"axes": slice_axes(affine)})
        except UserError:  # the check of the cohort names it
            continue
    return data


Mask = NDArray[np.bool_]
_CACHE_SIZE = 16  # files: more than one subject's, and a few megabytes


class MaskCache:
    """Reads masks, and keeps those of the rows before: the contrasts of a subject share theirs."""

    def __init__(self) -> None:
        self._cache: OrderedDict[tuple[Path, str], tuple[Volume, Mask]] = OrderedDict()

    def read(self, pair: Pair, column: str, source: Volume) -> Mask | None:
        """Where a row's mask is above one half (X, Y, Z); None where the row names none.

        Args:
            column: Of ``pairs.csv``.

        Raises:
            UserError: If the mask cannot be read or is on another grid.
        """
        held = self._read(pair, column, source)
        return None if held is None else held[1]

    def values(self, pair: Pair, column: str, source: Volume) -> NDArray[np.float32] | None:
        """The values of an image (X, Y, Z) of a row, as :meth:`read` reads masks."""
        held = self._read(pair, column, source)
        return None if held is None else held[0].data

    def _read(self, pair: Pair, column: str, source: Volume) -> tuple[Volume, Mask] | None:
        path = pair.path(column)
        if path is None:
            return None
        key = path, source.axes
        if key not in self._cache:
            volume = read_volume(path, axes=source.axes)
            self._cache[key] = volume, np.asarray(volume.data > 0.5)
            if len(self._cache) > _CACHE_SIZE:
                self._cache.popitem(last=False)
        volume, mask = self._cache[key]
        check_same_grid(volume, source, path, pair)
        return volume, mask
