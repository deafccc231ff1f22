"""Who flipped: a judge's decision on the restored image against its own on the clean one, and against the label.

A *flip* is relative: the same judge decides otherwise on the restored image than on the clean one, whoever is
right. An *error* is absolute: the decision differs from the label. A judge that errs on clean images too makes
errors that no restorer is to blame for; its flips still are the restorer's.

The unit is the subject, everywhere: one with several cases (doses, contrasts), labels or classes counts once, and has
flipped, or is read wrongly, if any of them has or is. Every rate is a number of subjects over a number of subjects,
and McNemar's test counts the same ones.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from taskgan.audit.readings import CLEAN, Readings
from taskgan.evaluate.statistics import Interval, auc_interval, corrected, exact_rate, mcnemar

_GRID = 400


@dataclass(frozen=True)
class Opinion:
    """How one judge reads one set of images, by subject (see the module).

    Attributes:
        judge: Its name.
        image: ``input``, ``clean`` or a method.
        subjects: Whose decision is known on this and on the clean image.
        flipped: Subjects with a flip in any case (class, label).
        to_positive: Of these, negative on the clean image and positive here.
        to_negative: The other way round.
        flips: ``flipped`` over ``subjects``, Clopper–Pearson.
        errors: Subjects with any decision that differs from the label, likewise.
        sensitivity: Of the subjects with positive cases those all of which are called positive, likewise; NaN where
            there are several classes or labels.
        specificity: The same of negative cases.
        balanced_accuracy: Mean of the two, of the classes' sensitivities, or over labels, see
            :func:`balanced_accuracy`.
        auc: Area under the ROC curve of the scores, with DeLong's interval; the mean over several classes or
            labels, without.
        output: The class or label that this is about; empty for all of them together.
    """

    judge: str
    image: str
    subjects: int
    flipped: int
    to_positive: int
    to_negative: int
    flips: Interval
    errors: Interval
    sensitivity: Interval
    specificity: Interval
    balanced_accuracy: Interval
    auc: Interval
    output: str = ""


@dataclass(frozen=True)
class Contrast:
    """Two methods on the subjects that both restored.

    Attributes:
        judge: Whose decisions.
        other: The method compared with.
        measure: ``flips`` or ``errors``.
        subjects: In both.
        only_audited: Subjects with the event under the audited method only.
        only_other: Under the other method only.
        p: McNemar, exact, two-sided.
        corrected: p after :func:`family`; NaN where this comparison stands alone.
    """

    judge: str
    other: str
    measure: str
    subjects: int
    only_audited: int
    only_other: int
    p: float
    corrected: float = float("nan")


def family(found: Sequence[Contrast]) -> list[Contrast]:
    """All comparisons of one audit, corrected together (Holm): several judges, methods and measures are asked."""
    ps = corrected([one.p for one in found])
    return [replace(one, corrected=p) for one, p in zip(found, ps, strict=True)]


def opinion(readings: Readings, judge: str, image: str, output: str | None = None) -> Opinion:
    """Summarise a judge's decisions on the test cases of one kind of image.

    Args:
        readings: All.
        judge: Its name.
        image: ``input``, ``clean`` or a method.
        output: One class or label, against the others; None is all of them.
    """
    rows, clean = readings.of(judge, image, output=output), readings.of(judge, CLEAN, output=output)
    before = clean["decision"].reindex(rows.index)
    known = rows["decision"].notna() & before.notna()
    rows, before = rows[known], before[known]
    up = (rows["decision"] > 0.5) & (before < 0.5)
    down = (rows["decision"] < 0.5) & (before > 0.5)
    who = rows["subject"]
    truth = rows[rows["truth"].notna()]
    positive, said = truth["truth"] > 0.5, truth["decision"] > 0.5
    one = truth.index.get_level_values("output").nunique() <= 1
    halves = [_right(said[part], positive[part], truth["subject"][part]) for part in (positive, ~positive)]
    groups = halves if one else _groups(truth, readings.about(judge).kind)
    return Opinion(
        judge=judge,
        image=image,
        subjects=int(who.nunique()),
        flipped=_count(up | down, who),
        to_positive=_count(up, who),
        to_negative=_count(down, who),
        flips=exact_rate(_count(up | down, who), int(who.nunique())),
        errors=exact_rate(_count(said != positive, truth["subject"]), int(truth["subject"].nunique())),
        sensitivity=exact_rate(*halves[0]) if one else _unknown(),
        specificity=exact_rate(*halves[1]) if one else _unknown(),
        balanced_accuracy=balanced_accuracy(groups),
        auc=_area(truth),
        output=output or "",
    )


def balanced_accuracy(groups: Sequence[tuple[int, int]]) -> Interval:
    """Mean of the shares of right decisions, with the 95 % interval of its posterior under flat priors.

    Brodersen et al. 2010 (10.1109/ICPR.2010.764): each share is beta distributed given its counts; the mean's
    quantiles come from a grid, one share after the other. Always giving one answer gets one over the number of
    groups.

    Args:
        groups: Right subjects and all subjects: of the positive and of the negative ones, or of each class.

    Returns:
        NaN where a group is empty or there is only one.
    """
    if len(groups) < 2 or any(count == 0 for _, count in groups):
        return _unknown()
    levels = (np.arange(_GRID) + 0.5) / _GRID
    parts = [stats.beta.ppf(levels, hits + 1, count - hits + 1) for hits, count in groups]
    total = parts[0]
    for part in parts[1:-1]:
        total = np.quantile(total[:, None] + part[None, :], levels)
    low, high = np.quantile((total[:, None] + parts[-1][None, :]) / len(groups), [0.025, 0.975])
    middle = sum(hits / count for hits, count in groups) / len(groups)
    return Interval(middle, min(float(low), middle), max(float(high), middle))


def contrasts(readings: Readings, judge: str, audited: str, other: str) -> list[Contrast]:
    """McNemar of flips and of errors between two methods, on the subjects that both restored."""
    ours, theirs = readings.of(judge, audited), readings.of(judge, other)
    both = ours.index.intersection(theirs.index, sort=False)
    ours, theirs = ours.loc[both], theirs.loc[both]
    clean = readings.of(judge, CLEAN).reindex(both)
    found = []
    for measure, truth in (("flips", clean["decision"]), ("errors", ours["truth"])):
        known = ours["decision"].notna() & theirs["decision"].notna() & truth.notna()
        events = [
            ((one["decision"] != truth) & known).groupby(ours["subject"], sort=False).any()
            for one in (ours, theirs)
        ]
        only_ours, only_theirs = int((events[0] & ~events[1]).sum()), int((events[1] & ~events[0]).sum())
        count = int(ours["subject"][known].nunique())
        found.append(
            Contrast(judge, other, measure, count, only_ours, only_theirs, mcnemar(only_ours, only_theirs))
        )
    return found


def _count(event: pd.Series, who: pd.Series) -> int:
    """Subjects with the event in any of their rows."""
    return int(who[event].nunique())


def _right(said: pd.Series, positive: pd.Series, who: pd.Series) -> tuple[int, int]:
    """Subjects all of whose rows are right, and all subjects."""
    count = int(who.nunique())
    return count - _count(said != positive, who), count


def _groups(truth: pd.DataFrame, kind: str) -> list[tuple[int, int]]:
    """Right and all subjects of every class; of labels, of the positive and the negative ones of each.

    Classes that no audited subject has, and labels that all or none have, say nothing.
    """
    groups: list[tuple[int, int]] = []
    for _, rows in truth.groupby(level="output", sort=False):
        positive, said = rows["truth"] > 0.5, rows["decision"] > 0.5
        if not positive.any() or positive.all():
            continue
        parts = (positive,) if kind == "multi_class" else (positive, ~positive)
        groups += [_right(said[p], positive[p], rows["subject"][p]) for p in parts]
    return groups


def _area(truth: pd.DataFrame) -> Interval:
    """AUC; of several outputs the mean over those that have both labels."""
    found = []
    for _, rows in truth.groupby(level="output", sort=False):
        positive = rows["truth"] > 0.5
        if positive.any() and not positive.all():
            found.append(auc_interval(rows["score"], positive, list(rows["subject"])))
    if len(found) == 1:
        return found[0]
    mean = float(np.mean([one.estimate for one in found])) if found else math.nan
    return Interval(mean, math.nan, math.nan)


def _unknown() -> Interval:
    return Interval(math.nan, math.nan, math.nan)
