"""One way to read: what judges say of the images of cases, as rows of the table of readings."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.grids import MaskCache, check_same_grid
from taskgan.cohort.pairs import Pair, Pairs
from taskgan.cohort.slices import Array, Case, load_case, to_slices, to_volume
from taskgan.core.console import progress, say
from taskgan.images.intensity import fit_intensity
from taskgan.images.volumes import Volume, read_volume
from taskgan.judges.properties import OBSERVER, Property, target_property
from taskgan.judges.readers import Reader
from taskgan.judges.readings import CLEAN, INPUT, Reading
from taskgan.judges.volumes import middle_slices, read_volumes
from taskgan.metrics.regions import composite_suvr
from taskgan.recipe import Data, IntensityTransform, Target
from taskgan.stats import CalibrationLine, calibration_line

if TYPE_CHECKING:
    from torch import Tensor

    from taskgan.cohort.targets import Targets

Mask = NDArray[np.bool_]
_LITRE = 1e-3  # ml in a mm³


@dataclass(frozen=True)
class LoadedCase:
    """A case with its images, all on the grid of its degraded one.

    Attributes:
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
    def voxel_millilitres(self) -> float:
        """Of a voxel."""
        return float(np.prod(self.source.voxel_size)) * _LITRE

    def scaled(self, name: str) -> Array:
        """An image (X, Y, Z) in network units."""
        return np.asarray(self.volumes[name].data / np.float32(self.scale), dtype=np.float32)

    def reader_slices(self, name: str, slices: int) -> Array:
        """The middle slices (S, H, W) of an image in network units: what judges see."""
        return middle_slices(to_slices(self.scaled(name)), slices)


def load_case_images(
    pair: Pair, paths: Mapping[str, Path], intensity: IntensityTransform, axes: str = ""
) -> LoadedCase:
    """Read the degraded image of a case and others of it (by name: ``clean`` and methods); masks are none.

    Intensity is fitted on the degraded image; slices are read in ``axes`` (``data.axes``).

    Raises:
        UserError: If an image cannot be read or is on another grid.
    """
    volumes = {INPUT: read_volume(pair.degraded, axes=axes, series=pair.series("degraded"))}
    for name, path in paths.items():
        volumes[name] = read_volume(path, axes=axes)
        check_same_grid(volumes[name], volumes[INPUT], path, pair)
    scale = fit_intensity(intensity, volumes[INPUT].data, str(pair.degraded)).scale
    return LoadedCase(pair, volumes, scale, {})


@dataclass(frozen=True)
class PropertyReader:
    """A judge as the table of readings calls it, and what it reads there: where y comes from, outputs and cut."""

    name: str
    reader: Reader
    targets: "Targets"
    property: Property

    def readings(self, case: LoadedCase, predictions: Mapping[str, Array]) -> list[Reading]:
        """Readings of a case by what was said of the middle slices (S, …) of its images, the clean one among them."""
        from taskgan.judges.figures import case_error, volume_label, volume_prediction

        kind, pair = self.targets.kind, case.pair
        y = self._label(case, predictions[CLEAN])
        clean = volume_prediction(kind, predictions[CLEAN], len(predictions[CLEAN]))
        rows = []
        for image, outputs in predictions.items():
            volume = volume_prediction(kind, outputs, len(outputs))
            own = None if y is None else volume_label(kind, y, len(outputs))
            error = nan if y is None else case_error(kind, outputs, y, len(outputs))
            if kind.dense:
                values = self._mask_values(volume, own, kind.decision(clean), error, case.voxel_millilitres)
            else:
                assert own is not None  # only masks can be absent
                values = self._values(volume, own, error)
            key = (pair.case, pair.subject, pair.split, image, self.name)
            of_outputs = zip(self.property.outputs, values, strict=True)
            rows += [Reading(*key, output, *numbers) for output, numbers in of_outputs]
        return rows

    def _label(self, case: LoadedCase, clean: Array) -> "Tensor | None":
        """y of every slice that was seen (S, …); None where the table has no mask."""
        import torch

        kind, pair = self.targets.kind, case.pair
        if kind.dense:
            if not pair.path(self.targets.target.columns[0]):
                return None
            return torch.from_numpy(middle_slices(self.targets.mask(pair, case.source), len(clean)))
        y = torch.as_tensor(self.targets.value(pair), dtype=torch.float32)
        return kind.y(y.expand(len(clean), *y.shape), torch.from_numpy(clean))

    def _values(self, volume: "Tensor", label: "Tensor", error: float) -> list[tuple[float, ...]]:
        """Of each output: prediction, target, truth, decision, cut and error."""
        kind = self.targets.kind
        values: list[tuple[float, ...]] = []
        reached = kind.true_decision(label) if self.property.kind == "regression" else None
        for entry in kind.readings(volume, label):
            truth = entry.target
            if self.property.kind == "regression":
                truth = nan if reached is None else float(reached)
            decision = entry.decision if isfinite(entry.prediction) else nan
            values.append((entry.prediction, entry.target, truth, decision, self.property.cut, error))
        return values

    def _mask_values(
        self, volume: "Tensor", label: "Tensor | None", clean: "Tensor", error: float, millilitres: float
    ) -> list[tuple[float, ...]]:
        """The same of classes in pixels, whose voxels have a size; then Dice with the label and the clean mask."""
        kind = self.targets.kind
        values: list[tuple[float, ...]] = []
        mask = kind.decision(volume)
        entries = [None if one is None else kind.readings(volume, one) for one in (label, clean)]
        for k in range(len(self.property.outputs)):
            sizes = (nan if m is None else float((m == k + 1).sum()) * millilitres for m in (mask, label))
            dice = (nan if one is None else one[k].prediction for one in entries)
            values.append((*sizes, nan, nan, nan, error, *dice))
        return values


def property_readers(readers: Mapping[str, Reader], targets: "Targets", pairs: Pairs) -> list[PropertyReader]:
    """Readers of one property; one that knows its own kind (with a cut that it was taught) reads that.

    The whole table ``pairs`` may name classes.
    """
    panel = []
    for name, reader in readers.items():
        own = replace(targets, kind=getattr(reader, "kind", targets.kind))
        panel.append(PropertyReader(name, reader, own, target_property(own.kind.target, pairs)))
    return panel


def read_cases(
    readers: Sequence[PropertyReader], cases: Sequence[LoadedCase], slices: int, skip: Collection[str] = ()
) -> list[Reading]:
    """What judges say of the images of some cases in memory, each image read once; photos are read together.

    They see the middle ``slices`` of all images but those to ``skip``, such as an ``input`` that is of another kind.

    Raises:
        UserError: If a label is no number, or a mask cannot be read or is on another grid.
    """
    places = [(k, name) for k, case in enumerate(cases) for name in case.volumes if name not in skip]
    slices_read = [cases[k].reader_slices(name, slices) for k, name in places] if readers else []
    readings: list[Reading] = []
    for one in readers:
        predictions: list[dict[str, Array]] = [{} for _ in cases]
        for (k, name), outputs in zip(places, read_volumes(one.reader.read, slices_read), strict=True):
            predictions[k][name] = outputs
        for case, by_image in zip(cases, predictions, strict=True):
            readings += one.readings(case, by_image)
    return readings


def suvr_targets(target: Target, pairs: Pairs) -> "Targets | None":
    """Where the SUVR's label comes from: the binary property; None where ``label`` holds another one."""
    from taskgan.cohort.targets import Targets

    if target.kind == "binary":
        return Targets.for_table(target, pairs)
    return None if "label" in target.columns else Targets.for_table(Target(), pairs)


def read_suvr(case: LoadedCase, cut: float, labels: "Targets | None", skip: Collection[str] = ()) -> list[Reading]:
    """The composite SUVR of every image against its cut; nothing without the masks ``cortex`` and ``reference``.

    Labels come from :func:`suvr_targets`; images to ``skip`` are left out.
    """
    if not {"cortex", "reference"} <= case.masks.keys():
        return []
    pair = case.pair
    label = nan if labels is None else float(labels.value(pair))
    label = label if label in (0.0, 1.0) else nan
    rows = []
    for image, values in case.images.items():
        if image not in skip:
            value = composite_suvr(values, case.masks["cortex"], case.masks["reference"])
            decision = float(value >= cut) if isfinite(value) else nan
            key = (pair.case, pair.subject, pair.split, image, OBSERVER, OBSERVER)
            rows.append(Reading(*key, value, label, label, decision, cut))
    return rows


def suvr_line(pairs: Pairs, data: Data, restore: Callable[[Case], Array]) -> CalibrationLine | None:
    """Restore validation subjects with masks, each to (X, Y, Z) in any units, and fit restored on clean SUVR.

    Returns:
        None where rows lack the masks ``cortex`` and ``reference``, or there is no line.

    """
    rows = [pair for pair in pairs if pair.clean and pair.path("cortex") and pair.path("reference")]
    if not rows:
        return None
    masks, values = MaskCache(), []
    with progress("calibrate", len(rows), "images") as bar:
        for pair in rows:
            case = load_case(pair, data)
            cortex, reference = (masks.read(pair, name, case.source) for name in ("cortex", "reference"))
            assert case.clean is not None  # the rows were chosen so
            assert cortex is not None
            assert reference is not None
            images = (to_volume(case.clean), restore(case))
            values.append([composite_suvr(image, cortex, reference) for image in images])
            bar.advance()
    before, after = np.reshape(values, (-1, 2)).T
    line = calibration_line(before, after, [pair.subject for pair in rows])
    if line is not None:
        say(
            f"calibration line: restored SUVR = {line.intercept.estimate:.3f} + {line.slope.estimate:.3f} × clean "
            f"SUVR, on {line.subjects} validation subjects"
        )
    return line
