"""The observers of a cohort: taught on clean images of training subjects, their thresholds on validation subjects."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from taskgan.cohort.folder import fingerprint
from taskgan.cohort.grids import MaskCache
from taskgan.cohort.pairs import Pair, Pairs
from taskgan.core.console import progress, say
from taskgan.core.errors import UserError
from taskgan.core.files import value_digest, write_json
from taskgan.core.parse import parse_json, read_text
from taskgan.images.volumes import read_volume
from taskgan.judges.lesions.detector import (
    LEAST,
    MARGIN_MM,
    SIGMAS_MM,
    Detector,
    Floats,
    Image,
    LesionMap,
    ObserverImage,
    choose_threshold,
    detectability,
    detected_lesions,
    fit_detector,
    map_lesions,
    observer_image,
)

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
        condition: Column that says which image of a subject a row is; empty where there is one kind.
        rate: False lesions an image that are accepted on clean validation images.

    Returns:
        By value of the column; without those that too few training lesions are known of.

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
    stored = _read(path)
    if stored is not None:
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
