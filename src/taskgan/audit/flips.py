"""Who flipped: a judge's decision on the restored image against its own on the clean one, and against the label.

A *flip* is relative: the same judge decides otherwise on the restored image than on the clean one, whoever is
right. An *error* is absolute: the decision differs from the label. A judge that errs on clean images too makes
errors that no restorer is to blame for; its flips still are the restorer's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from taskgan.audit.readings import CLEAN, Readings
from taskgan.evaluate.statistics import Interval, auc_interval, corrected, exact_rate, mcnemar, subject_means

LEAST_AUC = 0.8
LEAST_R = 0.8
_GRID = 400


@dataclass(frozen=True)
class Opinion:
    """How one judge reads one set of images (by subject: a subject's cases count as one).

    Attributes:
        judge: Its name.
        image: ``input``, ``clean`` or a method.
        subjects: Whose decision is known on this and on the clean image.
        flipped: Subjects with a flip in any case.
        to_positive: Of these, negative on the clean image and positive here (in any case).
        to_negative: The other way round.
        flips: Rate of flips, Clopper–Pearson by subject.
        errors: Decisions that differ from the label, likewise.
        sensitivity: Right decisions among positives, likewise.
        specificity: Among negatives.
        balanced_accuracy: Mean of the two, see :func:`balanced_accuracy`.
        auc: Area under the ROC curve of the scores, with DeLong's interval.
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


@dataclass(frozen=True)
class Fitness:
    """Whether a judge is one: it must be able to read the clean images.

    Attributes:
        judge: Its name.
        fit: Whether its opinion counts.
        why: In words.
    """

    judge: str
    fit: bool
    why: str


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


def opinion(readings: Readings, judge: str, image: str) -> Opinion:
    """Summarise a judge's decisions on the test cases of one kind of image."""
    rows, clean = readings.of(judge, image), readings.of(judge, CLEAN)
    before = clean["decision"].reindex(rows.index)
    known = rows["decision"].notna() & before.notna()
    rows, before = rows[known], before[known]
    up = (rows["decision"] > 0.5) & (before < 0.5)
    down = (rows["decision"] < 0.5) & (before > 0.5)
    who = rows["subject"]
    truth = rows[rows["label"].notna()]
    positive, said = truth["label"] > 0.5, truth["decision"] > 0.5
    sensitivity, specificity = _rate(said[positive], truth), _rate(~said[~positive], truth)
    return Opinion(
        judge=judge,
        image=image,
        subjects=int(who.nunique()),
        flipped=int(who[up | down].nunique()),
        to_positive=int(who[up].nunique()),
        to_negative=int(who[down].nunique()),
        flips=_rate(up | down, rows),
        errors=_rate(said != positive, truth),
        sensitivity=sensitivity,
        specificity=specificity,
        balanced_accuracy=balanced_accuracy(said, positive, truth["subject"]),
        auc=auc_interval(truth["score"], positive, list(truth["subject"]))
        if positive.any() and not positive.all()
        else _unknown(),
    )


def fitness(clean: Opinion) -> Fitness:
    """Decide from its reading of the audited subjects' clean images whether a judge is one.

    It is none where its AUC is under .8 or the interval of its balanced accuracy reaches one half: who cannot read
    the clean image cannot say that a restoration changed it.
    """
    name, accuracy, area = clean.judge, clean.balanced_accuracy, clean.auc
    if math.isnan(accuracy.low) or math.isnan(area.estimate):
        return Fitness(name, False, f"{name} is no judge here: the audited subjects do not have both labels")
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
    if accuracy.low <= 0.5:
        return Fitness(
            name,
            False,
            f"{name} is no judge: its reading of the clean images is not shown to be better than chance ({told})",
        )
    return Fitness(name, True, f"{name} reads the clean images: {told}")


def value_fitness(readings: Readings, judge: str) -> Fitness:
    """The same of a judge that reads a value: its reading of the clean images must follow the label, r of .8 or "
    "more."""
    clean = readings.of(judge, CLEAN)
    known = clean[clean["label"].notna() & clean["score"].notna()]
    varies = known["label"].nunique() > 1 and known["score"].nunique() > 1
    r = float(np.corrcoef(known["score"], known["label"])[0, 1]) if varies else math.nan
    told = f"correlation with the label {r:.2f} on the clean images"
    if not r >= LEAST_R:
        return Fitness(
            judge, False, f"{judge} is no judge: it cannot read the clean images ({told}; under {LEAST_R})"
        )
    return Fitness(judge, True, f"{judge} reads the clean images: {told}")


def balanced_accuracy(said: pd.Series, positive: pd.Series, subjects: pd.Series) -> Interval:
    """Mean of sensitivity and specificity, with the 95 % interval of its posterior under flat priors.

    Brodersen et al. 2010 (10.1109/ICPR.2010.764): both are beta distributed given the counts; the mean's quantiles
    come from a grid of both. Always saying "negative" gives one half. NaN where a label is missing.

    Args:
        said: Decisions, True for positive.
        positive: Labels.
        subjects: Who; several cases of a subject count as one.
    """
    right = (said == positive).astype(float)
    halves = []
    for wanted in (True, False):
        shares, _ = subject_means(right[positive == wanted], list(subjects[positive == wanted]))
        if not len(shares):
            return _unknown()
        halves.append((float(shares.sum()), len(shares)))
    levels = (np.arange(_GRID) + 0.5) / _GRID
    first, second = (stats.beta.ppf(levels, hits + 1, count - hits + 1) for hits, count in halves)
    low, high = np.quantile((first[:, None] + second[None, :]) / 2, [0.025, 0.975])
    middle = sum(hits / count for hits, count in halves) / 2
    return Interval(middle, min(float(low), middle), max(float(high), middle))


def contrasts(readings: Readings, judge: str, audited: str, other: str) -> list[Contrast]:
    """McNemar of flips and of errors between two methods, on the subjects that both restored."""
    ours, theirs, clean = (readings.of(judge, image) for image in (audited, other, CLEAN))
    cases = [c for c in ours.index if c in theirs.index]
    ours, theirs, clean = ours.loc[cases], theirs.loc[cases], clean.loc[cases]
    found = []
    for measure, truth in (("flips", clean["decision"]), ("errors", ours["label"])):
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


def flipped_cases(readings: Readings, method: str) -> pd.DataFrame:
    """One row a case that any judge decides otherwise restored than clean, with every judge's opinion.

    Columns ``case, subject, label, flipped_by`` and for each judge ``<judge>_clean``, ``_restored`` (scores),
    ``_direction`` (``negative to positive``, …, or empty) and ``_margin`` (how far the restored score lies from the
    cut). Largest margin first.
    """
    columns: dict[str, pd.Series] = {}
    turned: dict[str, pd.Series] = {}
    deciders = readings.deciders
    first = readings.of((deciders or readings.judges)[0], method)
    people = first[["subject", "label"]]
    for judge in deciders:
        after, before = readings.of(judge, method), readings.of(judge, CLEAN)
        after, before = after.reindex(first.index), before.reindex(first.index)
        flip = (
            (after["decision"] != before["decision"]) & after["decision"].notna() & before["decision"].notna()
        )
        up = pd.Series(
            np.where(after["decision"] > 0.5, "negative to positive", "positive to negative"), first.index
        )
        turned[judge] = flip
        columns[f"{judge}_clean"], columns[f"{judge}_restored"] = before["score"], after["score"]
        columns[f"{judge}_direction"] = up.where(flip, "")
        columns[f"{judge}_margin"] = (after["score"] - after["cut"]).abs()
    flags = pd.DataFrame(turned, index=first.index)
    by = flags.apply(lambda row: ", ".join(row.index[row]), axis=1)
    table = people.join(by.rename("flipped_by")).join(pd.DataFrame(columns))[flags.any(axis=1)]
    margins = table[[f"{judge}_margin" for judge in deciders]].where(flags.loc[table.index].to_numpy())
    order = flags.loc[table.index].sum(axis=1) * 10 + margins.max(axis=1)
    return table.loc[order.sort_values(ascending=False, kind="stable").index].reset_index(names="case")


def _rate(event: pd.Series, rows: pd.DataFrame) -> Interval:
    values: NDArray[np.float64] = event.to_numpy(dtype=np.float64)
    shares, _ = subject_means(values, list(rows["subject"].loc[event.index]))
    return exact_rate(float(shares.sum()), len(shares))


def _unknown() -> Interval:
    return Interval(math.nan, math.nan, math.nan)
