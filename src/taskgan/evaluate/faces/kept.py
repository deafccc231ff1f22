"""Spaces of faces on disk: one file each, without pickle, whole or absent."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from taskgan.core.files import atomic
from taskgan.core.tensors import load_arrays
from taskgan.evaluate.faces.whitening import Whitening

FILE = "space.npz"


def save_space(folder: Path, shape: tuple[int, int], space: Whitening, metadata: Mapping[str, Any]) -> None:
    """Write a space and what belongs to it to ``<folder>/space.npz``.

    Raises:
        OSError: If it cannot be written.
    """
    header = json.dumps({"shape": shape, "power": space.power, "about": dict(metadata)})
    with atomic(folder / FILE) as partial:
        np.savez(
            partial, mean=space.mean, axes=space.axes, deviations=space.deviations, about=np.array(header)
        )


def load_space(folder: Path) -> tuple[tuple[int, int], Whitening, dict[str, Any]] | None:
    """What :func:`save_space` wrote; None where there is nothing or it is damaged, which is to be made again."""
    try:
        file = load_arrays(folder / FILE)
        mean, axes, deviations = (
            np.asarray(file[name], dtype=np.float32) for name in ("mean", "axes", "deviations")
        )
        header = json.loads(str(file["about"]))
        height, width = header["shape"]
        space = Whitening(mean, axes, deviations, float(header["power"]))
        metadata = dict(header["about"])
    except Exception:  # zip, zlib, numpy and json each have their own
        return None
    whole = mean.ndim == deviations.ndim == 1 and axes.shape == (len(deviations), len(mean)) and len(axes) > 0
    finite = all(np.isfinite(part).all() for part in (mean, axes, deviations))
    return ((int(height), int(width)), space, metadata) if whole and finite else None
