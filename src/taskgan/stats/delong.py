"""Area under the ROC curve: one with an interval, two of the same subjects compared."""

from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from taskgan.stats.bootstrap import FEWEST, LEVEL, Difference, Interval, logit_interval, subject_numbers

Array = NDArray[np.float64]


def auc_interval(
    scores: ArrayLike, labels: ArrayLike, subjects: Sequence[Hashable], *, level: float = LEVEL
) -> Interval:
    """AUC with DeLong's interval on the logit scale, which stays inside 0 and 1.

    Variance by subject: with one case a subject DeLong, DeLong and Clarke-Pearson's (1988, 10.2307/2531595), with
    several Obuchowski's for clustered data (1997, 10.2307/2533958), which is the same for clusters of one.

    Args:
        scores: (N,) one a case, or (S, N) one a seed and case: then the mean of the seeds' AUCs. Cases with NaN in
            any row are left out.
        labels: (N,) 0 or 1; NaN is left out.
        subjects: (N,) who each case is of.
        level: Coverage wanted.

    Returns:
        NaN ends where the AUC is 0 or 1 (its estimated variance is then zero, which is not to be believed), for
        fewer than ``FEWEST`` subjects and where fewer than two have one of the labels.
    """
    values = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    areas, covariance, (count, _, _) = _covariance(values, labels, subjects)
    error = float(np.sqrt(max(covariance.mean(), 0.0)))  # NaN passes through max as the first argument
    return logit_interval(float(areas.mean()), error if count >= FEWEST else float("nan"), level)


def auc_difference(
    first: ArrayLike, second: ArrayLike, labels: ArrayLike, subjects: Sequence[Hashable], *, level: float = LEVEL
) -> Difference:
    """AUC of the first − AUC of the second on the same cases, by the same two sources.

    Args:
        first: (N,) or (S, N): scores of one method, of each seed. NaN in any row leaves the case out.
        second: (N,) or (S', N): of the other, for the same cases.
        labels, subjects, level: As of :func:`auc_interval`.

    Returns:
        Normal interval and two-sided p; NaN for fewer than ``FEWEST`` subjects, and where the estimated variance is
        zero, as for two perfect AUCs: that they agree on a few subjects is no evidence that they agree on all.
    """
    one, two = (np.atleast_2d(np.asarray(s, dtype=np.float64)) for s in (first, second))
    areas, covariance, (count, positive, negative) = _covariance(np.concatenate([one, two]), labels, subjects)
    weights = np.concatenate([np.full(len(one), 1 / len(one)), np.full(len(two), -1 / len(two))])
    gap = float(weights @ areas)
    error = float(np.sqrt(np.maximum(weights @ covariance @ weights, 0.0)))
    if not error > 1e-8 or count < FEWEST:  # NaN, or zero up to rounding
        return Difference.of_shares(gap, float("nan"), count, level)
    middle = (float(areas[: len(one)].mean()) + float(areas[len(one) :].mean())) / 2
    error_if = _error_if(middle, _correlation(covariance, len(one)), positive, negative)
    return Difference.of_shares(gap, error, count, level, error_if=error_if)


def placements(scores: Array, positive: NDArray[np.bool_]) -> tuple[Array, Array, Array]:
    """DeLong's structural components, by mid-ranks (Sun and Xu 2014, 10.1109/LSP.2014.2337313).

    Args:
        scores: (K, N) of K methods.
        positive: (N,).

    Returns:
        (K,) AUCs; (K, m) share of negatives below each positive; (K, n) share of positives above each negative.
    """
    ranks = stats.rankdata(scores, axis=1)
    m, n = int(positive.sum()), int((~positive).sum())
    above = (ranks[:, positive] - stats.rankdata(scores[:, positive], axis=1)) / n
    below = 1 - (ranks[:, ~positive] - stats.rankdata(scores[:, ~positive], axis=1)) / m
    return above.mean(axis=1), above, below


def _correlation(covariance: Array, first: int) -> float:
    """Of the two methods' mean AUCs, from 0; 0 where one has no variance."""
    ours, theirs = covariance[:first, :first].mean(), covariance[first:, first:].mean()
    if not min(ours, theirs) > 0:
        return 0.0
    return float(np.clip(covariance[:first, first:].mean() / np.sqrt(ours * theirs), 0.0, 1.0))


def _error_if(middle: float, correlation: float, positive: int, negative: int) -> Callable[[float], float]:
    """Standard error of a difference of two AUCs that lie around ``middle``, by Hanley and McNeil's formula.

    DeLong's estimate goes to zero as the AUCs go to 1. With 10 positive and 30 negative subjects, two tests against
    a margin of .05 that rely on it call AUCs of .98 and .93 equivalent in 13 to 16 % of studies; with the larger of
    it and this one in at most 1 %, and in no case that was simulated (5 to 20 positives, AUCs of .75 to .98) in more
    than 5 % by more than chance.
    """

    def variance(area: float) -> float:  # 1982, 10.1148/radiology.143.1.7063747
        """Of an AUC, by Hanley and McNeil."""
        first, second = area / (2 - area), 2 * area**2 / (1 + area)
        above = area * (1 - area) + (positive - 1) * (first - area**2) + (negative - 1) * (second - area**2)
        return max(above / (positive * negative), 0.0)

    def error(difference: float) -> float:
        """Standard error of a difference of two AUCs about the same middle."""
        half = abs(difference) / 2
        centre = min(max(middle, half), 1 - half)  # both AUCs within 0 and 1
        ours, theirs = variance(centre + half), variance(centre - half)
        return float(np.sqrt(max(ours + theirs - 2 * correlation * np.sqrt(ours * theirs), 0.0)))

    return error


def _covariance(
    scores: Array, labels: ArrayLike, subjects: Sequence[Hashable]
) -> tuple[Array, Array, tuple[int, int, int]]:
    """AUCs of K scores and their covariance.

    Structural components (:func:`placements`), summed within subjects.

    Returns:
        (K,) areas, (K, K) covariance (NaN where it cannot be estimated) and the numbers of subjects: all, with
        positive and with negative cases.
    """
    truth = np.asarray(labels, dtype=np.float64)
    keep = ~(np.isnan(truth) | np.isnan(scores).any(axis=0))
    values, positive = scores[:, keep], truth[keep] > 0.5
    who, count = subject_numbers(s for s, k in zip(subjects, keep, strict=True) if k)
    m, n = int(positive.sum()), int((~positive).sum())
    unknown = np.full((len(scores), len(scores)), np.nan)
    if m == 0 or n == 0:
        return np.full(len(scores), np.nan), unknown, (count, 0, 0)
    areas, above, below = placements(values, positive)
    of_positives, of_negatives = np.zeros((2, count, len(scores)))
    np.add.at(of_positives, who[positive], (above - areas[:, None]).T)
    np.add.at(of_negatives, who[~positive], (below - areas[:, None]).T)
    with_positives, with_negatives = len(set(who[positive])), len(set(who[~positive]))
    if with_positives < 2 or with_negatives < 2:
        return areas, unknown, (count, with_positives, with_negatives)
    within = count / (count - 1) * (of_positives.T @ of_negatives)  # subjects with cases of both labels
    covariance = (
        with_positives / (with_positives - 1) * (of_positives.T @ of_positives) / m**2
        + with_negatives / (with_negatives - 1) * (of_negatives.T @ of_negatives) / n**2
        + (within + within.T) / (m * n)
    )
    return areas, covariance, (count, with_positives, with_negatives)
