"""How a model is applied, and what is done beyond one pass of it: values given back, mirror images averaged."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.grids import check_same_grid
from taskgan.cohort.pairs import Pair
from taskgan.cohort.slices import Array, Case, smoothed
from taskgan.core.errors import UserError
from taskgan.core.files import PathLike, checksum, value_digest
from taskgan.images.volumes import Volume, is_image_name, read_volume
from taskgan.model.blocks import restore_case
from taskgan.model.folder import ModelCard
from taskgan.model.restorer import RestoredVolume, Restorer
from taskgan.restore.inputs import Job

Labels = NDArray[np.int64]
_OUTSIDE = 0
_AXES = (2, 3, 0)  # of inputs (S, I, H, W) along X, Y and Z


@dataclass(frozen=True)
class Refinement:
    """What a user asks for beyond the model.

    Attributes:
        keep_values: Whose means the input keeps: ``16mm`` (the residual behind a 3D Gaussian of that standard
            deviation is added back), a file of regions (whole numbers, 0 is none) in the images' space, or columns of
            a table with such files, with commas between. Empty: the model's own values stay.
        average: ``flips``: mean with the restoration of the left-right mirrored image.
        toward: A model that was started from this one: weights between the two are applied.
        strength: How far towards it, 0 to 1.
    """

    keep_values: str = ""
    average: str = ""
    toward: PathLike | None = None
    strength: float | None = None

    def check(self, samples: int) -> None:
        """Refuse what does not go together; the first that is wrong is a UserError."""
        if self.average not in ("", "flips"):
            raise UserError(f"--average {self.average}: expected flips")
        if samples and (self.average or self.keep_values):
            raise UserError("--samples are of the model's own images, found --average or --keep-values too")
        if (self.toward is None) != (self.strength is None):
            raise UserError("--toward MODEL and --strength 0 to 1 go together, found one of them")

    def resolved(self) -> "Refinement":
        """The same with absolute paths."""
        kept = str(Path(self.keep_values).resolve()) if is_image_name(Path(self.keep_values)) else self.keep_values
        return replace(self, keep_values=kept, toward=None if self.toward is None else Path(self.toward).resolve())

    @property
    def mixture(self) -> tuple[PathLike, float] | None:
        """The other model and how far towards it; None where there is one model."""
        return None if self.toward is None or self.strength is None else (self.toward, self.strength)

    def kept(self, card: ModelCard, jobs: Sequence[Job]) -> "KeptValues | None":
        """What these images keep; a UserError where they are photos, or of another kind than what is made of them."""
        if not self.keep_values:
            return None
        photo = next((job.pair.degraded for job in jobs if job.is_photo), None)
        if photo is not None or card.data.conditions:
            what = "of another contrast than their inputs" if photo is None else f"photos ({photo})"
            raise UserError(f"--keep-values is for volumes of the kind of their inputs, found {what}")
        if length := re.fullmatch(r"(\d*\.?\d+) ?mm", self.keep_values):
            return KeptValues(self.keep_values, float(length[1]))
        kept = KeptValues(self.keep_values)
        paths = dict.fromkeys(path for job in jobs for path in kept.paths(job.pair))
        sums = [checksum(path) if path.is_file() else "" for path in paths]
        return replace(kept, files=value_digest({"files": sums}, 64))


@dataclass(frozen=True)
class KeptValues:
    """Where the residual, input − restored, is averaged before it is added back.

    As asked for; the SD of a Gaussian, 0 where there are regions; a checksum of the files of regions.
    """

    text: str
    sd_mm: float = 0.0
    files: str = ""

    def paths(self, pair: Pair) -> list[Path]:
        """The file of regions, or those in columns of a row; a UserError where there are none."""
        if is_image_name(Path(self.text)):
            return [Path(self.text)]
        named = {name.strip(): pair.path(name.strip()) for name in self.text.split(",")}
        if absent := [name for name, path in named.items() if path is None]:
            raise UserError(
                f"--keep-values {self.text}: expected a length (16mm), a file of regions, or columns with such "
                f"files; case {pair.case} has none in {absent[0]}"
            )
        return [path for path in named.values() if path is not None]

    def as_values(self) -> dict[str, Any]:
        """Plain values for records: another mask makes other settings."""
        return {"keep_values": Path(self.text).name} | ({"regions_checksum": self.files} if self.files else {})

    def labels(self, pair: Pair, source: Volume) -> Labels:
        """The region of every voxel (X, Y, Z), 0 is none; a UserError where files are on another grid or overlap."""
        labels = np.full(source.data.shape, _OUTSIDE, np.int64)
        for path in self.paths(pair):
            volume = read_volume(path, axes=source.axes)
            check_same_grid(volume, source, path, pair)
            own = np.rint(volume.data).astype(np.int64)
            if not np.allclose(own, volume.data, atol=1e-3) or own.min() < 0:
                raise UserError(f"{path} is no map of regions, expected whole numbers, 0 outside of them")
            if ((labels != _OUTSIDE) & (own != _OUTSIDE)).any():
                raise UserError(f"{path} overlaps another region of {self.text}, expected each voxel in one")
            labels += np.where(own != _OUTSIDE, own + labels.max(), _OUTSIDE)
        return labels

    def apply(self, case: Case, restored: Array) -> Array:
        """The restored image (X, Y, Z) with the input's values given back; units are the input's."""
        image = case.source.data
        if self.sd_mm:
            return restored + smoothed(image - restored, self.sd_mm, case.source.voxel_size)
        return with_region_means(image, restored, self.labels(case.pair, case.source))


@dataclass(frozen=True)
class RestoreSettings:
    """What decides a restored number, besides the model.

    Attributes:
        precision: As asked for.
        samples: Draws of z; 0 is none.
        seed: Of the draws.
        average: ``flips``, or empty.
        kept: Values that the input keeps.
        mixed: Checksums of the two models between which the weights lie, and the strength.
        enlarge: How many times more pixels photos get first.
        engine: As asked for.
    """

    precision: str
    samples: int
    seed: int
    average: str = ""
    kept: KeptValues | None = None
    mixed: Mapping[str, str | float] = field(default_factory=dict)
    enlarge: float = 1
    engine: str = "torch"

    @property
    def plain(self) -> bool:
        """Whether images are the model's own, for which its calibration line was fitted."""
        return not (self.samples or self.average or self.kept or self.mixed)

    def as_values(self) -> dict[str, Any]:
        """Plain values; what was not asked for is not named."""
        values: dict[str, Any] = {"precision": self.precision, "samples": self.samples}
        values |= {"sample_seed": self.seed} if self.samples else {}
        values |= {"average": self.average} if self.average else {}
        values |= {"enlarge": self.enlarge} if self.enlarge > 1 else {}
        values |= {"engine": self.engine} if self.engine != "torch" else {}
        return values | (self.kept.as_values() if self.kept else {}) | dict(self.mixed)


def with_region_means(image: Array, restored: Array, labels: Labels) -> Array:
    """A restored image, changed by one number in each region so that its mean there is the input's.

    Slices in which nothing was measured stay zero; they add nothing to either mean.

    Input, restored image and the region of every voxel (0 is none) are (X, Y, Z); linear in the first two together.
    """
    labels = np.where(image.any(axis=(0, 1)), labels, _OUTSIDE)
    names, places = np.unique(labels, return_inverse=True)
    places = places.reshape(labels.shape)
    residual = image.astype(np.float64) - restored
    means = np.bincount(places.ravel(), residual.ravel()) / np.bincount(places.ravel())
    means[names == _OUTSIDE] = 0
    return np.asarray(restored + means[places], dtype=np.float32)


def restore_refined(restorer: Restorer, job: Job, case: Case, settings: RestoreSettings) -> RestoredVolume:
    """A case by a model, with what was asked for beyond it."""
    drawn: dict[str, Any] = {"samples": settings.samples, "seed": settings.seed, "condition": job.condition}
    restored = restore_case(restorer, case, **drawn)
    if settings.average:
        # Of a volume the axis that runs from left to right, of a photo its columns.
        directions = nib.orientations.io_orientation(case.source.affine)[:, 0]
        axis = 0 if job.is_photo else int(np.argmax(directions == 0))
        mirrored = np.ascontiguousarray(np.flip(case.inputs, _AXES[axis]))
        again = restore_case(restorer, replace(case, inputs=mirrored), **drawn).image
        restored = replace(restored, image=(restored.image + np.flip(again, axis)) / np.float32(2))
    return replace(restored, image=settings.kept.apply(case, restored.image)) if settings.kept else restored


_MOST_ENLARGED = 64


def enlargement(enlarge: float | str, card: ModelCard, jobs: Sequence[Job]) -> float:
    """How many times as many pixels photos get.

    Raises:
        UserError: If the number is out of range, the card does not know it, or an image is no photo.
    """
    try:
        factor = card.seen.factor if enlarge == "auto" else float(enlarge)
    except ValueError:
        factor = math.nan
    if enlarge == "auto" and factor == 1:
        raise UserError(f"the card of {card.name} does not say by how much its inputs were reduced; expected a number")
    if not 1 <= factor <= _MOST_ENLARGED:
        raise UserError(f"--enlarge is {enlarge}, expected 1 to {_MOST_ENLARGED} or auto")
    if factor > 1 and (other := next((job.pair.degraded for job in jobs if not job.is_photo), None)):
        raise UserError(f"{other} is no photo: --enlarge is of photos, volumes stay on their grid")
    return factor
