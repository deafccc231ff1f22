"""Judges of faces that were told no identity: readers that compare two photos, made of a cohort's training images."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.folder import fingerprint
from taskgan.cohort.pairs import Pair, Pairs
from taskgan.core.console import progress, say
from taskgan.core.errors import UserError
from taskgan.core.files import atomic, value_digest
from taskgan.core.tensors import load_arrays
from taskgan.images.volumes import read_shape, read_volume
from taskgan.judges.face_features import Pixels, Texture, Whitening, fit_whitening, resized, unit_distance
from taskgan.judges.volumes import distinct_clean
from taskgan.recipe import Data

FILE = "space.npz"
Array = NDArray[np.float32]

LEAST = 32
"""Pixels along an edge from which on a face can be read."""
MOST_IMAGES = 4000
"""Training images that are looked at, evenly chosen: twice as many would take twice the time and memory."""
WHITENED = "10.1068/p2896, 10.1007/s11263-018-1137-8"
_GENERATION = 1  # raised when a reader changes, so that one made before is not taken for a new one


@dataclass(frozen=True)
class ReaderRecipe:
    """How a reader is made: features of an image, components at most and the whitening's power.

    The latter two as in :func:`~taskgan.judges.face_features.fit_whitening`.
    """

    features: Texture | Pixels
    components: int
    power: float

    def settings(self) -> dict[str, Any]:
        """As values, for the record."""
        return {**asdict(self.features), "components": self.components, "power": self.power}


RECIPES: dict[str, ReaderRecipe] = {
    "lbp": ReaderRecipe(Texture(), components=400, power=0.7),
    "eigenfaces": ReaderRecipe(Pixels(), components=100, power=0.7),
}
"""The two judges. Settings were chosen on ``pairsDevTrain`` of LFW, see ``docs/recognisers.md``."""


@dataclass(frozen=True)
class PhotoReader:
    """Tells faces apart by principal components of their texture or pixels.

    Attributes:
        name: ``lbp`` or ``eigenfaces``.
        shape: (H, W) that images are brought to, the median of the training images' sizes.
        space: What was learnt, without identities.
        metadata: Numbers of images and people that it was made of.
    """

    name: str
    recipe: ReaderRecipe
    shape: tuple[int, int]
    space: Whitening = field(repr=False)
    metadata: Mapping[str, Any] = field(repr=False)

    def descriptor(self, image: Array) -> Array:
        """(K,) of a photo (X, Y), columns first, 0 to 1; of any size.

        Raises:
            ValueError: If it is no photo of at least 32×32, or holds NaN or infinity.
        """
        return self.space.describe(photo_features(self.recipe.features, image, self.shape))

    def distance(self, first: Array, second: Array) -> NDArray[np.float64]:
        """(N,) Euclidean distance of descriptors (N, K) of length one: the order is that of the cosine."""
        return unit_distance(first, second)

    def description(self) -> dict[str, Any]:
        """Name, settings, what it was made of, sources, and a checksum of all that a descriptor depends on."""
        hashed = hashlib.sha256()
        for part in (self.space.mean, self.space.axes, self.space.deviations):
            hashed.update(np.ascontiguousarray(part).tobytes())
        values = {
            "name": self.name,
            "settings": self.recipe.settings(),
            "size": [self.shape[1], self.shape[0]],
            "components": len(self.space.axes),
            "training_images": self.metadata["images"],
            "training_people": self.metadata["people"],
            "labels": "none",
            "distance": "Euclidean distance of unit descriptors",
            "source": ", ".join([*self.recipe.features.source, WHITENED]),
        }
        hashed_values = {**values, "generation": _GENERATION, "space": hashed.hexdigest()}
        return {**values, "checksum": value_digest(hashed_values, 64)}

    def save(self, folder: Path) -> None:
        """Write the space and what belongs to it to ``<folder>/space.npz``.

        Raises:
            OSError: If it cannot be written.
        """
        header = json.dumps({"shape": self.shape, "power": self.space.power, "about": dict(self.metadata)})
        arrays = {name: getattr(self.space, name) for name in ("mean", "axes", "deviations")}
        with atomic(folder / FILE) as fresh:
            np.savez(fresh, **arrays, about=np.array(header))


def _load(folder: Path, name: str) -> PhotoReader | None:
    """What :meth:`PhotoReader.save` wrote; None where nothing is or it is damaged, which is to be made again."""
    try:
        file = load_arrays(folder / FILE)
        mean, axes, deviations = (np.asarray(file[part], dtype=np.float32) for part in ("mean", "axes", "deviations"))
        header = json.loads(str(file["about"]))
        height, width = map(int, header["shape"])
        space = Whitening(mean, axes, deviations, float(header["power"]))
        reader = PhotoReader(name, RECIPES[name], (height, width), space, dict(header["about"]))
    except Exception:  # zip, zlib, numpy and json each have their own
        return None
    whole = mean.ndim == deviations.ndim == 1 and axes.shape == (len(deviations), len(mean)) and len(axes) > 0
    return reader if whole and all(np.isfinite(part).all() for part in (mean, axes, deviations)) else None


def photo_readers(pairs: Pairs, data: Data, *, store: Path | None = None) -> dict[str, PhotoReader]:
    """The judges of a cohort of faces that are not taught who is who, from where they are kept, else made now.

    They look at clean images of training people, not at whose they are; validation and test rows are not opened.
    The same images and settings on one machine, with one number of threads, give the same bits.

    The folder ``store`` keeps them, ``<cohort>/derivatives/recognisers`` where None.

    Returns:
        ``lbp`` and ``eigenfaces``.

    Raises:
        UserError: If there are no two different clean training images, or they are no photos of 32×32 or more.
    """
    rows = training_rows(pairs, data)
    mark = fingerprint(Pairs(pairs.source, tuple(rows)))
    base = store if store is not None else pairs.folder / "derivatives" / "recognisers"
    folders: dict[str, Path] = {}
    readers: dict[str, PhotoReader] = {}
    for name, maker in RECIPES.items():
        key = {"generation": _GENERATION, "features": type(maker.features).__name__, **maker.settings()}
        folders[name] = base / f"{name}-{value_digest({**key, 'rows': mark})}"
        if (old := _load(folders[name], name)) is not None:
            readers[name] = old
    missing = {name: RECIPES[name] for name in RECIPES if name not in readers}
    if missing:
        images = [partial(_read_photo, row) for row in rows]
        people = len({row.subject for row in rows})
        for name, reader in fit_photo_readers(images, missing, _median_shape(rows), people=people).items():
            readers[name] = reader
            try:
                reader.save(folders[name])
            except OSError as error:
                say(f"{name} could not be kept in {folders[name]} ({error.strerror}); the next call makes it again")
    return {name: readers[name] for name in RECIPES}


def fit_photo_readers(
    images: Sequence[Callable[[], Array]], recipes: Mapping[str, ReaderRecipe], shape: tuple[int, int], *, people: int
) -> dict[str, PhotoReader]:
    """Make readers, by name, of images that each give a clean photo (X, Y) of a training person when called.

    They are brought to the ``shape`` (H, W); how many people are on them is for the record.

    Raises:
        UserError: If there are fewer than two images, or they are all the same.
    """
    collected: dict[str, Array] = {}
    with progress(f"read for {' and '.join(recipes)}", len(images), "images") as bar:
        for k, image in enumerate(images):
            photo = image()
            for name, maker in recipes.items():
                features = photo_features(maker.features, photo, shape)
                if not k:
                    collected[name] = np.empty((len(images), len(features)), dtype=np.float32)
                collected[name][k] = features
            bar.advance()
    metadata = {"images": len(images), "people": people}
    readers = {}
    for name, maker in recipes.items():
        try:
            space = fit_whitening(collected.pop(name), components=maker.components, power=maker.power)
        except ValueError as error:
            raise UserError(f"{name} cannot be made of {len(images)} training images: {error}") from None
        readers[name] = PhotoReader(name, maker, shape, space, metadata)
    return readers


def photo_features(features: Texture | Pixels, photo: Array, shape: tuple[int, int]) -> Array:
    """Features (F,) of a photo (X, Y) brought to (H, W).

    Raises:
        ValueError: If it is no photo of at least 32×32, or holds NaN or infinity.
    """
    if photo.ndim != 2 or min(photo.shape) < LEAST:
        raise ValueError(f"expected a photo (X, Y) of {LEAST}×{LEAST} pixels or more, got {photo.shape}")
    if not np.isfinite(photo).all():
        raise ValueError("a photo holds NaN or infinity, expected values of 0 to 1")
    return features(resized(np.ascontiguousarray(photo.T, dtype=np.float32), shape))


def training_rows(pairs: Pairs, data: Data) -> list[Pair]:
    """The training rows whose clean images the readers look at: each image once, at most 4,000, evenly chosen.

    Raises:
        UserError: If there are fewer than two.
    """
    chosen = list(distinct_clean(pairs.select(data.select).split("train")))
    if len(chosen) < 2:
        raise UserError(
            f"{pairs.source} has {len(chosen)} clean training images, expected two or more to make judges of faces of"
        )
    if len(chosen) > MOST_IMAGES:
        chosen = [chosen[k * len(chosen) // MOST_IMAGES] for k in range(MOST_IMAGES)]
    return chosen


def _median_shape(rows: Sequence[Pair]) -> tuple[int, int]:
    """(H, W), the median over the rows' images, from their headers."""
    sizes = []
    for row in rows:
        assert row.clean is not None  # chosen so
        x, y, *slices = read_shape(row.clean)[0]
        if any(number != 1 for number in slices) or min(x, y) < LEAST:
            size = "×".join(map(str, (x, y, *slices)))
            raise UserError(
                f"{row.clean} is {size}, expected a photo of {LEAST}×{LEAST} or more to make judges of faces of"
            )
        sizes.append((y, x))
    height, width = np.median(sizes, axis=0)
    return int(height), int(width)


def _read_photo(row: Pair) -> Array:
    assert row.clean is not None  # chosen so
    return read_volume(row.clean).data[:, :, 0]
