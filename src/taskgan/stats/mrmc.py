"""Several readers, several cases: do readers decide better with one method than with another?

Obuchowski and Rockette's analysis (1995, 10.1080/03610919508813243) in the form of Hillis (2007, 10.1002/sim.2532;
2014, 10.1002/sim.5926). With the jackknife's covariances it is the DBM analysis of pseudovalues (Hillis et al. 2005,
10.1002/sim.2024).

Ratings of such a study are simulated by Roe and Metz's model (1997, 10.1016/S1076-6332(97)80032-3).
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from taskgan.stats.bootstrap import FEWEST, LEVEL, Difference, Interval, subject_numbers, two_sided_quantile

Array = NDArray[np.float64]
Figure = Literal["auc", "sensitivity", "specificity", "error"]
CovarianceMethod = Literal["delong", "jackknife", "bootstrap"]
Random = Literal["both", "readers", "cases"]
RESAMPLES = 1000


@dataclass(frozen=True)
class ReaderFigures:
    """How well each reader does with each method.

    Attributes:
        values: (T, R) figures of T methods and R readers, in [0, 1].
        covariance: (T, R, T, R) of their errors over other cases; 0 between readers who share no case.
        cases: Number of subjects.
    """

    values: Array
    covariance: Array
    cases: int


def reader_figures(
    scores: ArrayLike,
    truth: ArrayLike,
    subjects: Sequence[Hashable] | None = None,
    *,
    figure: Figure = "auc",
    covariance: CovarianceMethod = "delong",
    seed: int = 0,
) -> ReaderFigures:
    """Figure of merit of each method and reader, and the covariance that other cases would give them.

    Args:
        scores: (T, R, N) confidence for ``auc``, else decisions, 0 or 1; NaN where a reader did not read the case
            (split-plot: each group of readers has cases of its own).
        truth: (N,) 0 or 1.
        subjects: (N,) who each case is of; None where each is of another. A subject is left out or drawn as a whole.
        figure: Area under the ROC curve, sensitivity, specificity or error rate.
        covariance: ``delong`` from structural components (1988, 10.2307/2531595; of a rate, the variance of a mean;
            of several cases a subject, summed as by Obuchowski 1997, 10.2307/2533958), ``jackknife``, or
            ``bootstrap`` within strata of truth and readers.
        seed: Of the bootstrap.

    Returns:
        NaN covariances where a reader has fewer than two subjects of a needed kind.

    Raises:
        ValueError: If the shapes do not fit.
    """
    table, positive = np.asarray(scores, dtype=np.float64), np.asarray(truth, dtype=np.float64) > 0.5
    if table.ndim != 3 or table.shape[2] != len(positive):
        raise ValueError(f"expected scores of (methods, readers, {len(positive)} cases), found {table.shape}")
    who, count = subject_numbers(range(len(positive)) if subjects is None else subjects)
    member = np.zeros((count, len(who)))  # (subjects, cases)
    member[who, range(len(who))] = 1
    rows = table.reshape(-1, len(positive))
    cells = [_auc_cell(r, positive) if figure == "auc" else _rate_cell(r, positive, figure) for r in rows]
    values = np.array([float(cell.of(np.ones((1, len(positive))))[0]) for cell in cells])
    with np.errstate(invalid="ignore", divide="ignore"):
        if covariance == "bootstrap":
            weights = _resampled(rows, positive, member, seed) @ member
            matrix = np.cov(np.stack([cell.of(weights) for cell in cells]))
        else:
            spread = _structural if covariance == "delong" else _left_out
            deviations = np.stack([spread(cell, member) for cell in cells])  # (T R, subjects)
            matrix = deviations @ deviations.T
    shape = table.shape[:2]
    return ReaderFigures(values.reshape(shape), np.reshape(matrix, shape + shape), count)


@dataclass(frozen=True)
class _Cell:
    """One reader with one method: the figure for weights (B, N) of the cases, and what each case adds to it."""

    of: Callable[[Array], Array]
    # Pairs of (indices of cases, deviation of each from the figure): positives and negatives of an AUC, or one.
    components: tuple[tuple[NDArray[np.intp], Array], ...]


def _auc_cell(scores: Array, positive: NDArray[np.bool_]) -> _Cell:
    read = ~np.isnan(scores)
    above, below = np.flatnonzero(read & positive), np.flatnonzero(read & ~positive)
    gap = scores[above][:, None] - scores[below][None, :]
    wins = (gap > 0) + 0.5 * (gap == 0)

    def area(weights: Array) -> Array:
        """AUC of each row of weights."""
        first, second = weights[:, above], weights[:, below]
        total = first.sum(axis=1) * second.sum(axis=1)
        return np.asarray(((first @ wins) * second).sum(axis=1) / np.where(total > 0, total, np.nan))

    if wins.size == 0:
        return _Cell(area, ((above, np.full(len(above), np.nan)), (below, np.full(len(below), np.nan))))
    return _Cell(area, ((above, wins.mean(axis=1) - wins.mean()), (below, wins.mean(axis=0) - wins.mean())))


def _rate_cell(decisions: Array, positive: NDArray[np.bool_], figure: Figure) -> _Cell:
    wanted = {"sensitivity": positive, "specificity": ~positive, "error": np.ones_like(positive)}[figure]
    used = np.flatnonzero(~np.isnan(decisions) & wanted)
    right = (decisions[used] > 0.5) == positive[used]
    events = (~right if figure == "error" else right).astype(np.float64)

    def rate(weights: Array) -> Array:
        """Rate of each row of weights."""
        total = weights[:, used].sum(axis=1)
        return np.asarray(weights[:, used] @ events / np.where(total > 0, total, np.nan))

    return _Cell(rate, ((used, events - events.mean() if len(used) else events),))


def _structural(cell: _Cell, member: Array) -> Array:
    """(S,) whose products sum to DeLong's covariance."""
    components = np.zeros(len(member))
    for cases, deviations in cell.components:
        of_cases = member[:, cases]
        count = int(of_cases.any(axis=1).sum())
        components += of_cases @ deviations / len(cases) * (math.sqrt(count / (count - 1)) if count > 1 else math.nan)
    return components


def _left_out(cell: _Cell, member: Array) -> Array:
    """(S,) whose products sum to the jackknife's covariance."""
    used = np.concatenate([cases for cases, _ in cell.components])
    read = member[:, used].any(axis=1)
    count = int(read.sum())
    influence = np.zeros(len(member))
    if count:
        without = cell.of(1 - member[read])
        influence[read] = (without - without.mean()) * math.sqrt((count - 1) / count)
    return influence


def _resampled(rows: Array, positive: NDArray[np.bool_], member: Array, seed: int) -> Array:
    """(B, S) how often each subject is drawn, within those of the same truth and the same readers."""
    rng = np.random.default_rng(seed)
    kinds = np.concatenate([~np.isnan(rows), positive[None], ~positive[None]]).astype(np.float64) @ member.T > 0
    _, stratum = np.unique(kinds.T, axis=0, return_inverse=True)
    counts = np.zeros((RESAMPLES, len(member)))
    for kind in np.unique(stratum):
        who = np.flatnonzero(stratum.ravel() == kind)
        counts[:, who] = rng.multinomial(len(who), np.full(len(who), 1 / len(who)), RESAMPLES)
    return counts


@dataclass(frozen=True)
class Components:
    """Obuchowski and Rockette's variances, of figures over ``cases`` subjects.

    Attributes:
        reader: Of readers; the planning of paired readers does not need it.
        method_reader: Of readers in how they differ between methods; may be estimated below 0.
        error: Of one reader's figure, by cases and by reading anew.
        cov1: Covariance of errors: same reader, other methods (of unpaired readers: as ``cov3``).
        cov2: Other readers, same method; mean over all pairs, those who share no case included.
        cov3: Other readers, other methods.
        readers: Of the study.
        cases: Number of subjects.
    """

    reader: float
    method_reader: float
    error: float
    cov1: float
    cov2: float
    cov3: float
    readers: int
    cases: int


@dataclass(frozen=True)
class ReaderStudy:
    """Result of a study of several readers and cases.

    Attributes:
        methods: Mean figure of each method over readers, with its interval (from this method's data alone).
        differences: Of the methods (i, j), i < j: first minus second.
        f: MS(method) over its error.
        freedom: Degrees of freedom of ``f``; the second is infinite for fixed readers.
        p: Of "no method differs".
        components: For planning.
    """

    methods: tuple[Interval, ...]
    differences: dict[tuple[int, int], Difference]
    f: float
    freedom: tuple[float, float]
    p: float
    components: Components


def obuchowski_rockette(
    figures: ReaderFigures, *, random: Random = "both", paired_readers: bool = True, level: float = LEVEL
) -> ReaderStudy:
    """Compare methods over readers.

    F = MS(T) / (MS(TR) + R max(cov2 − cov3, 0)) with Hillis's degrees of freedom, denominator² /
    (MS(TR)² / ((T − 1)(R − 1))). Covariances are means over all pairs of readers, so that the same formula holds for
    the crossed design, for split-plots, for cases nested in readers (cov2 = cov3 = 0) and for other cases of each
    method (cov1 = cov3 = 0): each follows from E[MS] of the marginal-mean model (Hillis 2014, 10.1002/sim.5926).

    Args:
        figures: From :func:`~taskgan.stats.reader_figures`.
        random: What the result is to hold for: other readers and other cases; other ``readers`` on these cases; other
            ``cases`` read by these readers (normal instead of t).
        paired_readers: Whether reader j is the same person with every method; else MS(reader within method), with
            T(R − 1) degrees of freedom, is in the place of MS(TR).
        level: Of the intervals.

    Returns:
        NaN ends and p for fewer than 6 subjects, for one random reader, and where the estimated error is zero.
    """
    values, (methods, readers) = figures.values, figures.values.shape
    var, cov1, cov2, cov3 = _averages(figures.covariance, paired_readers)
    means = values.mean(axis=1)
    rest = values - means[:, None]
    if paired_readers:
        rest = rest - values.mean(axis=0) + values.mean()
    freedom = (methods - 1 if paired_readers else methods) * (readers - 1)
    square = float((rest**2).sum()) / freedom if freedom else math.nan
    shared = max(cov2 - cov3, 0.0)
    below, lower = {
        "both": (square + readers * shared, _satterthwaite(square, readers * shared, freedom)),
        "readers": (square, float(freedom)),
        "cases": (var - cov1 + (readers - 1) * shared, math.inf),
    }[random]
    enough = figures.cases >= FEWEST and (random == "cases" or readers > 1)
    below = below if enough and below > 1e-16 else math.nan
    f = readers * float(means.var(ddof=1)) / below if methods > 1 else math.nan
    p = float(stats.chi2.sf((methods - 1) * f, methods - 1) if math.isinf(lower) else stats.f.sf(f, methods - 1, lower))
    pairs = [(i, j) for i in range(methods) for j in range(i + 1, methods)]
    error = math.sqrt(2 * below / readers)
    differences = {
        (i, j): Difference.of_shares(float(means[i] - means[j]), error, figures.cases, level, lower) for i, j in pairs
    }
    own = readers * float(values.mean(axis=0).var(ddof=1)) if readers > 1 else math.nan  # MS(R) / T · R
    by_reader = own / readers - square / methods - cov1 + cov3 if paired_readers else square - var + cov2
    components = Components(
        reader=by_reader,
        method_reader=square - var + cov1 + cov2 - cov3 if paired_readers else math.nan,
        error=var,
        cov1=cov1,
        cov2=cov2,
        cov3=cov3,
        readers=readers,
        cases=figures.cases,
    )
    singles = tuple(
        _single(figures, i, random, level) if enough else Interval.unknown(float(m)) for i, m in enumerate(means)
    )
    return ReaderStudy(singles, differences, f, (float(methods - 1), lower), p, components)


def _averages(covariance: Array, paired: bool) -> tuple[float, float, float, float]:
    """Var, cov1, cov2 and cov3: means over the pairs of figures of each kind; 0 where there is no such pair."""
    methods, readers = covariance.shape[:2]
    same_method = np.eye(methods, dtype=bool)[:, None, :, None]
    same_reader = np.eye(readers, dtype=bool)[None, :, None, :]

    def mean(kind: NDArray[np.bool_]) -> float:
        """Over the pairs of this kind."""
        chosen = covariance[np.broadcast_to(kind, covariance.shape)]
        return float(chosen.mean()) if chosen.size else 0.0

    var, cov2 = mean(same_method & same_reader), mean(same_method & ~same_reader)
    if not paired:  # reader j of one method is nobody in particular to reader j of another
        other = mean(~same_method & np.ones_like(same_reader))
        return var, other, cov2, other
    return var, mean(~same_method & same_reader), cov2, mean(~same_method & ~same_reader)


def _satterthwaite(square: float, extra: float, freedom: int) -> float:
    """Degrees of freedom of a mean square plus a part that is taken as known."""
    if square == 0:
        return math.inf
    return (square + extra) ** 2 / (square**2 / freedom) if freedom else math.nan


def _single(figures: ReaderFigures, method: int, random: Random, level: float) -> Interval:
    """Mean over readers of one method, from its own data."""
    values, covariance = figures.values[method], figures.covariance[method, :, method, :]
    readers = len(values)
    var = float(np.diagonal(covariance).mean())
    cov2 = max(float(covariance[~np.eye(readers, dtype=bool)].mean()) if readers > 1 else 0.0, 0.0)
    square = float(values.var(ddof=1)) if readers > 1 else math.nan
    variance, freedom = {
        "both": (square / readers + cov2, _satterthwaite(square, readers * cov2, readers - 1)),
        "readers": (square / readers, float(readers - 1)),
        "cases": ((var + (readers - 1) * cov2) / readers, math.inf),
    }[random]
    mean = float(values.mean())
    if not variance > 1e-16:
        return Interval.unknown(mean)
    half = two_sided_quantile(level, freedom) * math.sqrt(variance)
    return Interval(mean, max(mean - half, 0.0), min(mean + half, 1.0))


@dataclass(frozen=True)
class RoeMetz:
    """Variances of a rating; those that hold cases or noise sum to one in Roe and Metz's own settings.

    Attributes:
        reader: Of readers, for negative and positive cases apart.
        method_reader: Of readers with a method, likewise.
        case: Of cases.
        method_case: Of cases with a method.
        reader_case: Of cases with a reader.
        noise: Of one reading: of case, reader and method together.
    """

    reader: float
    method_reader: float
    case: float
    method_case: float
    reader_case: float
    noise: float

    @property
    def total(self) -> float:
        """Variance of the rating of a random case by a random reader."""
        return self.reader + self.method_reader + self.case + self.method_case + self.reader_case + self.noise

    def auc(self, separation: float) -> float:
        """Mean AUC over readers, Φ(separation / √(2 total))."""
        return float(stats.norm.cdf(separation / np.sqrt(2 * self.total)))

    def separation(self, auc: float) -> float:
        """Distance of positive from negative cases that gives this mean AUC over readers."""
        return float(stats.norm.ppf(auc) * np.sqrt(2 * self.total))


def roe_metz(
    variances: RoeMetz,
    separations: tuple[float, ...],
    readers: int,
    negatives: int,
    positives: int,
    *,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Ratings of a study in which all readers read all cases with all methods.

    ``separations`` (T,) say of each method how far positive cases lie above negative ones.

    Returns:
        (T, R, N) ratings and (N,) truth, 0 or 1, negative cases first.
    """
    truth = np.repeat([0, 1], [negatives, positives])
    methods, cases = len(separations), negatives + positives

    def effect(variance: float, *shape: int) -> NDArray[np.float64]:
        """Normal draws of this variance."""
        return rng.normal(0.0, np.sqrt(variance), size=shape)

    by_reader = effect(variances.reader, 1, readers, 2) + effect(variances.method_reader, methods, readers, 2)
    ratings = (
        np.array(separations)[:, None, None] * truth
        + by_reader[:, :, truth]
        + effect(variances.case, 1, 1, cases)
        + effect(variances.method_case, methods, 1, cases)
        + effect(variances.reader_case, 1, readers, cases)
        + effect(variances.noise, methods, readers, cases)
    )
    return ratings, truth
