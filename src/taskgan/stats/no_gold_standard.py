"""Which of several methods measures most precisely, from their values alone: no true value is needed."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from taskgan.stats.bootstrap import FEWEST, LEVEL, Interval, expanded_level

Array = NDArray[np.float64]
FEWEST_METHODS = 3  # with two, noise cannot be told from slope
_NODES = 100
_SHAPES = (1.0, 20.0)  # of the beta law: from flat to narrow, without infinite ends
# Noise below this share of a method's spread between subjects is not resolved by the nodes.
_LEAST_NOISE = 0.04
_ENOUGH = 1e-7  # relative step of the mean log likelihood at which the search ends


@dataclass(frozen=True)
class NoGoldStandard:
    """Regression lines of methods against a truth that nobody has measured.

    Attributes:
        slopes: (M,) of each method against the true value.
        intercepts: (M,).
        noise: (M,) standard deviation about the line, in the method's unit.
        noise_to_slope: (M,) noise in units of the true value: the less, the more precise. Slopes share a factor that
            only ``bounds`` hold, so these do too.
        ratios: Of each method, its noise-to-slope over that of the first, with an interval: below 1 is more precise.
            The shared factor cancels.
        shape: Of the beta law of the true values between the bounds.
        intervals: Of each method, ``slopes``, ``intercepts``, ``noise``, ``noise_to_slope`` and ``ranks`` (by the
            last one, 1 is the most precise), by drawing subjects.
    """

    slopes: Array
    intercepts: Array
    noise: Array
    noise_to_slope: Array
    ratios: tuple[Interval, ...]
    shape: tuple[float, float]
    intervals: Mapping[str, tuple[Interval, ...]]


def no_gold_standard(
    values: ArrayLike, bounds: tuple[float, float], *, resamples: int = 200, seed: int = 0, level: float = LEVEL
) -> NoGoldStandard:
    """Maximum likelihood of slopes and noise without a reference.

    Kupinski, Hoppin et al. 2002, 10.1016/S1076-6332(03)80372-0.

    Value of method m for subject i: slope_m Θ_i + intercept_m + normal noise, Θ of a beta law between the bounds.
    Each subject's likelihood is the integral over Θ. The noise of the methods must be independent: what methods share
    because they are made from the same scan is taken for truth (Jha et al., arXiv 2006.02290), so that only the noise
    that each adds is compared. A true law of two humps (negatives and positives) bends the slopes. Of few subjects a
    method can be given next to no noise; the interval of its ratio then shows how little is known.

    Args:
        values: (M, N) of three or more methods, one value a subject; subjects with NaN in any are left out.
        bounds: Least and largest true value that is possible, e.g. (1.0, 2.2) of an SUVR.
        resamples: Draws of subjects for the intervals.
        seed: Of the draws.
        level: Coverage wanted.

    Raises:
        ValueError: For fewer than three methods or six subjects, or bounds that are none.
    """
    table = np.asarray(values, dtype=np.float64)
    table = table[:, ~np.isnan(table).any(axis=0)]
    methods, count = table.shape
    if methods < FEWEST_METHODS or count < FEWEST or not bounds[0] < bounds[1]:
        raise ValueError(
            f"expected {FEWEST_METHODS} methods, {FEWEST} subjects and increasing bounds,"
            f" found {methods}, {count} and {bounds}"
        )
    centre, scale = table.mean(axis=1, keepdims=True), table.std(axis=1, keepdims=True)
    scale = np.where(scale > 0, scale, 1.0)
    ready = (table - centre) / scale  # each method by itself: likelihood and ratios do not change
    # Another start is methods that are all alike: moments of few subjects can leave one without noise.
    alike = _factor(np.full(methods, math.sqrt(0.8)))
    fitted = _fit(ready, _moments(ready), alike)
    rng = np.random.default_rng(seed)
    drawn = (ready[:, rng.integers(0, count, count)] for _ in range(resamples))
    draws = [_fit(d, _moments(d), alike) for d in drawn]  # the same estimator, or intervals are of another one
    tail = (1 - expanded_level(count, level)) / 2

    def _intervals(statistic: Callable[[Array], Array]) -> tuple[Interval, ...]:
        estimate, replicates = statistic(fitted), np.array([statistic(d) for d in draws]).reshape(-1, methods)
        ends = np.quantile(replicates, [tail, 1 - tail], axis=0) if draws else np.full((2, methods), math.nan)
        return tuple(Interval(float(e), float(a), float(b)) for e, a, b in zip(estimate, *ends, strict=True))

    def _slopes(p: Array) -> Array:
        return np.asarray(scale[:, 0] * p[:methods] / (bounds[1] - bounds[0]))

    def _noise(p: Array) -> Array:
        return np.asarray(scale[:, 0] * np.exp(p[2 * methods : 3 * methods]))

    statistics: dict[str, Callable[[Array], Array]] = {
        "slopes": _slopes,
        "intercepts": lambda p: centre[:, 0] + scale[:, 0] * p[methods : 2 * methods] - _slopes(p) * bounds[0],
        "noise": _noise,
        "noise_to_slope": lambda p: _noise(p) / np.maximum(np.abs(_slopes(p)), 1e-12),
        "ranks": lambda p: np.asarray(np.argsort(np.argsort(_precision(p, methods))) + 1, dtype=np.float64),
    }
    first, second = np.exp(fitted[3 * methods :])
    return NoGoldStandard(
        slopes=_slopes(fitted),
        intercepts=statistics["intercepts"](fitted),
        noise=_noise(fitted),
        noise_to_slope=statistics["noise_to_slope"](fitted),
        ratios=_intervals(lambda p: _precision(p, methods)),
        shape=(float(first), float(second)),
        intervals={name: _intervals(statistic) for name, statistic in statistics.items()},
    )


def _precision(parameters: Array, methods: int) -> Array:
    """(M,) noise-to-slope over that of the first."""
    ratio = np.exp(parameters[2 * methods : 3 * methods]) / np.maximum(np.abs(parameters[:methods]), 1e-12)
    return np.asarray(ratio / ratio[0])


def _moments(ready: Array) -> Array:
    """Start at one common factor by moments: of three methods, loading² = s₁₂ s₁₃ / s₂₃."""
    covariance = np.cov(ready)
    methods = len(ready)
    loadings = np.empty(methods)
    for m in range(methods):
        others = [(j, k) for j in range(methods) for k in range(j) if m not in (j, k)]
        squares = [covariance[m, j] * covariance[m, k] / covariance[j, k] for j, k in others if covariance[j, k]]
        loadings[m] = math.sqrt(np.clip(np.median(squares) if squares else 0.5, 0.05, 0.98))
    return _factor(loadings * np.where(covariance[0] < 0, -1, 1))


def _factor(loadings: Array) -> Array:
    """Parameters of standardised methods with these correlations to the truth, under a beta law of shapes 2 and 2."""
    slope = loadings * math.sqrt(20)  # that law has variance 1/20 and mean 1/2
    return np.concatenate([slope, -slope / 2, 0.5 * np.log(1 - loadings**2), [math.log(2.0), math.log(2.0)]])


def _fit(ready: Array, *starts: Array) -> Array:
    """(3M + 2,) slopes, intercepts, log noise and log shapes that maximise the likelihood on [0, 1]."""
    methods, count = ready.shape
    nodes, gauss = np.polynomial.legendre.leggauss(_NODES)
    nodes, gauss = (nodes + 1) / 2, gauss / 2
    logs = np.stack([np.log(nodes), np.log1p(-nodes)])

    def loss(parameters: Array) -> tuple[float, Array]:
        """Negative mean log likelihood and its gradient, by the posterior of Θ at the nodes."""
        slope, intercept, log_noise = parameters[: 3 * methods].reshape(3, methods, 1)
        shape = np.exp(parameters[3 * methods :])
        precise, rest = np.exp(-2 * log_noise), ready - intercept
        # The sum of squares over methods is a polynomial in Θ: nothing of (methods, subjects, nodes) is needed.
        product = (precise * slope * rest).sum(axis=0)[:, None]
        square = float((precise * slope**2).sum())
        constant = -0.5 * (precise * rest**2).sum(axis=0)[:, None] - log_noise.sum()
        law = (shape - 1) @ logs - special.betaln(*shape) + np.log(gauss)
        joint = constant + product * nodes + (law - 0.5 * square * nodes**2)
        total = special.logsumexp(joint, axis=1, keepdims=True)
        posterior = np.exp(joint - total)
        once, twice = posterior @ nodes, posterior @ nodes**2  # E[Θ], E[Θ²] of each subject
        by_slope = (precise * (rest * once - slope * twice)).sum(axis=1)
        by_intercept = (precise * (rest - slope * once)).sum(axis=1)
        by_noise = (precise * (rest**2 - 2 * slope * rest * once + slope**2 * twice)).sum(axis=1) - count
        by_shape = (posterior.sum(axis=0) @ logs.T - count * (special.psi(shape) - special.psi(shape.sum()))) * shape
        gradient = np.concatenate([by_slope, by_intercept, by_noise, by_shape])
        return -float(total.sum()) / count, -gradient / count

    limits = [(None, None)] * (2 * methods) + [(math.log(_LEAST_NOISE), None)] * methods + [tuple(np.log(_SHAPES))] * 2
    further: dict[str, Any] = {"method": "L-BFGS-B", "bounds": limits, "options": {"ftol": _ENOUGH}}
    runs = [optimize.minimize(loss, start, jac=True, **further) for start in starts]
    return np.asarray(min(runs, key=lambda run: float(run.fun)).x)
