"""Whether a judge is one: who cannot read the clean image cannot say that a restoration changed it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from taskgan.judges.metrics import ReaderMetrics, metrics_of
from taskgan.judges.readings import CLEAN, Readings

LEAST_AUC = 0.8
LEAST_R = 0.8
LEAST_DICE = 0.7


@dataclass(frozen=True)
class Fitness:
    """Whether a judge is one: it must be able to read the clean images.

    Attributes:
        judge: Its name.
        fit: Whether its opinion counts.
        why: In words.
        unread: Of several labels, those that it cannot read, on which its opinion does not count.
    """

    judge: str
    fit: bool
    why: str
    unread: tuple[str, ...] = ()


def fitness_of(readings: Readings, judge: str) -> Fitness:
    """Hold a judge's reading of the audited subjects' clean images against what they show.

    Decisions want an AUC of .8 and a balanced accuracy whose interval lies above chance; values a correlation of .8
    with the label; masks a Dice of .7. Of several labels each is asked by itself.
    """
    kind = readings.about(judge).kind
    if kind == "regression":
        return _value(readings, judge)
    if kind == "segmentation":
        return _masks(readings, judge)
    if kind == "multi_label":
        return _labels(readings, judge)
    found = metrics_of(readings, judge, CLEAN)
    if kind != "multi_class":
        return fitness(judge, found)
    rows = readings.of(judge, CLEAN)
    classes = rows[rows["truth"] > 0.5].index.get_level_values("output").nunique()
    return fitness(judge, found, chance=1 / classes if classes else math.nan, several="classes")


def fitness(name: str, clean: ReaderMetrics, *, chance: float = 0.5, several: str = "labels") -> Fitness:
    """Decide from its reading of the audited subjects' clean images whether a judge is one.

    Args:
        name: Of the judge.
        clean: That reading.
        chance: Balanced accuracy of always giving one answer.
        several: What the audited subjects must have two of.
    """
    accuracy, area = clean.balanced_accuracy, clean.auc
    if math.isnan(accuracy.low) or math.isnan(area.estimate):
        had = "both labels" if several == "labels" else "several classes"
        return Fitness(name, False, f"{name} is no judge here: the audited subjects do not have {had}")
    told = (
        f"balanced accuracy {accuracy.estimate:.2f} [{accuracy.low:.2f}, {accuracy.high:.2f}], AUC "
        f"{area.estimate:.2f} on the clean images"
    )
    if area.estimate < LEAST_AUC:
        return Fitness(
            name,
            False,
            f"{name} is no judge: it cannot read the clean images ({told}; AUC under {LEAST_AUC})",
        )
    if accuracy.low <= chance:
        return Fitness(
            name,
            False,
            f"{name} is no judge: its reading of the clean images is not shown to be better than chance ({told})",
        )
    return Fitness(name, True, f"{name} reads the clean images: {told}")


def _labels(readings: Readings, judge: str) -> Fitness:
    """Of several labels, some may be read and others not."""
    names = readings.outputs(judge)
    single = {name: fitness(judge, metrics_of(readings, judge, CLEAN, name)) for name in names}
    read = [name for name, found in single.items() if found.fit]
    unread = tuple(name for name in names if name not in read)
    if not read:
        reasons = {found.why.removeprefix(f"{judge} ") for found in single.values()}
        why = reasons.pop() if len(reasons) == 1 else f"is no judge: it reads none of {', '.join(names)}"
        return Fitness(judge, False, f"{judge} {why}", unread)
    told = f"{judge} reads {', '.join(read)} in the clean images"
    if unread:
        told += (
            f"; not {', '.join(unread)} (AUC under {LEAST_AUC}, not better than chance, or one label only), where "
            "it does not count"
        )
    return Fitness(judge, True, told, unread)


def _value(readings: Readings, judge: str) -> Fitness:
    clean = readings.of(judge, CLEAN)
    known = clean[clean["target"].notna() & clean["prediction"].notna()]
    varies = known["target"].nunique() > 1 and known["prediction"].nunique() > 1
    r = float(np.corrcoef(known["prediction"], known["target"])[0, 1]) if varies else math.nan
    shown = "unknown" if math.isnan(r) else f"{r:.2f}".replace("-", "−")
    told = f"correlation with the label {shown} on the clean images"
    if not r >= LEAST_R:
        return Fitness(
            judge, False, f"{judge} is no judge: it cannot read the clean images ({told}; under {LEAST_R})"
        )
    return Fitness(judge, True, f"{judge} reads the clean images: {told}")


def _masks(readings: Readings, judge: str) -> Fitness:
    found = readings.of(judge, CLEAN).groupby("subject")["dice"].mean().mean()
    told = f"Dice with the table's masks {found:.2f} on the clean images"
    if math.isnan(found):
        return Fitness(judge, False, f"{judge} is no judge here: the table has no masks to hold it against")
    if found < LEAST_DICE:
        return Fitness(
            judge, False, f"{judge} is no judge: it cannot read the clean images ({told}; under {LEAST_DICE})"
        )
    return Fitness(judge, True, f"{judge} reads the clean images: {told}")


def counted(readings: Readings, found: Mapping[str, Fitness]) -> Readings:
    """The readings without the decisions on labels that their judge cannot read."""
    for name, one in found.items():
        unread: Sequence[str] = one.unread if one.fit else ()
        readings = readings.without(name, unread) if unread else readings
    return readings
