"""One way to read: what judges say of the images of cases, as rows of the table of readings."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.images import Volume, read_volume
from taskgan.cohort.intensity import fit_intensity
from taskgan.cohort.pairs import Pair, Pairs
from taskgan.cohort.slices import to_slices
from taskgan.evaluate.grids import same_grid
from taskgan.judges.properties import OBSERVER, Property, property_of
from taskgan.judges.readers import Reader
from taskgan.judges.readings import CLEAN, INPUT, Reading
from taskgan.metrics.suvr import composite
from taskgan.recipe import IntensityTransform, Target
from taskgan.recogniser.decision import middle_slices
from taskgan.recogniser.together import read_volumes

if TYPE_CHECKING:  # they bring torch
    from torch import Tensor

    from taskgan.cohort.targets import Targets

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
_LITRE = 1e-3  # ml in a mm³


@dataclass(frozen=True)
class OpenedCase:
    """A case with its images, all on the grid of its degraded one.

    Attributes:
        pair: The case.
        volumes: By name: ``input``, ``clean`` and methods; in the files' units.
        scale: What intensities are divided by, the same for all images.
        masks: By column of the table; those that it has.
    """

    pair: Pair
    volumes: Mapping[str, Volume]
    scale: float
    masks: Mapping[str, Mask]

    @property
    def source(self) -> Volume:
        """The degraded image."""
        return self.volumes[INPUT]

    @property
    def images(self) -> dict[str, Array]:
        """(X, Y, Z) by name, in the files' units."""
        return {name: volume.data for name, volume in self.volumes.items()}

    @property
    def millilitres(self) -> float:
        """Of a voxel."""
        return float(np.prod(self.source.voxel_size)) * _LITRE

    def scaled(self, name: str) -> Array:
        """An image (X, Y, Z) in network units."""
        return np.asarray(self.volumes[name].data / np.float32(self.scale), dtype=np.float32)

    def seen(self, name: str, slices: int) -> Array:
        """The middle slices (S, H, W) of an image in network units: what judges see."""
        return middle_slices(to_slices(self.scaled(name)), slices)


def open_case(pair: Pair, paths: Mapping[str, Path], intensity: IntensityTransform) -> OpenedCase:
    """Read the degraded image of a case and others of it; masks are none.

    Args:
        pair: The case.
        paths: By name: ``clean`` and methods.
        intensity: Fitted on the degraded image.

    Raises:
        UserError: If an image cannot be read or is on another grid.
    """
    volumes = {INPUT: read_volume(pair.degraded)}
    for name, path in paths.items():
        volumes[name] = read_volume(path)
        same_grid(volumes[name], volumes[INPUT], path, pair)
    scale = fit_intensity(intensity, volumes[INPUT].data, str(pair.degraded)).scale
    return OpenedCase(pair, volumes, scale, {})


@dataclass(frozen=True)
class PropertyReader:
    """A judge, and the property that it reads in the rows of one table.

    Attributes:
        name: What the table of readings calls it.
        reader: Reads slices.
        targets: y of the rows.
        property: Names of its outputs, and its cut.
    """

    name: str
    reader: Reader
    targets: "Targets"
    property: Property

    def rows(self, case: OpenedCase, predictions: Mapping[str, Array]) -> list[Reading]:
        """Readings of the images of a case.

        Args:
            case: The case.
            predictions: By image, what was said of its middle slices (S, …); with the clean image.
        """
        kind = self.targets.kind
        y = self._y(case, predictions[CLEAN])
        found = self._masks(case, predictions, y) if kind.dense else self._numbers(case, predictions, y)
        return found

    def _y(self, case: OpenedCase, clean: Array) -> "Tensor | None":
        """y of every slice that was seen (S, …); None where the table has no mask."""
        import torch

        kind, pair = self.targets.kind, case.pair
        if kind.dense:
            if not pair.path(self.targets.target.columns[0]):
                return None
            return torch.from_numpy(middle_slices(self.targets.mask(pair, case.source), len(clean)))
        y = torch.as_tensor(self.targets.value(pair), dtype=torch.float32)
        return kind.y(y.expand(len(clean), *y.shape), torch.from_numpy(clean))

    def _numbers(
        self, case: OpenedCase, predictions: Mapping[str, Array], y: "Tensor | None"
    ) -> list[Reading]:
        from taskgan.recogniser.figures import case_error, volume_label, volume_prediction

        assert y is not None  # only masks can be absent
        kind = self.targets.kind
        rows = []
        for image, said in predictions.items():
            own = volume_label(kind, y, len(said))
            reached = kind.truth(own) if self.property.kind == "regression" else None
            error = case_error(kind, said, y, len(said))
            entries = kind.entries(volume_prediction(kind, said, len(said)), own)
            for output, entry in zip(self.property.outputs, entries, strict=True):
                truth = entry.target
                if self.property.kind == "regression":
                    truth = nan if reached is None else float(reached)
                decision = entry.decision if isfinite(entry.prediction) else nan
                rows.append(
                    self._row(case, image, output, entry.prediction, entry.target)._replace(
                        truth=truth, decision=decision, cut=self.property.cut, error=error
                    )
                )
        return rows

    def _masks(self, case: OpenedCase, predictions: Mapping[str, Array], y: "Tensor | None") -> list[Reading]:
        from taskgan.recogniser.figures import case_error, volume_label, volume_prediction

        kind = self.targets.kind
        clean = kind.decision(volume_prediction(kind, predictions[CLEAN], len(predictions[CLEAN])))
        rows = []
        for image, said in predictions.items():
            volume = volume_prediction(kind, said, len(said))
            mask, own = kind.decision(volume), None if y is None else volume_label(kind, y, len(said))
            error = nan if y is None else case_error(kind, said, y, len(said))
            kept = kind.entries(volume, clean)
            right = [nan] * len(kept) if own is None else [e.prediction for e in kind.entries(volume, own)]
            for number, output in enumerate(self.property.outputs, start=1):
                size = float((mask == number).sum()) * case.millilitres
                target = nan if own is None else float((own == number).sum()) * case.millilitres
                rows.append(
                    self._row(case, image, output, size, target)._replace(
                        error=error, dice=right[number - 1], dice_clean=kept[number - 1].prediction
                    )
                )
        return rows

    def _row(self, case: OpenedCase, image: str, output: str, prediction: float, target: float) -> Reading:
        pair = case.pair
        key = (pair.case, pair.subject, pair.split, image, self.name, output)
        return Reading(*key, prediction, target, nan, nan, nan)


def property_readers(readers: Mapping[str, Reader], targets: "Targets", pairs: Pairs) -> list[PropertyReader]:
    """Readers of one property; one that knows its own kind (with a cut that it was taught) reads that.

    Args:
        readers: By name.
        targets: The property.
        pairs: The whole table, which may name classes.
    """
    found = []
    for name, reader in readers.items():
        own = replace(targets, kind=getattr(reader, "kind", targets.kind))
        found.append(PropertyReader(name, reader, own, property_of(own.kind.target, pairs)))
    return found


def read_cases(
    readers: Sequence[PropertyReader], cases: Sequence[OpenedCase], slices: int, skip: Collection[str] = ()
) -> list[Reading]:
    """What judges say of the images of some cases, each image read once.

    Args:
        readers: The judges.
        cases: Held in memory and, where they are photos, read together.
        slices: Middle slices that they see.
        skip: Images that are not read, such as an ``input`` that is of another kind.

    Raises:
        UserError: If a label is no number, or a mask cannot be read or is on another grid.
    """
    places = [(k, name) for k, case in enumerate(cases) for name in case.volumes if name not in skip]
    seen = [cases[k].seen(name, slices) for k, name in places] if readers else []
    rows: list[Reading] = []
    for one in readers:
        predictions: list[dict[str, Array]] = [{} for _ in cases]
        for (k, name), said in zip(places, read_volumes(one.reader.read, seen), strict=True):
            predictions[k][name] = said
        for case, by_image in zip(cases, predictions, strict=True):
            rows += one.rows(case, by_image)
    return rows


def observer_targets(target: Target, pairs: Pairs) -> "Targets | None":
    """Where the SUVR's label comes from: the binary property; None where ``label`` holds another one."""
    from taskgan.cohort.targets import Targets

    if target.kind == "binary":
        return Targets.of(target, pairs)
    return None if "label" in target.columns else Targets.of(Target(), pairs)


def read_suvr(
    case: OpenedCase, cut: float, labels: "Targets | None", skip: Collection[str] = ()
) -> list[Reading]:
    """The composite SUVR of every image against its cut; nothing without the masks ``cortex`` and ``reference``.

    Args:
        case: With its masks.
        cut: SUVR from which a case is positive.
        labels: From :func:`observer_targets`.
        skip: As in :func:`read_cases`.
    """
    if not {"cortex", "reference"} <= case.masks.keys():
        return []
    pair = case.pair
    label = nan if labels is None else float(labels.value(pair))
    label = label if label in (0.0, 1.0) else nan
    rows = []
    for image, values in case.images.items():
        if image not in skip:
            value = composite(values, case.masks["cortex"], case.masks["reference"])
            decision = float(value >= cut) if isfinite(value) else nan
            key = (pair.case, pair.subject, pair.split, image, OBSERVER, OBSERVER)
            rows.append(Reading(*key, value, label, label, decision, cut))
    return rows
