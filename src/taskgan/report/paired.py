"""Paired comparison of two methods on the cases that they share, by subject."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from taskgan.evaluate.statistics import Interval, mcnemar, mean_interval, subject_means
from taskgan.evaluate.summary import finite
from taskgan.report.load import Comparison


@dataclass(frozen=True)
class Metric:
    """A measure that is compared.

    Attributes:
        key: Column of ``cases.csv``, or ``suvr_error`` for \\|restored − clean\\| SUVR.
        heading: Short name.
        digits: Decimals shown.
        better: +1 if more is better, −1 if less is.
        words: Name in a sentence.
        unit: Unit with a leading space, or empty.
    """

    key: str
    heading: str
    digits: int
    better: int
    words: str
    unit: str = ""


PSNR = Metric("psnr", "PSNR (dB)", 2, 1, "PSNR", " dB")
SSIM = Metric("ssim", "SSIM", 3, 1, "SSIM")
RELATIVE = Metric("rmse_relative", "Relative RMSE", 3, -1, "relative RMSE")
PSNR_HEAD = Metric("psnr_head", "PSNR, head (dB)", 2, 1, "PSNR inside the head", " dB")
SSIM_HEAD = Metric("ssim_head", "SSIM, head", 3, 1, "SSIM inside the head")
RELATIVE_HEAD = Metric("rmse_relative_head", "Relative RMSE, head", 3, -1, "relative RMSE inside the head")
TASK = Metric("task_mae", "T: slice MAE", 3, -1, "the slice error of T")
JUDGE = Metric("judge_mae", "Judge: slice MAE", 3, -1, "the judge's slice error")
SUVR = Metric("suvr_error", "|SUVR error|", 3, -1, "the absolute SUVR error")


def by_case(comparison: Comparison, method: str, key: str) -> pd.Series:
    """A metric of one method, one value a case (mean over seeds), indexed by case; NaN where unknown."""
    rows = comparison.rows(method)
    values = np.abs(finite(rows["suvr_bias"])) if key == "suvr_error" else finite(rows[key])
    return pd.Series(values, index=rows["case"]).groupby(level=0, sort=False).mean()


def differences(comparison: Comparison, metric: Metric, method: str, baseline: str) -> pd.Series:
    """Method − baseline for every subject that both have, indexed by subject.

    Seeds are averaged within a case, cases within a subject: one number a subject.
    """
    first, second = by_case(comparison, method, metric.key), by_case(comparison, baseline, metric.key)
    gap = (first - second).dropna()
    who = comparison.frame.drop_duplicates("case").set_index("case")["subject"]
    means, subjects = subject_means(gap.to_numpy(), [str(who[case]) for case in gap.index])
    return pd.Series(means, index=pd.Index(subjects), dtype=float)


def paired(comparison: Comparison, metric: Metric, method: str, baseline: str) -> Interval:
    """Mean of :func:`differences` with its bootstrap interval."""
    gap = differences(comparison, metric, method, baseline)
    return mean_interval(gap.to_numpy(), list(gap.index))


@dataclass(frozen=True)
class Discordance:
    """Subjects that one of two methods leads a reader to get wrong and the other does not.

    Attributes:
        only_method: Wrong with the method alone.
        only_baseline: Wrong with the baseline alone.
        p: Exact McNemar.
    """

    only_method: int
    only_baseline: int
    p: float


def discordance(comparison: Comparison, reader: str, method: str, baseline: str) -> Discordance:
    """McNemar's table of a reader's errors against the label.

    A subject with several cases or seeds is wrong if most of its decisions are; half and half is not counted.
    """
    wrong = {}
    for name in (method, baseline):
        rows = comparison.rows(name)
        rows = rows[rows[f"{reader}_decision"].notna() & rows["label"].notna()]
        missed = (rows[f"{reader}_decision"] > 0.5) != (rows["label"] > 0.5)
        wrong[name] = missed.astype(float).groupby(rows["subject"]).mean()
    first, second = wrong[method].align(wrong[baseline], join="inner")
    only_method = int(((first > 0.5) & (second < 0.5)).sum())
    only_baseline = int(((first < 0.5) & (second > 0.5)).sum())
    return Discordance(only_method, only_baseline, mcnemar(only_method, only_baseline))
