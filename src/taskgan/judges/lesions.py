"""A channelised Hotelling observer of lesions.

Its channels are differences of Gaussians inside the brain, in plane. A cohort's observers are taught on clean images
of training subjects, their thresholds on validation subjects.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import ndimage

from taskgan.cohort.folder import fingerprint
from taskgan.cohort.grids import MaskCache
from taskgan.cohort.pairs import Pair, Pairs
from taskgan.core.console import progress, say
from taskgan.core.errors import UserError
from taskgan.core.files import value_digest, write_json
from taskgan.core.parse import parse_json, read_text
from taskgan.images.volumes import read_volume

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
SIGMAS_MM = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Widths of the Gaussians: lesions of about 3 to 30 mm stand out in the differences of neighbours."""
_LEAST = 0.02  # of a Gaussian's weight inside the region, below which its mean is not taken


def dog_channels(image: Image, inside: Mask, voxel_mm: Sequence[float]) -> Image:
    """What every voxel looks like to the observer.

    Sparse difference-of-Gaussians channels (Abbey and Barrett 2001, 10.1364/JOSAA.18.000473), each twice as wide as
    the one before. They are blind to the level of their surroundings. Means are taken inside the region only
    (normalised convolution), so that a ventricle or the skull beside a voxel is not taken for a lesion; slices, which
    are thick, are seen one by one.

    Returns:
        (C, X, Y, Z) of an image (X, Y, Z), C = one less than :data:`SIGMAS_MM`; 0 outside the region.
    """
    weight = inside.astype(np.float32)
    held = image * weight
    means = []
    for sigma in SIGMAS_MM:
        pixels = (sigma / voxel_mm[0], sigma / voxel_mm[1], 0.0)
        share, total = (ndimage.gaussian_filter(part, pixels, mode="constant", truncate=3.0) for part in (weight, held))
        means.append(np.where(share > _LEAST, total / np.maximum(share, _LEAST), 0.0))
    bands = np.stack([finer - coarser for finer, coarser in pairwise(means)])
    return np.asarray(bands * weight, dtype=np.float32)


LEAST = 3
"""Voxels of a lesion, a true one or a false one: what is smaller is a voxel of noise."""
MARGIN_MM = 4.0
"""Distance from any lesion at which white matter counts as healthy: a lesion's edge is no false lesion."""


@dataclass(frozen=True)
class LesionMap:
    """A subject's white matter.

    Attributes:
        lesions: 1 to ``count`` in the voxels of each lesion, 0 elsewhere (X, Y, Z).
        count: Number of lesions.
        healthy: White matter without and away from lesions (X, Y, Z).
    """

    lesions: NDArray[np.int32]
    count: int
    healthy: Mask

    def means(self, values: Image | Floats) -> Floats:
        """(count,) mean of values (X, Y, Z) over the voxels of each lesion."""
        return np.asarray(ndimage.mean(values, self.lesions, range(1, self.count + 1)), dtype=np.float64)


def map_lesions(lesions: Mask, white: Mask, voxel_mm: Sequence[float]) -> LesionMap:
    """Number the lesions of a mask, and find the white matter that has none.

    Voxels (X, Y, Z) that are connected (by a face) are one lesion; fewer than :data:`LEAST` are none. ``white`` is
    pure white matter.
    """
    labels, count = ndimage.label(lesions)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    large = np.flatnonzero(sizes[1:] >= LEAST) + 1
    renumbered = np.zeros(count + 1, dtype=np.int32)
    renumbered[large] = np.arange(1, len(large) + 1)
    healthy = white & ~lesions
    if lesions.any():
        healthy &= ndimage.distance_transform_edt(~lesions, sampling=tuple(voxel_mm)) >= MARGIN_MM
    return LesionMap(renumbered[labels], len(large), healthy)


_RIDGE = 1e-6  # of the mean variance: channels that hardly vary would otherwise get any weight
_HEALTHY = 100  # voxels of healthy white matter whose spread is worth knowing
_STEP = 0.1  # SD of healthy white matter between the thresholds that are tried


@dataclass(frozen=True)
class ObserverImage:
    """One image as the observer sees it.

    ``values`` are channels (C, X, Y, Z) of the image over the mean of white matter in the clean image.
    """

    values: Image
    lesion_map: LesionMap

    def samples(self) -> tuple[Floats, Floats]:
        """What the template is made of: channels (N, C), mean in each lesion, and (M, C) in healthy white matter."""
        lesions = np.array([self.lesion_map.means(channel) for channel in self.values])
        return lesions.T, self.values[:, self.lesion_map.healthy].T.astype(np.float64)


def observer_image(
    image: Image, clean: Image, brain: Mask, white: Mask, lesion_map: LesionMap, voxel_mm: Sequence[float]
) -> ObserverImage | None:
    """Channels of an image, in units of the clean image's white matter, so that a method's own scale excuses nothing.

    Images and masks are (X, Y, Z): the case's own and clean image, brain tissue and pure white matter.

    Returns:
        None where there is hardly any healthy white matter or it gives no signal.
    """
    unit = float(clean[white].mean(dtype=np.float64)) if lesion_map.healthy.sum() >= _HEALTHY else 0.0
    if not unit > 0:
        return None
    return ObserverImage(dog_channels(image / np.float32(unit), brain, voxel_mm), lesion_map)


@dataclass(frozen=True)
class Detector:
    """A channelised Hotelling observer: a matched filter on channels that have been made white.

    Attributes:
        template: (C,) weights: S⁻¹ (mean in lesions − mean in healthy white matter), S the mean of both covariances
            (Barrett et al. 1993, 10.1073/pnas.90.21.9758; Myers and Barrett 1987, 10.1364/JOSAA.4.002447), scaled so
            that responses in healthy white matter of clean training images have SD 1.
        offset: Mean response there, which is taken off.
        threshold: Response from which a lesion is reported; NaN where there were no images to choose it on.
    """

    template: Floats
    offset: float
    threshold: float

    def respond(self, image: ObserverImage) -> Image:
        """Response at every voxel (X, Y, Z), in SD of healthy white matter; the sign of the lesions' contrast."""
        weighted = np.tensordot(self.template.astype(np.float32), image.values, axes=1)
        return np.asarray(weighted - np.float32(self.offset), dtype=np.float32)


def fit_detector(images: Sequence[tuple[Floats, Floats]]) -> Detector | None:
    """A detector without a threshold; None where there are fewer lesions than the template has weights.

    Samples are of clean images of training subjects; those without lesions add to what healthy looks like.
    """
    lesions = np.concatenate([of_lesions for of_lesions, _ in images]) if images else np.zeros((0, 0))
    if len(lesions) <= lesions.shape[1]:
        return None
    mean = np.mean([healthy.mean(axis=0) for _, healthy in images], axis=0)
    spread = np.mean([np.cov(healthy.T, ddof=0) for _, healthy in images], axis=0)
    both = 0.5 * (spread + np.cov(lesions.T, ddof=0))
    both += _RIDGE * float(np.trace(both)) / len(both) * np.eye(len(both))
    template = np.linalg.solve(both, lesions.mean(axis=0) - mean)
    scale = float(np.sqrt(template @ spread @ template))
    if not scale > 0:
        return None
    template = template / scale
    return Detector(template, float(template @ mean), float("nan"))


def false_lesions(response: Image, lesion_map: LesionMap, threshold: float) -> int:
    """Connected regions of at least three voxels in healthy white matter in which the observer reports a lesion."""
    labels, count = ndimage.label((response >= threshold) & lesion_map.healthy)
    return int((np.bincount(labels.ravel(), minlength=count + 1)[1:] >= LEAST).sum())


def detected_lesions(response: Image, lesion_map: LesionMap, threshold: float) -> int:
    """True lesions in which the observer reports one."""
    return len(np.unique(lesion_map.lesions[(response >= threshold) & (lesion_map.lesions > 0)]))


def detectability(response: Image, lesion_map: LesionMap) -> float:
    """Chance that the response in a lesion exceeds that in healthy white matter of the same image.

    The AUC of the task in which the place is known: voxels of lesions against voxels of healthy white matter, ties by
    half. Every lesion weighs the same, whatever its size.

    Returns:
        ½ for an observer that sees nothing, 1 where every lesion stands out everywhere; NaN without lesions.
    """
    if not lesion_map.count:
        return float("nan")
    inside = lesion_map.lesions > 0
    healthy = np.sort(response[lesion_map.healthy])
    below, upto = (np.searchsorted(healthy, response[inside], side) for side in ("left", "right"))
    beaten = 0.5 * (below + upto) / len(healthy)
    return float(np.mean(ndimage.mean(beaten, lesion_map.lesions[inside], range(1, lesion_map.count + 1))))


def signal_to_noise(response: Image, lesion_map: LesionMap) -> float:
    """Mean response in lesions, over lesions, minus that in healthy white matter, over the latter's SD.

    The observer's signal-to-noise ratio (Barrett et al. 1993), which goes on rising where the AUC is 1 already.

    Returns:
        NaN without lesions or where healthy white matter gives one response everywhere.
    """
    healthy = response[lesion_map.healthy].astype(np.float64)
    spread = float(healthy.std())
    if not lesion_map.count or not spread > 0:
        return float("nan")
    return float((np.mean(lesion_map.means(response)) - healthy.mean()) / spread)


def choose_threshold(responses: Sequence[tuple[Image, LesionMap]], rate: float) -> float:
    """The lowest threshold, to a tenth of a SD, down to which no more than ``rate`` false lesions an image are found.

    Of responses to clean images of validation subjects, in the mean; NaN without images.
    """
    if not responses:
        return float("nan")
    # A region of three voxels cannot be found by a threshold above the third highest response.
    highest = max(float(np.partition(r[p.healthy], -LEAST)[-LEAST]) for r, p in responses)
    steps = int(np.ceil(highest / _STEP))
    while steps > 0 and np.mean([false_lesions(r, p, (steps - 1) * _STEP) for r, p in responses]) <= rate:
        steps -= 1
    return steps * _STEP


COLUMNS = ("lesions", "brain", "white")
MOST = 20
"""Subjects with lesions of either split that are looked at: three hundred lesions are plenty for four weights."""


@dataclass(frozen=True)
class FittedDetector:
    """A condition's detector and its record: subjects, lesions, how well it does on the clean validation images."""

    detector: Detector
    record: dict[str, Any]


def usable_rows(pairs: Pairs) -> list[Pair]:
    """The rows that an observer may learn from: training and validation, with a clean image and all masks."""
    return [p for p in pairs if p.split in ("train", "val") and p.clean is not None and all(map(p.path, COLUMNS))]


def fit_detectors(pairs: Pairs, condition: str, rate: float) -> dict[str, FittedDetector]:
    """A detector for every condition.

    Neither a test subject nor a restored image is opened: an observer that had seen what a method makes of lesions
    would look for that.

    Args:
        pairs: The rows that count, of all splits.
        condition: Column that says which image of a subject a row is; empty where there is one kind. The result is
            by its values, without those that too few training lesions are known of.
        rate: False lesions an image that are accepted on clean validation images.

    Raises:
        UserError: If an image or mask cannot be read or is on another grid.
    """
    groups: dict[str, dict[str, list[Pair]]] = {}
    for pair in usable_rows(pairs):
        own = groups.setdefault(pair.columns.get(condition, ""), {"train": [], "val": []})
        if all(pair.clean != other.clean for other in own[pair.split]):
            own[pair.split].append(pair)
    masks = MaskCache()
    detectors: dict[str, FittedDetector] = {}
    if not groups:
        return detectors
    with progress("lesion observer", len(groups), "detectors") as bar:
        for value, rows in groups.items():
            train = [image.samples() for image in _observer_images(rows["train"], masks)]
            detector = fit_detector(train)
            if detector is not None:
                responses = [(detector.respond(one), one.lesion_map) for one in _observer_images(rows["val"], masks)]
                complete = replace(detector, threshold=choose_threshold(responses, rate))
                detectors[value] = FittedDetector(complete, _record(complete, train, responses))
            bar.advance(1)
    return detectors


def _observer_images(rows: list[Pair], masks: MaskCache) -> Iterator[ObserverImage]:
    """Clean images of at most :data:`MOST` subjects with lesions, and of the subjects without that come between."""
    with_lesions = 0
    for pair in rows:
        if with_lesions == MOST:
            break
        assert pair.clean is not None
        image = read_volume(pair.clean)
        lesions, brain, white = (masks.read(pair, column, image) for column in COLUMNS)
        if lesions is None or brain is None or white is None:
            continue
        lesion_map = map_lesions(lesions, white, image.voxel_size)
        observed = observer_image(image.data, image.data, brain, white, lesion_map, image.voxel_size)
        if observed is not None:
            with_lesions += lesion_map.count > 0
            yield observed


def _record(
    detector: Detector, train: list[tuple[Floats, Floats]], responses: list[tuple[Image, LesionMap]]
) -> dict[str, Any]:
    areas = [detectability(r, p) for r, p in responses if p.count]
    return {
        "template": [round(float(weight), 5) for weight in detector.template],
        "threshold": None if np.isnan(detector.threshold) else round(detector.threshold, 2),
        "training": {"images": len(train), "lesions": sum(len(lesions) for lesions, _ in train)},
        "validation": {
            "images": len(responses),
            "lesions": sum(p.count for _, p in responses),
            "found": sum(detected_lesions(r, p, detector.threshold) for r, p in responses),
            "auc": round(float(np.mean(areas)), 4) if areas else None,
        },
    }


FOLDER = "lesion_observers"
# Raised when channels, template or threshold are made otherwise, so that observers kept before are not taken for new.
_GENERATION = 1


def detectors_for(pairs: Pairs, condition: str, rate: float, store: Path | None = None) -> dict[str, FittedDetector]:
    """A cohort's observers, as :func:`fit_detectors`: those that an evaluation before kept, else taught and kept.

    What is read gives the same figures to the bit as what was taught: numbers are written with all their digits. A
    file that is damaged is taught anew and replaced, and where nothing can be written nothing is kept.

    The folder ``store`` keeps them, ``<cohort>/derivatives/lesion_observers`` where None.

    Raises:
        UserError: If an image or mask cannot be read or is on another grid.
    """
    if not usable_rows(pairs):
        return {}
    path = observers_file(pairs, condition, rate, store)
    if (stored := _read(path)) is not None:
        return stored
    fitted = fit_detectors(pairs, condition, rate)
    values = {name: _values(one) for name, one in fitted.items()}
    try:
        write_json(path, {"checksum": value_digest(values, 64), "observers": values})
    except OSError as error:
        say(f"note: the lesion observers are not kept, {path.parent} cannot be written to ({error.strerror})")
    else:
        say(f"lesion observer: kept in {path}")
    return fitted


def observers_file(pairs: Pairs, condition: str, rate: float, store: Path | None = None) -> Path:
    """Where :func:`detectors_for` keeps the observers of these rows and settings.

    The name holds a digest of the training and validation rows that have lesion masks, with their files, and of all
    that decides a template or a threshold. Test rows do not count.
    """
    rows = Pairs(pairs.source, tuple(usable_rows(pairs)))
    mark = value_digest(
        {
            "generation": _GENERATION,
            "rows": fingerprint(rows, (condition, *COLUMNS)),
            "condition": condition,
            "rate": rate,
            "settings": [SIGMAS_MM, LEAST, MARGIN_MM, MOST],
            # Another version of these may add up in another order.
            "versions": [np.__version__, scipy.__version__],
        }
    )
    folder = store if store is not None else pairs.folder / "derivatives" / FOLDER
    return folder / f"lesions-{mark}.json"


def _values(fitted: FittedDetector) -> dict[str, Any]:
    values = {**asdict(fitted.detector), "template": fitted.detector.template.tolist(), "record": fitted.record}
    return values | {"threshold": None if np.isnan(fitted.detector.threshold) else fitted.detector.threshold}


def _read(path: Path) -> dict[str, FittedDetector] | None:
    """What was kept; None where there is nothing, or it is not what was written."""
    try:
        held = parse_json(read_text(path), str(path))
        if held["checksum"] != value_digest(held["observers"], 64):
            return None
        detectors = {}
        for name, values in held["observers"].items():
            threshold = float("nan") if values["threshold"] is None else float(values["threshold"])
            template = np.array(values["template"], dtype=np.float64)
            detector = Detector(template, float(values["offset"]), threshold)
            detectors[name] = FittedDetector(detector, dict(values["record"]))
        return detectors
    except (UserError, ValueError, TypeError, KeyError, AttributeError):
        return None
