"""Whether a judge is one: who cannot read the clean image cannot say that a restoration changed it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from taskgan.judges.metrics import ReaderMetrics, judge_metrics
from taskgan.judges.readings import CLEAN, Readings
from taskgan.stats import Interval, mean_interval

MIN_AUC = 0.8
MIN_CORRELATION = 0.8
MIN_DICE = 0.7


@dataclass(frozen=True)
class JudgeFitness:
    """Whether a judge is one: it must be able to read the clean images.

    Attributes:
        judge: Its name.
        fit: Whether its opinion counts.
        reason: In words.
        unread: Of several labels, those that it cannot read, on which its opinion does not count.
    """

    judge: str
    fit: bool
    reason: str
    unread: tuple[str, ...] = ()


def judge_fitness(readings: Readings, judge: str) -> JudgeFitness:
    """Hold a judge's reading of the audited subjects' clean images against what they show.

    Decisions want an AUC of .8 and a balanced accuracy whose interval lies above chance; values a correlation of .8
    with the label; masks a Dice of .7. Of several labels each is asked by itself.
    """
    kind = readings.property_of(judge).kind
    if kind == "regression":
        return _value_fitness(readings, judge)
    if kind == "segmentation":
        return _masks_fitness(readings, judge)
    if kind == "multi_label":
        return _labels_fitness(readings, judge)
    metrics = judge_metrics(readings, judge, CLEAN)
    if kind != "multi_class":
        return decision_fitness(judge, metrics)
    rows = readings.select(judge, CLEAN)
    classes = rows[rows["truth"] > 0.5].index.get_level_values("output").nunique()
    return decision_fitness(judge, metrics, chance=1 / classes if classes else math.nan, several="classes")


def decision_fitness(name: str, clean: ReaderMetrics, *, chance: float = 0.5, several: str = "labels") -> JudgeFitness:
    """Decide from its reading of the audited subjects' clean images whether a judge is one.

    ``chance`` is the balanced accuracy of always giving one answer, ``several`` what the subjects must have two of.
    """
    blind = f"{name} is no judge: "
    accuracy, area = clean.balanced_accuracy, clean.auc
    if math.isnan(accuracy.low) or math.isnan(area.estimate):
        had = "both labels" if several == "labels" else "several classes"
        return JudgeFitness(name, False, f"{name} is no judge here: the audited subjects do not have {had}")
    evidence = (
        f"balanced accuracy {accuracy.estimate:.2f} [{accuracy.low:.2f}, {accuracy.high:.2f}], AUC "
        f"{area.estimate:.2f} on the clean images"
    )
    if area.estimate < MIN_AUC:
        return JudgeFitness(name, False, f"{blind}it cannot read the clean images ({evidence}; AUC under {MIN_AUC})")
    if accuracy.low <= chance:
        why = "its reading of the clean images is not shown to be better than chance"
        return JudgeFitness(name, False, f"{blind}{why} ({evidence})")
    return JudgeFitness(name, True, f"{name} reads the clean images: {evidence}")


def _labels_fitness(readings: Readings, judge: str) -> JudgeFitness:
    """Of several labels, some may be read and others not."""
    names = readings.outputs(judge)
    single = {name: decision_fitness(judge, judge_metrics(readings, judge, CLEAN, name)) for name in names}
    read = [name for name, result in single.items() if result.fit]
    unread = tuple(name for name in names if name not in read)
    if not read:
        reasons = {result.reason.removeprefix(f"{judge} ") for result in single.values()}
        why = reasons.pop() if len(reasons) == 1 else f"is no judge: it reads none of {', '.join(names)}"
        return JudgeFitness(judge, False, f"{judge} {why}", unread)
    evidence = f"{judge} reads {', '.join(read)} in the clean images"
    if unread:
        evidence += (
            f"; not {', '.join(unread)} (AUC under {MIN_AUC}, not better than chance, or one label only), where "
            "it does not count"
        )
    return JudgeFitness(judge, True, evidence, unread)


def _value_fitness(readings: Readings, judge: str) -> JudgeFitness:
    known = readings.select(judge, CLEAN).dropna(subset=["target", "prediction"])
    varies = known["target"].nunique() > 1 and known["prediction"].nunique() > 1
    r = float(np.corrcoef(known["prediction"], known["target"])[0, 1]) if varies else math.nan
    correlation = "unknown" if math.isnan(r) else f"{r:.2f}".replace("-", "−")
    evidence = f"correlation with the label {correlation} on the clean images"
    return _threshold_fitness(judge, r, MIN_CORRELATION, evidence)


def _masks_fitness(readings: Readings, judge: str) -> JudgeFitness:
    dice = readings.select(judge, CLEAN).groupby("subject")["dice"].mean().mean()
    evidence = f"Dice with the table's masks {dice:.2f} on the clean images"
    if math.isnan(dice):
        return JudgeFitness(judge, False, f"{judge} is no judge here: the table has no masks to hold it against")
    return _threshold_fitness(judge, dice, MIN_DICE, evidence)


def _threshold_fitness(judge: str, value: float, least: float, evidence: str) -> JudgeFitness:
    if not value >= least:
        why = f"it cannot read the clean images ({evidence}; under {least})"
        return JudgeFitness(judge, False, f"{judge} is no judge: {why}")
    return JudgeFitness(judge, True, f"{judge} reads the clean images: {evidence}")


def without_unread(readings: Readings, by_judge: Mapping[str, JudgeFitness]) -> Readings:
    """The readings without the decisions on labels that their judge cannot read."""
    for name, one in by_judge.items():
        if one.fit and one.unread:
            readings = readings.without_outputs(name, one.unread)
    return readings


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


def named_outputs(readings: Readings, judges: Sequence[str]) -> list[tuple[str, str, str]]:
    """Name, judge and output of all that these judges read; of several outputs the name says which."""
    outputs = {judge: readings.outputs(judge) for judge in judges}
    return [(j if len(of) == 1 else f"{j} {name}", j, name) for j, of in outputs.items() for name in of]


def mask_overlaps(readings: Readings, images: Sequence[str]) -> dict[str, dict[str, MaskOverlap]]:
    """By judge (and class, where there are several), then by image; empty where nobody draws masks.

    Args:
        readings: Of every case.
        images: ``input`` and methods.
    """
    overlaps: dict[str, dict[str, MaskOverlap]] = {}
    judges = [judge for judge in readings.judges if readings.property_of(judge).kind == "segmentation"]
    for called, judge, name in named_outputs(readings, judges):
        overlaps[called] = {image: _mask_overlap(readings.select(judge, image, name)) for image in images}
    return overlaps


def _mask_overlap(rows: pd.DataFrame) -> MaskOverlap:
    who, count = list(rows["subject"]), int(rows.loc[rows["dice_clean"].notna(), "subject"].nunique())
    return MaskOverlap(count, mean_interval(rows["dice_clean"], who), mean_interval(rows["dice"], who))
