"""``features.npz``: where the judge puts the input, the clean and the restored image of every case."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.pairs import Pair
from taskgan.cohort.slices import to_slices
from taskgan.core.errors import UserError
from taskgan.core.files import atomic
from taskgan.core.parse import error_text
from taskgan.core.tensors import load_arrays
from taskgan.judges.readers import Reader
from taskgan.judges.volumes import middle_slices, read_volumes

Array = NDArray[np.float32]
FILE = "features.npz"
JUDGE = "judge"
IMAGES = ("input", "clean", "restored")


@dataclass(frozen=True)
class Features:
    """What ``features.npz`` holds.

    Attributes:
        cases: (N,) names, in the order of the evaluation.
        images: (N, F) of each of ``input``, ``clean`` and ``restored``; without ``input`` where degraded images are
            not comparable.
    """

    cases: tuple[str, ...]
    images: dict[str, Array]


class FeatureCollector:
    """Collects the judge's features of the images of an evaluation.

    Args:
        features: Gives (S, F) for slices (S, H, W) in network units.
        slices: How many middle slices the judge looks at.
    """

    def __init__(self, features: Callable[[Array], NDArray[np.floating]], slices: int) -> None:
        self._features, self._slices = features, slices
        self._by_image: dict[str, dict[str, Array]] = {}

    @classmethod
    def from_readers(cls, readers: Mapping[str, Reader], slices: int) -> "FeatureCollector | None":
        """For a set of readers; None where there is no judge, or it is one that does not tell its features."""
        features = getattr(readers.get(JUDGE), "features", None)
        return cls(features, slices) if callable(features) else None

    def add(self, images: Mapping[tuple[str, str], Array]) -> None:
        """Collect features of images (X, Y, Z) by case and name: ``input``, ``clean`` or ``restored``."""
        volumes = [middle_slices(to_slices(volume), self._slices) for volume in images.values()]
        for (case, image), features in zip(images, read_volumes(self._features, volumes), strict=True):
            self._by_image.setdefault(image, {})[case] = np.asarray(features.mean(axis=0), dtype=np.float32)

    def of(self, pairs: Sequence[Pair]) -> dict[str, dict[str, list[float]]]:
        """What was collected of some cases, by image and case."""
        cases = [pair.case for pair in pairs]
        return {
            image: {case: by_case[case].tolist() for case in cases if case in by_case}
            for image, by_case in self._by_image.items()
        }

    def put(self, features: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
        """Take what :meth:`of` gave."""
        for image, by_case in features.items():
            own = {case: np.asarray(values, dtype=np.float32) for case, values in by_case.items()}
            self._by_image.setdefault(image, {}).update(own)

    def write(self, path: Path) -> dict[str, Any]:
        """Write the file, atomically, and tell for the record what is in it."""
        cases = list(self._by_image["clean"])
        arrays = {name: np.stack([by_case[c] for c in cases]) for name, by_case in self._by_image.items()}
        with atomic(path) as partial:
            np.savez(partial, allow_pickle=False, cases=np.array(cases), **arrays)
        return {
            "file": path.name,
            "reader": JUDGE,
            "count": int(arrays["clean"].shape[1]),
            "pooling": f"last stage, mean over the slice and over the {self._slices} middle slices",
        }


def read_features(folder: Path) -> Features | None:
    """Read an evaluation folder's features; None where it has none.

    Raises:
        UserError: If the file is not what :meth:`FeatureCollector.write` writes.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        held = load_arrays(path)
        cases = tuple(str(c) for c in held["cases"])
        images = {image: np.asarray(held[image], dtype=np.float32) for image in IMAGES if image in held}
    except Exception as error:  # zip, zlib and numpy each have their own
        raise UserError(f"{path} cannot be read as the judge's features: {error_text(error)}") from None
    if not images.keys() >= {"clean", "restored"}:
        raise UserError(f"{path} holds no features of clean and restored images")
    if not all(np.isfinite(values).all() for values in images.values()):
        raise UserError(f"{path} holds NaN or infinite features, expected finite ones")
    shapes = {values.shape for values in images.values()}
    whole = [len(shape) == 2 and shape[0] == len(cases) for shape in shapes]
    if whole != [True] or len(set(cases)) != len(cases):
        raise UserError(f"{path} holds arrays of shapes {sorted(shapes)} for {len(cases)} cases")
    return Features(cases, images)
