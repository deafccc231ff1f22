"""Photos as they are shown: upright, white is 1, in colour where all images of a case are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.images import read_volume
from taskgan.cohort.photos import LUMINANCE, is_photo_name, read_photo
from taskgan.core.errors import UserError
from taskgan.report.load import Comparison

Array = NDArray[np.float32]


def photo_paths(comparison: Comparison, case: str) -> dict[str, Path]:
    """The images of a case in the order of the figures: input, methods (the lowest seed of each), clean."""
    rows = comparison.frame[comparison.frame["case"] == case].sort_values("seed", kind="stable")
    order = (*comparison.references, *comparison.methods, "clean")
    return {m: Path(matches.iloc[0]["restored"]) for m in order if len(matches := rows[rows["method"] == m])}


def read_photos(paths: Mapping[str, Path]) -> dict[str, Array] | None:
    """Images (H, W), or (H, W, 3) where all are in colour, 0 to 1; None where one cannot be read."""
    try:
        pictures = {name: _read(path) for name, path in paths.items()}
    except UserError:
        return None
    if all(picture.ndim == 3 for picture in pictures.values()):
        return pictures
    return {name: luminance(picture) for name, picture in pictures.items()}


def luminance(picture: Array) -> Array:
    """Luminance (H, W) of a picture in grey or colour."""
    return picture if picture.ndim == 2 else np.asarray(picture @ LUMINANCE, dtype=np.float32)


def _read(path: Path) -> Array:
    if not is_photo_name(path):  # other tools may write the photo that they restored as NIfTI
        data = read_volume(path).data
        return np.ascontiguousarray(data[:, :, data.shape[2] // 2].T)
    pixels = np.swapaxes(read_photo(path).pixels, 0, 1)
    return np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def show_photo(axis: Any, picture: Array) -> None:
    """A picture without axes: black is 0, white 1."""
    axis.imshow(np.clip(picture, 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axis.set_axis_off()
