"""Descriptors of a cohort's own images, kept beside the reader: the next method is compared with the same ones."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.description import fingerprint
from taskgan.cohort.pairs import Pair, Pairs
from taskgan.core.files import atomic, value_digest
from taskgan.core.tensors import load_arrays
from taskgan.evaluate.verification.readers import Verifier
from taskgan.recipe import Data

Array = NDArray[np.float32]

# Raised when descriptors are made in another way, so that those made before are not taken for new ones.
_GENERATION = 1


def descriptors_path(
    name: str, reader: Verifier, rows: Sequence[Pair], image: str, data: Data, *, slices: int, folder: Path
) -> Path | None:
    """Where a reader's descriptors of these images belong; None for a reader that has no checksum.

    The name holds a digest of the reader's checksum, of the rows with their files, and of what else decides what the
    reader sees.

    Args:
        name: Of the reader.
        reader: Kept in a folder of its own, or not.
        rows: Whose images they are, in this order.
        image: ``clean`` or ``input``.
        data: Intensity transform.
        slices: How many middle slices it reads.
        folder: Where descriptors of readers go that have no folder.
    """
    checksum = reader.description().get("checksum")
    if not checksum or not rows:
        return None
    mark = value_digest(
        {
            "generation": _GENERATION,
            "reader": checksum,
            "rows": fingerprint(Pairs(folder, tuple(rows))),
            "image": image,
            "intensity": data.intensity.model_dump(mode="json"),
            "slices": slices,
        }
    )
    if reader.store is not None:
        return reader.store / f"descriptors-{mark}.npz"
    return folder / f"{name}-{mark}.npz"


def load_descriptors(place: Path | None, rows: Sequence[Pair]) -> Array | None:
    """Descriptors (N, F) of these rows; None where there are none, or the file is damaged or of other rows."""
    if place is None or not place.is_file():
        return None
    try:
        held = load_arrays(place)
        cases, descriptors = [str(case) for case in held["cases"]], np.asarray(held["descriptors"])
    except Exception:  # zip, zlib and numpy each have their own
        return None
    if descriptors.ndim != 2 or descriptors.dtype != np.float32 or not np.isfinite(descriptors).all():
        return None
    return descriptors if cases == [row.case for row in rows] and len(descriptors) == len(cases) else None


def save_descriptors(place: Path | None, rows: Sequence[Pair], descriptors: Array) -> None:
    """Put them there; a folder that may not be written to costs only that they are read again."""
    if place is None:
        return
    try:
        with atomic(place, durable=False) as partial:
            np.savez(
                partial,
                allow_pickle=False,
                cases=np.array([row.case for row in rows]),
                descriptors=descriptors,
            )
    except OSError:
        return
