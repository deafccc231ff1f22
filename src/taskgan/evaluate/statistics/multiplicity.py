"""Several comparisons at once: p-values corrected over the family that they form."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

Correction = Literal["holm", "benjamini-hochberg", "none"]
CORRECTIONS: tuple[Correction, ...] = get_args(Correction)
_NAMES = {"holm": "holm", "benjamini-hochberg": "fdr_bh"}


def corrected(p_values: Sequence[float], correction: Correction = "holm") -> list[float]:
    """Adjusted p-values, each to be held against α itself.

    Args:
        p_values: Of one family, e.g. all methods against the baseline in one measure. NaN (not tested) stays NaN
            and does not count.
        correction: ``holm`` bounds the chance of any false claim (Holm 1979, Scand J Stat 6:65);
            ``benjamini-hochberg`` the expected share of false ones among the claims (1995,
            10.1111/j.2517-6161.1995.tb02031.x); ``none`` changes nothing.
    """
    values = np.asarray(p_values, dtype=np.float64)
    tested = ~np.isnan(values)
    if correction != "none" and tested.sum() > 1:
        from statsmodels.stats.multitest import multipletests

        values = values.copy()
        values[tested] = multipletests(values[tested], method=_NAMES[correction])[1]
    return [float(v) for v in values]
