"""Several comparisons at once: p-values corrected over the family that they form."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from scipy import stats

Correction = Literal["holm", "benjamini-hochberg", "none"]
CORRECTIONS: tuple[Correction, ...] = get_args(Correction)


def adjusted_p_values(p_values: Sequence[float], correction: Correction = "holm") -> list[float]:
    """Adjusted p-values, each to be held against α itself.

    Args:
        p_values: Of one family, e.g. all methods against the baseline in one measure. NaN (not tested) stays NaN
            and does not count.
        correction: ``holm`` bounds the chance of any false claim (Holm 1979, Scand J Stat 6:65);
            ``benjamini-hochberg`` the expected share of false ones among the claims (1995,
            10.1111/j.2517-6161.1995.tb02031.x); ``none`` changes nothing.
    """
    values = np.array(p_values, dtype=np.float64)
    tested = ~np.isnan(values)
    if correction == "holm":
        order = np.flatnonzero(tested)[np.argsort(values[tested])]
        left = np.arange(len(order), 0, -1)  # hypotheses that are not yet rejected
        values[order] = np.minimum(np.maximum.accumulate(left * values[order]), 1.0)
    elif correction == "benjamini-hochberg" and tested.any():
        values[tested] = stats.false_discovery_control(values[tested])
    return [float(v) for v in values]
