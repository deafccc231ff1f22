"""How large an image may be: its header is held against the file and against a limit before memory is taken."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

from taskgan.core.errors import UserError

MAX_VOXELS_VARIABLE = "TASKGAN_MAX_VOXELS"
MOST_DEFLATED = 1032
"""Zeros of which deflate makes a byte."""
_DEFAULT = 2**28  # a whole-body PET of 512×512×1024; a GiB as float32
_VOXELS_PER_PIXEL = 4  # a pixel of a photo takes as much memory as so many voxels


def max_voxels() -> int:
    """The limit: that of the environment, else 2²⁸.

    Raises:
        UserError: If the environment's is no whole number from 1.
    """
    text = os.environ.get(MAX_VOXELS_VARIABLE, "").strip()
    if not text:
        return _DEFAULT
    if not text.isdecimal() or len(text) > 18 or not int(text):
        raise UserError(f"{MAX_VOXELS_VARIABLE} is {text[:40]!r}, expected a whole number of voxels such as {_DEFAULT}")
    return int(text)


def check_voxels(path: Path, shape: Sequence[int], *, photo: bool = False) -> None:
    """Refuse an image by the size that its header says.

    Args:
        path: For the message.
        shape: Of the whole image; any number of axes.
        photo: Its shape is in pixels, of which a quarter is allowed.

    Raises:
        UserError: If an axis is not positive or it is larger than the limit.
    """
    limit, unit = (max_voxels() // _VOXELS_PER_PIXEL, "pixels") if photo else (max_voxels(), "voxels")
    count = math.prod(shape)
    if min(shape, default=0) < 1:
        raise UserError(f"{path} cannot be read: it has {'×'.join(map(str, shape)) or 'no'} {unit} by its header")
    if count > limit:
        raise UserError(
            f"{path} has {'×'.join(map(str, shape))} {unit} by its header, expected at most {limit}; set "
            f"{MAX_VOXELS_VARIABLE} to {count * (_VOXELS_PER_PIXEL if photo else 1)} or more if that is right"
        )
