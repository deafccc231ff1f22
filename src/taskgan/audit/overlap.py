"""How much of a judge's mask of the clean image it finds again in another image of the same case."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from taskgan.evaluate.statistics import Interval, mean_interval
from taskgan.judges.readings import Readings


@dataclass(frozen=True)
class MaskOverlap:
    """Dice of a judge's masks, mean over subjects with bootstrap intervals.

    Attributes:
        subjects: Whose masks could be compared: the judge finds the class in one of the two images at least.
        kept: With the same judge's mask of the clean image; 1 where nothing moved.
        right: With the table's mask; NaN where there is none.
    """

    subjects: int
    kept: Interval
    right: Interval


def mask_overlaps(readings: Readings, images: Sequence[str]) -> dict[str, dict[str, MaskOverlap]]:
    """By judge (and class, where there are several), then by image; empty where nobody draws masks.

    Args:
        readings: Of every case.
        images: ``input`` and methods.
    """
    overlaps: dict[str, dict[str, MaskOverlap]] = {}
    for judge in readings.judges:
        if readings.property_of(judge).kind != "segmentation":
            continue
        names = readings.outputs(judge)
        for name in names:
            overlaps[judge if len(names) == 1 else f"{judge} {name}"] = {
                image: _mask_overlap(readings.select(judge, image, name)) for image in images
            }
    return overlaps


def _mask_overlap(rows: pd.DataFrame) -> MaskOverlap:
    who = list(rows["subject"])
    return MaskOverlap(
        int(rows.loc[rows["dice_clean"].notna(), "subject"].nunique()),
        mean_interval(rows["dice_clean"], who),
        mean_interval(rows["dice"], who),
    )
