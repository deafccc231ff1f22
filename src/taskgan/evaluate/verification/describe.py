"""Descriptors of the images that are on pairs, by every reader, each image read once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.images import read_volume
from taskgan.cohort.intensity import fit_intensity
from taskgan.cohort.pairs import Pair
from taskgan.cohort.photos import is_photo_name
from taskgan.cohort.slices import to_slices
from taskgan.core.console import progress
from taskgan.evaluate.verification.kept import descriptors_path, load_descriptors, save_descriptors
from taskgan.evaluate.verification.readers import ReaderImage, Verifier
from taskgan.recipe import Data
from taskgan.recogniser.together import BATCH

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Descriptors:
    """What a reader makes of some images.

    Attributes:
        places: Of each case, its row in the array.
        values: (N, F).
    """

    places: Mapping[str, int] = field(repr=False)
    values: Array = field(repr=False)

    def select(self, cases: Sequence[str]) -> Array:
        """(M, F) of cases, which may be named more than once."""
        return np.asarray(self.values[[self.places[case] for case in cases]])


@dataclass(frozen=True)
class DescriptorCache:
    """Shows images to readers.

    Attributes:
        readers: By name.
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
        places = {
            name: descriptors_path(name, one, rows, image, self.data, slices=self.slices, folder=self.folder)
            for name, one in self.readers.items()
        }
        cached = {name: load_descriptors(place, rows) for name, place in places.items()}
        absent = {
            name: self.readers[name]
            for name, held in cached.items()
            if held is None and name not in self.failed
        }
        computed = self._read(rows, lambda row: _own_path(row, image), absent, image)
        for name, descriptors in computed.items():
            save_descriptors(places[name], rows, descriptors)
        numbers = _numbers(rows)
        together = {name: computed.get(name, held) for name, held in cached.items()}
        return {name: Descriptors(numbers, held) for name, held in together.items() if held is not None}

    def restored_descriptors(
        self, rows: Sequence[Pair], images: Mapping[str, Path], method: str
    ) -> dict[str, Descriptors]:
        """Descriptors of restored images, which are kept nowhere."""
        able = {name: one for name, one in self.readers.items() if name not in self.failed}
        descriptors = self._read(rows, lambda row: images[row.case], able, method)
        return {name: Descriptors(_numbers(rows), held) for name, held in descriptors.items()}

    def _read(
        self,
        rows: Sequence[Pair],
        path_of: Callable[[Pair], Path],
        readers: Mapping[str, Verifier],
        title: str,
    ) -> dict[str, Array]:
        if not readers:
            return {}
        parts: dict[str, list[Array]] = {name: [] for name in readers}
        with progress(f"describe {title}", len(rows), "images") as bar:
            for start in range(0, len(rows), BATCH):
                some = rows[start : start + BATCH]
                images = [self._reader_image(row, path_of(row)) for row in some]
                for name in [name for name in readers if name not in self.failed]:
                    try:
                        parts[name].append(readers[name].describe(images))
                    except ValueError as error:  # such as photos of two sizes, or too small ones
                        self.failed[name] = str(error)
                bar.advance(len(some))
        return {name: np.concatenate(chunks) for name, chunks in parts.items() if name not in self.failed}

    def _reader_image(self, row: Pair, path: Path) -> ReaderImage:
        volume = read_volume(path)
        intensity = self.data.intensity
        # Photos have no scale to be found: half of the reading is saved.
        source = volume if intensity.kind == "none" or path == row.degraded else read_volume(row.degraded)
        scaled = fit_intensity(intensity, source.data, str(row.degraded)).apply(volume.data)
        # Another tool may write the photo that it restored as NIfTI, and leave the range.
        photo = np.clip(volume.data[:, :, 0], 0, 1) if is_photo_name(row.degraded) else None
        return ReaderImage(photo, to_slices(scaled))


def _own_path(row: Pair, image: str) -> Path:
    if image == "input":
        return row.degraded
    assert row.clean is not None  # the pairs were checked
    return row.clean


def _numbers(rows: Sequence[Pair]) -> dict[str, int]:
    return {row.case: number for number, row in enumerate(rows)}
