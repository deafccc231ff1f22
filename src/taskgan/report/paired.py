"""Paired comparison of methods on the cases that they share, by subject."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from taskgan.evaluate.cases import finite_values
from taskgan.page.cells import Cell, difference_cell, number
from taskgan.report.load import Comparison
from taskgan.report.metrics import ALPHA, Inference, Metric
from taskgan.stats import (
    Difference,
    Equivalence,
    Interval,
    adjusted_p_values,
    auc_difference,
    auc_interval,
    crossed_interval,
    equivalence,
    mcnemar,
    mean_difference,
    subject_means,
)

UNKNOWN = Interval(float("nan"), float("nan"), float("nan"))


def _values(rows: pd.DataFrame, metric: Metric) -> pd.Series:
    values = finite_values(rows[metric.column])
    return pd.Series(np.abs(values) if metric.magnitude_of else values, index=rows.index)


def by_case(comparison: Comparison, method: str, metric: Metric) -> pd.Series:
    """A metric of one method, one value a case (mean over seeds), indexed by case; NaN where unknown."""
    rows = comparison.rows(method)
    return _values(rows, metric).groupby(rows["case"], sort=False).mean()


def by_seed(comparison: Comparison, method: str, metric: Metric) -> pd.DataFrame:
    """A metric of one method, a row a case and a column a training seed; no column where seeds are unknown."""
    rows = comparison.rows(method)
    return _values(rows, metric).groupby([rows["case"], rows["seed"]], sort=False).mean().unstack()


def subject_differences(comparison: Comparison, metric: Metric, method: str, baseline: str) -> pd.Series:
    """Method − baseline for every subject that both have, indexed by subject.

    Seeds are averaged within a case, cases within a subject: one number a subject.
    """
    gap = (by_case(comparison, method, metric) - by_case(comparison, baseline, metric)).dropna()
    who = comparison.cases["subject"]
    means, subjects = subject_means(gap.to_numpy(), [str(who[case]) for case in gap.index])
    return pd.Series(means, index=pd.Index(subjects), dtype=float)


def seed_differences(comparison: Comparison, metric: Metric, method: str, baseline: str) -> pd.DataFrame:
    """Method − baseline, a row a subject and a column a seed that both have.

    The degraded input has no seeds: it is the same for all of the method's.
    """
    first = by_seed(comparison, method, metric)
    if comparison.rows(baseline)["seed"].notna().any():
        second = by_seed(comparison, baseline, metric)
        seeds = [seed for seed in first.columns if seed in second.columns]
        gap = first[seeds] - second[seeds]
    else:
        gap = first.sub(by_case(comparison, baseline, metric), axis=0)
    who = comparison.cases["subject"]
    return gap.groupby([str(who[case]) for case in gap.index], sort=False).mean()


def method_difference(comparison: Comparison, metric: Metric, method: str, baseline: str) -> Difference:
    """Method − baseline with interval, standard error and p: a mean over subjects, or an AUC by DeLong."""
    if metric.scores:
        return _auc_difference(comparison, metric, method, baseline)
    gap = subject_differences(comparison, metric, method, baseline)
    return mean_difference(gap.to_numpy(), list(gap.index))


def _scores(comparison: Comparison, metric: Metric, method: str) -> pd.DataFrame:
    """Scores, a row a case and a column a seed (one column where seeds are unknown)."""
    rows = comparison.rows(method)
    seeds = rows["seed"].fillna(-1)  # input and other tools' images have none
    return pd.Series(finite_values(rows[metric.scores]), rows.index).groupby([rows["case"], seeds]).mean().unstack()


def mean_auc(comparison: Comparison, metric: Metric, method: str) -> Interval:
    """Mean of the seeds' AUCs of one method with its interval."""
    scores = _scores(comparison, metric, method)
    cases = comparison.cases.loc[scores.index]
    return auc_interval(scores.to_numpy().T, cases["label"].to_numpy(), list(cases["subject"]))


def _auc_difference(comparison: Comparison, metric: Metric, method: str, baseline: str) -> Difference:
    first, second = (_scores(comparison, metric, name) for name in (method, baseline))
    shared = first.index.intersection(second.index)
    cases = comparison.cases.loc[shared]
    one, two = (scores.loc[shared].to_numpy().T for scores in (first, second))
    return auc_difference(one, two, cases["label"].to_numpy(), list(cases["subject"]))


@dataclass(frozen=True)
class MetricComparison:
    """One method against a baseline in one measure, as one of several methods.

    Attributes:
        metric: The measure.
        method: First.
        baseline: Second.
        difference: First − second, over subjects.
        p: Its p, corrected over the methods.
        seeds: Training seeds that both have.
        crossed: The difference with an interval over subjects and seeds; NaN ends with fewer than three seeds.
        equivalence: Test against the margin that the user stated, uncorrected; None without one.
        p_equivalent: p of equivalence, corrected over the methods.
        p_noninferior: p of "not worse by the margin", corrected over the methods.
        crossed_equivalence: As ``crossed``, at the level 1 − 2α that goes with the margin.
    """

    metric: Metric
    method: str
    baseline: str
    difference: Difference
    p: float
    seeds: int
    crossed: Interval
    equivalence: Equivalence | None
    p_equivalent: float
    p_noninferior: float
    crossed_equivalence: Interval = UNKNOWN

    @property
    def interval(self) -> Interval:
        """First − second with its interval over subjects."""
        return self.difference.interval

    @property
    def verdict(self) -> str:
        """``better`` or ``worse`` where the interval excludes zero and the corrected p agrees, else ``none``."""
        if not (self.interval.excludes(0.0) and self.p < ALPHA):
            return "none"
        return "better" if self.interval.estimate * self.metric.better > 0 else "worse"

    @property
    def equivalent_for_trained_seeds(self) -> bool:
        """Whether equivalence is shown for the seeds that were trained, and not with others in mind."""
        ends = self.crossed_equivalence
        if self.equivalence is None or not self.p_equivalent < ALPHA or math.isnan(ends.low):
            return False
        return max(-ends.low, ends.high) >= self.equivalence.margin


def compare_methods(
    comparison: Comparison, metric: Metric, baseline: str, *, seeds: bool = True
) -> dict[str, MetricComparison]:
    """Every method against one baseline in one measure: the family over which p-values are corrected.

    The interval over subjects and seeds is worked out with ``seeds`` alone.
    """
    names = [m for m in comparison.methods if m != baseline]
    differences = {name: method_difference(comparison, metric, name, baseline) for name in names}
    crossed: dict[str, tuple[int, Interval, Interval]] = {}
    for name in names if seeds and not metric.scores else ():
        table = seed_differences(comparison, metric, name, baseline)
        values = table.to_numpy(dtype=float)
        narrower = crossed_interval(values, level=1 - 2 * ALPHA)
        crossed[name] = table.shape[1], crossed_interval(values), narrower
    return family(comparison.inference, metric, metric.name, baseline, differences, crossed)


def family(
    inference: Inference,
    metric: Metric,
    margin_name: str,
    baseline: str,
    differences: Mapping[str, Difference],
    crossed: Mapping[str, tuple[int, Interval, Interval]],
) -> dict[str, MetricComparison]:
    """The tests of several methods against one baseline, their p-values corrected together, by method.

    The margin is that of ``margin_name``; ``crossed`` holds seeds and the two intervals with other seeds in mind, where
    they are known.
    """
    how, margin = inference.correction, inference.margins.get(margin_name)
    ps = adjusted_p_values([one.p for one in differences.values()], how)
    tests = [equivalence(one, margin) for one in differences.values()] if margin is not None else []
    unknown = [math.nan] * len(differences)
    equivalent = adjusted_p_values([test.p for test in tests], how) or unknown
    noninferior = adjusted_p_values([test.p_noninferior(metric.better) for test in tests], how) or unknown
    compared = {}
    for k, (name, one) in enumerate(differences.items()):
        count, wide, narrow = crossed.get(name, (0, UNKNOWN, UNKNOWN))
        test = tests[k] if tests else None
        compared[name] = MetricComparison(
            metric, name, baseline, one, ps[k], count, wide, test, equivalent[k], noninferior[k], narrow
        )
    return compared


def metric_cell(compared: MetricComparison, paper: float | None = None) -> Cell:
    """A paired difference as tables show it: marked where it is claimed, the paper's in italics beside it."""
    metric = compared.metric
    claimed = compared.verdict != "none"
    cell = difference_cell(compared.interval, metric.digits, better=metric.better, significant=claimed)
    return cell if paper is None else replace(cell, aside=f"paper {number(paper, metric.digits, sign=True)}")


@dataclass(frozen=True)
class Discordance:
    """Subjects that one of two methods leads a reader to get wrong and the other does not.

    Attributes:
        only_method: Wrong with the method alone.
        only_baseline: Wrong with the baseline alone.
        count: Subjects read with both.
        p: Exact McNemar.
    """

    only_method: int
    only_baseline: int
    count: int
    p: float


def deciding_readers(comparison: Comparison) -> list[str]:
    """Readers whose decision can be right or wrong: that of the SUVR answers a question of two classes only."""
    return [
        reader
        for reader in ("task", "judge", "suvr")
        if comparison.frame[f"{reader}_decision"].notna().any() and (reader != "suvr" or comparison.kind == "binary")
    ]


def discordance(comparison: Comparison, reader: str, method: str, baseline: str) -> Discordance:
    """McNemar's table of a reader's errors against the label.

    A subject with several cases or seeds is wrong if most of its decisions are; half and half is not counted.
    """
    wrong = {}
    for name in (method, baseline):
        rows = comparison.rows(name)
        rows = rows[rows[f"{reader}_decision"].notna() & rows["label"].notna()]
        missed = rows[f"{reader}_decision"] != rows["label"]
        wrong[name] = missed.astype(float).groupby(rows["subject"]).mean()
    first, second = wrong[method].align(wrong[baseline], join="inner")
    only_method = int(((first > 0.5) & (second < 0.5)).sum())
    only_baseline = int(((first < 0.5) & (second > 0.5)).sum())
    return Discordance(only_method, only_baseline, len(first), mcnemar(only_method, only_baseline))
