"""Who compares two faces: descriptors of T, of the judge, and of readers that are not learned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from taskgan.judges.faces.pixels import unit_distance
from taskgan.judges.readers import Reader, reader_description
from taskgan.judges.slices import middle_slices, read_volumes

Array = NDArray[np.float32]
Floats = NDArray[np.float64]


class DescriptorReader(Protocol):
    """What tells faces apart without having been taught on the cohort, such as local binary patterns."""

    def descriptor(self, image: Array) -> Array:
        """(F,) of a photo (X, Y), 0 to 1."""
        ...

    def distance(self, first: Array, second: Array) -> Floats:
        """(N,) of descriptors (N, F) each; small is alike."""
        ...

    def description(self) -> dict[str, Any]:
        """What it is, for the record; with a ``checksum`` of all that its descriptors depend on, they are kept."""
        ...


@dataclass(frozen=True)
class ReaderImage:
    """One image as it is shown to readers.

    Attributes:
        photo: (X, Y), 0 to 1; None where the cohort's images are no photos.
        slices: (S, H, W) in network units.
    """

    photo: Array | None = field(repr=False)
    slices: Array = field(repr=False)


@dataclass(frozen=True)
class NetworkVerifier:
    """A network that gives descriptors: unit vectors of its middle slices, their mean brought to length one again."""

    reader: Reader
    slices: int

    def describe(self, images: Sequence[ReaderImage]) -> Array:
        """Descriptors (N, F); slices of one size are read together."""
        volumes = [middle_slices(image.slices, self.slices) for image in images]
        outputs = read_volumes(self.reader.read, volumes)
        descriptors = np.stack([one.mean(axis=0) for one in outputs]).astype(np.float64)
        length = np.linalg.norm(descriptors, axis=1, keepdims=True)
        unit = np.divide(descriptors, length, out=np.zeros_like(descriptors), where=length > 0)
        return np.asarray(unit, dtype=np.float32)

    def distance(self, first: Array, second: Array) -> Floats:
        """Euclidean distance of unit descriptors, 0 to 2."""
        return unit_distance(first, second)

    def description(self) -> dict[str, Any]:
        """Of the network; the figures of its training are told elsewhere."""
        card = reader_description(self.reader)
        fields: dict[str, Any] = {k: card[k] for k in ("network", "seed", "folder", "checksum") if k in card}
        return {"learned": True, **fields, "distance": "Euclidean distance of unit descriptors"}

    @property
    def store(self) -> Path | None:
        """The recogniser's folder."""
        folder = getattr(self.reader, "folder", None)
        return folder if isinstance(folder, Path) else None


@dataclass(frozen=True)
class PhotoVerifier:
    """A reader of photos, see :class:`DescriptorReader`."""

    reader: DescriptorReader
    store: ClassVar[None] = None  # it is kept nowhere

    def describe(self, images: Sequence[ReaderImage]) -> Array:
        """Descriptors (N, F)."""
        photos = [image.photo for image in images if image.photo is not None]
        if len(photos) < len(images):
            raise ValueError("a reader of photos was shown a volume")
        return np.stack([self.reader.descriptor(photo) for photo in photos]).astype(np.float32)

    def distance(self, first: Array, second: Array) -> Floats:
        """The reader's own."""
        return self.reader.distance(first, second)

    def description(self) -> dict[str, Any]:
        """The reader's own."""
        return {"learned": False, **self.reader.description()}


Verifier = NetworkVerifier | PhotoVerifier
"""A reader as the verification asks it: many images at once."""


def verifiers(
    readers: Mapping[str, Reader], plain: Mapping[str, DescriptorReader], *, slices: int
) -> dict[str, Verifier]:
    """Everybody who compares faces: networks first (which read ``slices`` middle slices), then those not learned."""
    networks: dict[str, Verifier] = {name: NetworkVerifier(reader, slices) for name, reader in readers.items()}
    return {**networks, **{name: PhotoVerifier(one) for name, one in plain.items() if name not in networks}}
