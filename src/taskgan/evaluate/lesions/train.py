"""The observers of a cohort: taught on clean images of training subjects, their thresholds on validation subjects."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from taskgan.cohort.images import read_volume
from taskgan.cohort.pairs import Pair, Pairs
from taskgan.core.console import progress
from taskgan.evaluate.lesions.detector import (
    ChannelSamples,
    Detector,
    Image,
    ObserverImage,
    choose_threshold,
    detectability,
    detected_lesions,
    fit_detector,
    observer_image,
)
from taskgan.evaluate.lesions.places import LesionMap, map_lesions
from taskgan.evaluate.masks import MaskCache

COLUMNS = ("lesions", "brain", "white")
MOST = 20
"""Subjects with lesions of either split that are looked at: three hundred lesions are plenty for four weights."""


@dataclass(frozen=True)
class FittedDetector:
    """A detector and what is to be recorded of it.

    Attributes:
        detector: For one condition.
        record: Subjects, lesions, and how well it does on the clean validation images.
    """

    detector: Detector
    record: dict[str, Any]


def usable_rows(pairs: Pairs) -> list[Pair]:
    """The rows that an observer may learn from: training and validation, with a clean image and all masks."""
    return [
        pair
        for pair in pairs
        if pair.split in ("train", "val") and pair.clean is not None and all(map(pair.path, COLUMNS))
    ]


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
                responses = [
                    (detector.respond(image), image.lesion_map)
                    for image in _observer_images(rows["val"], masks)
                ]
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
    detector: Detector, train: list[ChannelSamples], responses: list[tuple[Image, LesionMap]]
) -> dict[str, Any]:
    areas = [detectability(r, p) for r, p in responses if p.count]
    return {
        "template": [round(float(weight), 5) for weight in detector.template],
        "threshold": None if np.isnan(detector.threshold) else round(detector.threshold, 2),
        "training": {"images": len(train), "lesions": sum(len(one.lesions) for one in train)},
        "validation": {
            "images": len(responses),
            "lesions": sum(p.count for _, p in responses),
            "found": sum(detected_lesions(r, p, detector.threshold) for r, p in responses),
            "auc": round(float(np.mean(areas)), 4) if areas else None,
        },
    }
