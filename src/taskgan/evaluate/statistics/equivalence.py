"""Equivalence and non-inferiority within a margin that the user states."""

import math
from dataclasses import dataclass

from scipy import stats

from taskgan.evaluate.statistics.difference import Difference
from taskgan.evaluate.statistics.interval import FEWEST, Interval


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests of a difference against ± margin.

    Attributes:
        margin: The largest difference that does not matter.
        interval: The difference with its 1 − 2α interval, which lies inside ± margin exactly when p < α.
        p_above: p against "the difference is −margin or less".
        p_below: p against "the difference is +margin or more".
    """

    margin: float
    interval: Interval
    p_above: float
    p_below: float

    @property
    def p(self) -> float:
        """p of equivalence: the larger of the two."""
        return math.nan if math.isnan(self.p_above) else max(self.p_above, self.p_below)

    def p_noninferior(self, better: int) -> float:
        """p of "not worse by the margin", where ``better`` is +1 if more is better and −1 if less is."""
        return self.p_above if better > 0 else self.p_below

    def describe(self, better: int, *, digits: int = 2, unit: str = "", alpha: float = 0.05) -> str:
        """The result in words; absence of evidence is "not shown", never "different"."""
        margin = f"{self.margin:.{digits}f}{unit}"
        if math.isnan(self.p):
            return "not tested: too few subjects"
        if self.p < alpha:
            return f"equivalent within ±{margin}"
        if self.p_noninferior(better) < alpha:
            return f"not worse by {margin} or more; equivalence not shown"
        return f"equivalence within ±{margin} not shown"


def equivalence(difference: Difference, margin: float, *, alpha: float = 0.05) -> Equivalence:
    """Schuirmann's two one-sided tests (1987, 10.1007/BF01068419) of a paired difference by subject.

    Each test asks whether the difference could be ∓margin, and takes the error that it would have if it were
    (``Difference.error_if``). That matters for AUCs near 1, whose estimated variance is nearly zero.

    Args:
        difference: From :func:`~taskgan.evaluate.statistics.mean_difference` (paired t) or
            :func:`~taskgan.evaluate.statistics.auc_difference` (normal).
        margin: Positive, in the measure's own unit; has to be fixed before the data are seen.
        alpha: Level of each of the two tests; the interval has the level 1 − 2α.

    Raises:
        ValueError: If the margin is not positive.
    """
    if not margin > 0:
        raise ValueError(f"expected a positive margin, found {margin}")
    estimate, error = difference.interval.estimate, difference.error
    if math.isnan(error) or difference.count < FEWEST:
        return Equivalence(margin, Interval(estimate, math.nan, math.nan), math.nan, math.nan)
    if error == 0:
        inside = (float(estimate <= -margin), float(estimate >= margin))
        return Equivalence(margin, Interval(estimate, estimate, estimate), *inside)
    law = stats.norm() if math.isinf(difference.freedom) else stats.t(difference.freedom)
    least = difference.error_if or (lambda _: 0.0)
    below, above = max(error, least(-margin)), max(error, least(margin))
    quantile = float(law.ppf(1 - alpha))
    return Equivalence(
        margin,
        Interval(estimate, estimate - quantile * below, estimate + quantile * above),
        p_above=float(law.sf((estimate + margin) / below)),
        p_below=float(law.cdf((estimate - margin) / above)),
    )
