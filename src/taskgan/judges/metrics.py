"""How well a judge reads one kind of image, and in whom it decides otherwise than on the clean one.

A *flip* is relative: the same judge decides otherwise on an image than on the clean one of the same case, whoever is
right. An *error* is absolute: the decision differs from the truth. A judge that errs on clean images too makes
errors that no restorer is to blame for; its flips still are the restorer's.

The unit is the subject. One with several cases (doses, contrasts), classes or labels has flipped if any of them has.
Errors are pooled in one of two ways: ``any``, where a subject is read wrongly if any of its decisions is (audits),
and ``mean``, where it counts by the share of them (evaluations, whose training seeds would otherwise add up).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from taskgan.judges.readings import CLEAN, Readings
from taskgan.stats import Interval, auc_interval, exact_rate, mean_interval, subject_means

Pool = Literal["any", "mean"]
_GRID = 400
_UNKNOWN = Interval(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Flips:
    """Who is decided otherwise than on the clean image.

    Attributes:
        subjects: Whose decision is known on this and on the clean image.
        flipped: Subjects with a flip in any case, seed, class or label.
        to_positive: Of these, negative on the clean image and positive here; ``to_negative`` the other way round.
        cases: Cases whose decision is known on both; ``flipped_cases`` of these with a flip.
        flips: ``flipped`` over ``subjects``, Clopper–Pearson.
    """

    subjects: int
    flipped: int
    to_positive: int
    to_negative: int
    cases: int
    flipped_cases: int
    flips: Interval


@dataclass(frozen=True)
class ReaderMetrics(Flips):
    """How one judge reads one kind of image (Table 3), by subject.

    Attributes:
        decisions: Decisions with a known truth, of which ``wrong`` differ from it.
        error: Subjects that are read wrongly, Clopper–Pearson with n = number of subjects.
        sensitivity: Of the subjects with positive cases those called positive, likewise; ``specificity`` of negative
            cases. NaN where there are several classes or labels.
        balanced_accuracy: Mean of the two, of the classes' sensitivities, or over labels, see
            :func:`balanced_accuracy`.
        auc: Area under the ROC curve of the predictions, with DeLong's interval; the mean over several classes or
            labels, without.
        mae: Mean error of the images over subjects (slice-wise MAE), bootstrap interval.
    """

    decisions: int
    wrong: int
    error: Interval
    sensitivity: Interval
    specificity: Interval
    balanced_accuracy: Interval
    auc: Interval
    mae: Interval


def clean_decisions(rows: pd.DataFrame, clean: pd.DataFrame) -> pd.Series:
    """The same judge's decision on the clean image of every row; NaN where it is unknown.

    Rows are indexed by case and output; of several seeds a case is there often.
    """
    before = clean["decision"][~clean.index.duplicated()].reindex(rows.index)
    return before.where(rows["decision"].notna())


def flip_indicator(rows: pd.DataFrame, clean: pd.DataFrame) -> pd.Series:
    """Which rows are decided otherwise than the same output on the case's clean image; False where unknown."""
    before = clean_decisions(rows, clean)
    return before.notna() & (rows["decision"] != before)


def flip_metrics(rows: pd.DataFrame, clean: pd.DataFrame) -> Flips:
    """Count flips by subject, with the cases beside; see :func:`clean_decisions` for the arguments."""
    before = clean_decisions(rows, clean)
    known = before.notna()
    change = (rows["decision"] - before)[known]
    who, cases = rows["subject"][known], rows.index.get_level_values("case")[known]
    flipped, up, down = (int(who[event].nunique()) for event in (change != 0, change > 0, change < 0))
    subjects, of_cases = int(who.nunique()), (int(cases.nunique()), int(cases[change != 0].nunique()))
    return Flips(subjects, flipped, up, down, *of_cases, exact_rate(flipped, subjects))


def reader_metrics(
    rows: pd.DataFrame, clean: pd.DataFrame, *, pool: Pool = "mean", classes: bool = False, seed: int = 0
) -> ReaderMetrics:
    """Summarise one judge's readings of one kind of image.

    Args:
        rows: Indexed by case and output: ``subject, prediction, truth, decision, error``.
        clean: The same judge's of the clean images.
        pool: How several decisions of a subject are one, see the module.
        classes: Whether outputs are classes that exclude each other.
        seed: Of the bootstrap.
    """
    known = rows[rows["decision"].notna() & rows["truth"].notna()]
    outputs = rows.index.get_level_values("output")
    wrong = known["truth"] != known["decision"]
    # Sensitivity is a word for two classes only; a class number has neither.
    binary = known if known["truth"].isin((0.0, 1.0)).all() else known[:0]
    parts = [binary[binary["truth"] == truth] for truth in (1.0, 0.0)]
    one = known.index.get_level_values("output").nunique() <= 1
    halves = [_correct_count(part, pool) for part in parts]
    first = rows[outputs == outputs[0]] if len(rows) else rows
    return ReaderMetrics(
        **vars(flip_metrics(rows, clean)),
        decisions=len(known),
        wrong=int(wrong.sum()),
        error=exact_rate(*_subject_count(wrong, known["subject"], pool)),
        sensitivity=exact_rate(*halves[0]) if one else _UNKNOWN,
        specificity=exact_rate(*halves[1]) if one else _UNKNOWN,
        balanced_accuracy=balanced_accuracy(halves if one else _accuracy_groups(binary, pool, classes)),
        auc=_auc(binary),
        mae=mean_interval(first["error"].to_numpy(dtype=np.float64), list(first["subject"]), seed=seed),
    )


def judge_metrics(readings: Readings, judge: str, image: str, output: str | None = None) -> ReaderMetrics:
    """A judge on the test cases of one kind of image, where any wrong decision makes a subject wrong.

    ``image`` is ``input``, ``clean`` or a method; ``output`` one class or label, against the others (None: all).
    """
    rows, clean = (readings.select(judge, name, output) for name in (image, CLEAN))
    return reader_metrics(rows, clean, pool="any", classes=readings.property_of(judge).kind == "multi_class")


def balanced_accuracy(groups: Sequence[tuple[float, int]]) -> Interval:
    """Mean of the shares of right decisions, with the 95 % interval of its posterior under flat priors.

    Brodersen et al. 2010 (10.1109/ICPR.2010.764): each share is beta distributed given its counts; the mean's
    quantiles come from a grid, one share after the other. Always giving one answer gets one over the number of
    groups.

    Groups are right subjects and all subjects: of the positive and of the negative ones, or of each class.

    Returns:
        NaN where a group is empty or there is only one.
    """
    if len(groups) < 2 or any(count == 0 for _, count in groups):
        return _UNKNOWN
    levels = (np.arange(_GRID) + 0.5) / _GRID
    parts = [stats.beta.ppf(levels, hits + 1, count - hits + 1) for hits, count in groups]
    total = parts[0]
    for part in parts[1:-1]:
        total = np.quantile(total[:, None] + part[None, :], levels)
    low, high = np.quantile((total[:, None] + parts[-1][None, :]) / len(groups), [0.025, 0.975])
    middle = sum(hits / count for hits, count in groups) / len(groups)
    return Interval(middle, min(float(low), middle), max(float(high), middle))


def _subject_count(event: pd.Series, who: pd.Series, pool: Pool, *, every: bool = False) -> tuple[float, int]:
    """Subjects with an event in any (every) row of theirs, or the sum of their shares of rows; and all subjects."""
    shares, _ = subject_means(event.to_numpy(dtype=np.float64), list(who))
    have = shares if pool == "mean" else shares == 1 if every else shares > 0
    return float(have.sum()), len(shares)


def _correct_count(rows: pd.DataFrame, pool: Pool) -> tuple[float, int]:
    """Subjects all of whose rows are right, or the sum of their shares of right rows; and all subjects."""
    return _subject_count(rows["decision"] == rows["truth"], rows["subject"], pool, every=True)


def _accuracy_groups(known: pd.DataFrame, pool: Pool, classes: bool) -> list[tuple[float, int]]:
    """Right and all subjects of every class; of labels, of the positive and the negative ones of each.

    Classes that no subject has, and labels that all or none have, say nothing.
    """
    groups: list[tuple[float, int]] = []
    for _, rows in known.groupby(level="output", sort=False):
        positive = rows["truth"] > 0.5
        if positive.any() and not positive.all():
            groups += [_correct_count(rows[part], pool) for part in (positive, ~positive)[: 1 if classes else 2]]
    return groups


def _auc(known: pd.DataFrame) -> Interval:
    """AUC; of several outputs the mean over those that have both labels."""
    intervals = [
        auc_interval(rows["prediction"], rows["truth"], list(rows["subject"]))
        for _, rows in known.groupby(level="output", sort=False)
        if rows["truth"].nunique() == 2
    ]
    if len(intervals) < 2:
        return intervals[0] if intervals else _UNKNOWN
    return Interval(float(np.mean([one.estimate for one in intervals])), math.nan, math.nan)
