"""Pairs of images that are of one person or of two, and how far apart their descriptors are."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class ImagePairs:
    """What is compared.

    Attributes:
        same: (N,) whether a pair is of one person.
        people: (N, 2) numbers of the two people, from 0; equal where ``same``.
    """

    same: Flags = field(repr=False)
    people: NDArray[np.intp] = field(repr=False)

    @classmethod
    def from_people(cls, first: Sequence[Hashable], second: Sequence[Hashable]) -> "ImagePairs":
        """From the names of the people on the two images of each pair.

        Raises:
            ValueError: If their numbers differ, or all pairs are of one person each, or none is.
        """
        if len(first) != len(second):
            raise ValueError(f"got {len(first)} first and {len(second)} second images, expected pairs")
        numbers = {name: number for number, name in enumerate(dict.fromkeys([*first, *second]))}
        people = np.array(
            [[numbers[a], numbers[b]] for a, b in zip(first, second, strict=True)], dtype=np.intp
        )
        people = people.reshape(-1, 2)
        same = people[:, 0] == people[:, 1]
        if same.all() or not same.any():
            raise ValueError(
                f"{int(same.sum())} of {len(same)} pairs are of one person, expected some but not all"
            )
        return cls(same, people)

    def __len__(self) -> int:
        return len(self.same)

    @property
    def count(self) -> int:
        """How many people there are."""
        return len(np.unique(self.people))

    def distances(self, raw: ArrayLike) -> Floats:
        """Distances as (S, N), one row a training seed.

        Args:
            raw: (N,) or (S, N).

        Raises:
            ValueError: If they are not one for each pair, or not finite.
        """
        values = np.atleast_2d(np.asarray(raw, dtype=np.float64))
        if values.ndim != 2 or values.shape[1] != len(self):
            raise ValueError(f"got distances {np.shape(raw)} for {len(self)} pairs")
        if not np.isfinite(values).all():
            raise ValueError("a distance is NaN or infinite, expected descriptors of every image")
        return values
