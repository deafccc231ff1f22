"""Agreement beyond chance of readers with each other, with the truth, or with themselves."""

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from taskgan.stats.bootstrap import LEVEL, Interval, bootstrap

Array = NDArray[np.float64]
Weights = Literal["none", "linear", "quadratic"]


def cohen_kappa(
    first: ArrayLike,
    second: ArrayLike,
    subjects: Sequence[Hashable],
    *,
    weights: Weights = "none",
    closed_form: bool = False,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """Cohen's κ of two series of ratings (1960, 10.1177/001316446002000104), weighted (1968, 10.1037/h0026256).

    Two readers; or a reader and the truth; or, for agreement within readers, two sessions: one row a reader, then κ
    is each reader's own and the mean over readers is given.

    Args:
        first: (N,) or (R, N) numbers of categories; NaN in either leaves the case out for all rows.
        second: (N,) or (R, N) of the same cases.
        subjects: (N,) who each case is of.
        weights: Of disagreement: none, or by the distance of the categories or its square. Distances are of the
            numbers, so that a Likert grade that nobody gave keeps its place.
        closed_form: Normal interval of Fleiss, Cohen and Everitt (1969, 10.1037/h0028106) instead of the subject
            bootstrap: for one pair of ratings a subject.
        level: Coverage wanted.
        seed: Of the bootstrap.

    Returns:
        NaN where all ratings are one category; NaN ends for too few subjects and where the ends would fall together,
        as for perfect agreement.

    Raises:
        ValueError: If the shapes differ, or the closed form is asked of several pairs a subject.
    """
    one, two = (np.atleast_2d(np.asarray(r, dtype=np.float64)) for r in (first, second))
    if one.shape != two.shape or one.shape[1] != len(subjects):
        raise ValueError(f"expected pairs of ratings of {len(subjects)} cases, found {one.shape} and {two.shape}")
    known = np.asarray(~(np.isnan(one) | np.isnan(two)).any(axis=0))
    who = [s for s, k in zip(subjects, known.tolist(), strict=True) if k]
    one, two = one[:, known], two[:, known]
    places = {s: i for i, s in enumerate(dict.fromkeys(who))}
    index = np.array([places[s] for s in who], dtype=np.intp)
    grades = np.unique(np.concatenate([one, two], axis=None))
    tables = np.zeros((len(places), len(one), len(grades), len(grades)))  # (subjects, rows, first, second)
    places_of = (index, np.arange(len(one))[:, None], np.searchsorted(grades, one), np.searchsorted(grades, two))
    np.add.at(tables, places_of, 1.0)
    agreement = _agreement(grades, weights)
    if closed_form:
        if len(one) > 1 or len(who) != len(places):
            raise ValueError("the closed form of kappa needs one pair of ratings a subject; use the bootstrap")
        return _normal(tables.sum(axis=0)[0], agreement, level)
    return _resample(lambda draw: _kappa(tables[draw].sum(axis=-4), agreement), len(places), level, seed)


def _agreement(grades: Array, weights: Weights) -> Array:
    """(C, C) credit for each pair of categories, 1 on the diagonal."""
    if weights == "none" or len(grades) < 2:
        return np.asarray(np.eye(len(grades)))
    distance = np.abs(grades[:, None] - grades[None, :]) / (grades[-1] - grades[0])
    return np.asarray(1 - distance ** (1 if weights == "linear" else 2))


def _kappa(tables: Array, agreement: Array) -> Array:
    """Mean κ over rows of tables (…, rows, C, C)."""
    shares = tables / tables.sum(axis=(-2, -1), keepdims=True)
    chance = shares.sum(axis=-1)[..., :, None] * shares.sum(axis=-2)[..., None, :]
    each = _ratio((agreement * shares).sum(axis=(-2, -1)), (agreement * chance).sum(axis=(-2, -1)))
    return np.asarray(each.mean(axis=-1))


def _ratio(seen: Array, chance: Array) -> Array:
    """(seen − chance) / (1 − chance); NaN where chance alone agrees always."""
    left = np.where(1 - chance > 1e-12, 1 - chance, np.nan)
    return np.asarray((seen - chance) / left)


def _normal(table: Array, agreement: Array, level: float) -> Interval:
    n = table.sum()
    if n == 0:
        return Interval(math.nan, math.nan, math.nan)
    shares = table / n
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    chance = float(rows @ agreement @ columns)
    value = float(_kappa(table[None], agreement))
    means = (agreement @ columns)[:, None] + (agreement.T @ rows)[None, :]
    spread = (shares * (agreement - means * (1 - value)) ** 2).sum() - (value - chance * (1 - value)) ** 2
    return _ends(value, float(spread) / n / (1 - chance) ** 2 if chance < 1 else math.nan, math.inf, level)


def fleiss_kappa(
    ratings: ArrayLike, subjects: Sequence[Hashable], *, closed_form: bool = False, level: float = LEVEL, seed: int = 0
) -> Interval:
    """Fleiss's κ of several readers (1971, 10.1037/h0031619), categories without order.

    Args:
        ratings: (R, N) numbers of categories; a case that lacks a reader is left out.
        subjects: (N,) who each case is of.
        closed_form: Student's interval of Gwet's variance (2008, 10.1348/000711006X126600) instead of the subject
            bootstrap: for one case a subject.
        level: Coverage wanted.
        seed: Of the bootstrap.

    Returns:
        As :func:`cohen_kappa`.

    Raises:
        ValueError: If the shapes do not fit, or the closed form is asked of several cases a subject.
    """
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2 or len(table) < 2 or table.shape[1] != len(subjects):
        raise ValueError(f"expected ratings of two or more readers, {len(subjects)} cases, found {table.shape}")
    known = np.asarray(~np.isnan(table).any(axis=0))
    who, table = [s for s, k in zip(subjects, known.tolist(), strict=True) if k], table[:, known]
    readers = len(table)
    counts = (table[:, :, None] == np.unique(table)).sum(axis=0).astype(np.float64)  # (cases, C)
    pairs = (counts * (counts - 1)).sum(axis=1) / (readers * (readers - 1))
    places = {s: i for i, s in enumerate(dict.fromkeys(who))}
    sums = np.zeros((len(places), 2 + counts.shape[1]))  # cases, agreeing pairs, shares of the categories
    np.add.at(sums, [places[s] for s in who], np.column_stack([np.ones(len(who)), pairs, counts / readers]))

    def kappa(draw: NDArray[np.intp]) -> Array:
        """Of each draw of subjects."""
        total = sums[draw].sum(axis=-2)
        shares = total[..., 2:] / total[..., :1]
        return _ratio(total[..., 1] / total[..., 0], (shares**2).sum(axis=-1))

    if not closed_form:
        return _resample(kappa, len(places), level, seed)
    n = len(who)
    if n != len(places):
        raise ValueError("the closed form of kappa needs one case a subject; use the bootstrap")
    if n < 2:
        return Interval(math.nan, math.nan, math.nan)
    value = float(kappa(np.arange(n)[None])[0])
    shares = counts.mean(axis=0) / readers
    chance = float((shares**2).sum())
    if chance >= 1 - 1e-12:
        return Interval(math.nan, math.nan, math.nan)
    each = (pairs - chance) / (1 - chance) - 2 * (1 - value) * (counts @ shares / readers - chance) / (1 - chance)
    return _ends(value, float(((each - value) ** 2).sum()) / (n * (n - 1)), n - 1.0, level)


def _ends(value: float, variance: float, freedom: float, level: float) -> Interval:
    tail = (1 + level) / 2
    if not variance > 1e-16:
        return Interval(value, math.nan, math.nan)
    quantile = stats.norm.ppf(tail) if math.isinf(freedom) else stats.t.ppf(tail, freedom)
    half = float(quantile) * math.sqrt(variance)
    return Interval(value, max(value - half, -1.0), min(value + half, 1.0))


def _resample(statistic: Callable[[NDArray[np.intp]], Array], count: int, level: float, seed: int) -> Interval:
    found = bootstrap(statistic, count, level=level, seed=seed)
    return found if found.high - found.low > 1e-9 else Interval(found.estimate, math.nan, math.nan)
