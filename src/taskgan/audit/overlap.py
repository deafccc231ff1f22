"""How much of a judge's mask of the clean image it finds again in another image of the same case."""

from collections.abc import Sequence
from dataclasses import dataclass

from taskgan.audit.readings import Readings
from taskgan.evaluate.statistics import Interval, mean_interval


@dataclass(frozen=True)
class Kept:
    """Dice of a judge's masks, mean over subjects with bootstrap intervals.

    Attributes:
        subjects: Whose masks could be compared: the judge finds the class in one of the two images at least.
        kept: With the same judge's mask of the clean image; 1 where nothing moved.
        right: With the table's mask; NaN where there is none.
    """

    subjects: int
    kept: Interval
    right: Interval


def kept_masks(readings: Readings, images: Sequence[str]) -> dict[str, dict[str, Kept]]:
    """By judge (and class, where there are several), then by image; empty where nobody draws masks.

    Args:
        readings: With the overlaps of every case.
        images: ``input`` and methods.
    """
    table = readings.overlaps
    found: dict[str, dict[str, Kept]] = {}
    if not len(table):
        return found
    for judge in table["judge"].drop_duplicates():
        names = readings.outputs(judge)
        for name in names:
            rows = table[(table["judge"] == judge) & (table["output"] == name)]
            called = judge if len(names) == 1 else f"{judge} {name}"
            found[called] = {}
            for image in images:
                own = rows[rows["image"] == image]
                who = list(own["subject"])
                found[called][image] = Kept(
                    int(own.loc[own["kept"].notna(), "subject"].nunique()),
                    mean_interval(own["kept"], who),
                    mean_interval(own["right"], who),
                )
    return found
