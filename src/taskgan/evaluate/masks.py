"""Masks of a cohort's rows, each file read once for all rows that follow one another and name it."""

from collections import OrderedDict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.images import Volume, read_volume
from taskgan.cohort.pairs import Pair
from taskgan.evaluate.grids import check_same_grid

Mask = NDArray[np.bool_]
_CACHE_SIZE = 16  # files: more than one subject's, and a few megabytes


class MaskCache:
    """Reads masks, and keeps those of the rows before: the contrasts of a subject share theirs."""

    def __init__(self) -> None:
        self._cache: OrderedDict[Path, tuple[Volume, Mask]] = OrderedDict()

    def read(self, pair: Pair, column: str, source: Volume) -> Mask | None:
        """Where a row's mask is above one half (X, Y, Z); None where the row names none.

        Args:
            pair: The row.
            column: Of ``pairs.csv``.
            source: The row's image, whose grid the mask must have.

        Raises:
            UserError: If the mask cannot be read or is on another grid.
        """
        path = pair.path(column)
        if path is None:
            return None
        if path not in self._cache:
            volume = read_volume(path)
            self._cache[path] = volume, np.asarray(volume.data > 0.5)
            if len(self._cache) > _CACHE_SIZE:
                self._cache.popitem(last=False)
        volume, mask = self._cache[path]
        check_same_grid(volume, source, path, pair)
        return mask
