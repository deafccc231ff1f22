"""Who compares two faces, and the descriptors of the images that are on pairs, each image read once.

Readers are T, the judge, and those that are not learned.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.folder import fingerprint
from taskgan.cohort.pairs import Pair, Pairs
from taskgan.cohort.slices import to_slices
from taskgan.core.console import progress
from taskgan.core.files import atomic, value_digest
from taskgan.core.tensors import load_arrays
from taskgan.images.intensity import fit_intensity
from taskgan.images.photos import is_photo_name
from taskgan.images.volumes import read_volume
from taskgan.judges.face_features import unit_distance
from taskgan.judges.faces import PhotoReader
from taskgan.judges.readers import Reader, reader_description
from taskgan.judges.volumes import BATCH, middle_slices, read_volumes
from taskgan.recipe import Data

Array = NDArray[np.float32]
Floats = NDArray[np.float64]


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
    """A reader of photos that was taught no identity."""

    reader: PhotoReader
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


def verifiers(readers: Mapping[str, Reader], plain: Mapping[str, PhotoReader], *, slices: int) -> dict[str, Verifier]:
    """Everybody who compares faces: networks first (which read ``slices`` middle slices), then those not learned."""
    networks: dict[str, Verifier] = {name: NetworkVerifier(reader, slices) for name, reader in readers.items()}
    return {**networks, **{name: PhotoVerifier(one) for name, one in plain.items() if name not in networks}}


# Raised when descriptors are made in another way, so that those made before are not taken for new ones.
_GENERATION = 1


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


@dataclass(frozen=True)
class Descriptors:
    """What a reader makes of some images: each case's row in the array of values (N, F)."""

    places: Mapping[str, int] = field(repr=False)
    values: Array = field(repr=False)

    def select(self, cases: Sequence[str]) -> Array:
        """(M, F) of cases, which may be named more than once."""
        return np.asarray(self.values[[self.places[case] for case in cases]])


@dataclass(frozen=True)
class DescriptorCache:
    """Shows images to readers.

    Attributes:
        data: Intensity transform, which is fitted on the degraded image for all images of a case.
        slices: How many middle slices networks read; what they see depends on it.
        folder: Where descriptors of readers are kept that have no folder of their own.
        failed: Readers that could not describe an image, and why; they are not asked again.
    """

    readers: Mapping[str, Verifier]
    data: Data
    slices: int
    folder: Path
    failed: dict[str, str] = field(default_factory=dict)

    def cohort_descriptors(self, rows: Sequence[Pair], image: str) -> dict[str, Descriptors]:
        """Descriptors of the cohort's ``clean`` or ``input`` images: those that are kept, or made and put there."""
        places = {name: self._place(name, rows, image) for name in self.readers}
        kept = {name: load_descriptors(place, rows) for name, place in places.items()}
        absent = {name: self.readers[name] for name, values in kept.items() if values is None}
        computed = self._read(rows, lambda row: _own_path(row, image), absent, image)
        for name, descriptors in computed.items():
            if (place := places[name]) is not None:
                # A folder that may not be written to costs only that they are read again.
                with suppress(OSError), atomic(place, durable=False) as partial:
                    cases = np.array([row.case for row in rows])
                    np.savez(partial, allow_pickle=False, cases=cases, descriptors=descriptors)
        return _by_case(rows, {name: computed.get(name, values) for name, values in kept.items()})

    def restored_descriptors(
        self, rows: Sequence[Pair], images: Mapping[str, Path], method: str
    ) -> dict[str, Descriptors]:
        """Descriptors of restored images, which are kept nowhere."""
        return _by_case(rows, self._read(rows, lambda row: images[row.case], self.readers, method))

    def _place(self, name: str, rows: Sequence[Pair], image: str) -> Path | None:
        """Where a reader's descriptors of these images belong; None for a reader that has no checksum.

        The name holds a digest of the reader's checksum, of the rows with their files, and of what else decides what
        the reader sees.
        """
        reader = self.readers[name]
        checksum = reader.description().get("checksum")
        if not checksum or not rows:
            return None
        mark = value_digest(
            {
                "generation": _GENERATION,
                "reader": checksum,
                "rows": fingerprint(Pairs(self.folder, tuple(rows))),
                "image": image,
                "intensity": self.data.intensity.model_dump(mode="json"),
                "slices": self.slices,
            }
        )
        own = reader.store
        return self.folder / f"{name}-{mark}.npz" if own is None else own / f"descriptors-{mark}.npz"

    def _read(
        self, rows: Sequence[Pair], path_of: Callable[[Pair], Path], readers: Mapping[str, Verifier], title: str
    ) -> dict[str, Array]:
        parts: dict[str, list[Array]] = {name: [] for name in readers if name not in self.failed}
        if not parts:
            return {}
        with progress(f"describe {title}", len(rows), "images") as bar:
            for start in range(0, len(rows), BATCH):
                some = rows[start : start + BATCH]
                images = [self._reader_image(row, path_of(row)) for row in some]
                for name in [name for name in parts if name not in self.failed]:
                    try:
                        parts[name].append(readers[name].describe(images))
                    except ValueError as error:  # such as photos of two sizes, or too small ones
                        self.failed[name] = str(error)
                bar.advance(len(some))
        return {name: np.concatenate(chunks) for name, chunks in parts.items() if name not in self.failed}

    def _reader_image(self, row: Pair, path: Path) -> ReaderImage:
        volume = read_volume(path, axes=self.data.axes)
        source, intensity = volume, self.data.intensity
        if intensity.kind != "none" and path != row.degraded:  # photos have no scale: half of the reading is saved
            source = read_volume(row.degraded, axes=self.data.axes)
        scaled = fit_intensity(intensity, source.data, str(row.degraded)).apply(volume.data)
        # Another tool may write the photo that it restored as NIfTI, and leave the range.
        photo = np.clip(volume.data[:, :, 0], 0, 1) if is_photo_name(row.degraded) else None
        return ReaderImage(photo, to_slices(scaled))


def _own_path(row: Pair, image: str) -> Path:
    if image == "input":
        return row.degraded
    assert row.clean is not None  # the pairs were checked
    return row.clean


def _by_case(rows: Sequence[Pair], values: Mapping[str, Array | None]) -> dict[str, Descriptors]:
    places = {row.case: number for number, row in enumerate(rows)}
    return {name: Descriptors(places, own) for name, own in values.items() if own is not None}
