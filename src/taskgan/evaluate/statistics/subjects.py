"""From cases to subjects: the step before every statistic."""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def subject_means(
    values: ArrayLike, subjects: Sequence[Hashable]
) -> tuple[NDArray[np.float64], list[Hashable]]:
    """Mean of every subject's values, NaN left out; subjects without a value are dropped.

    Args:
        values: (N,) one value a case.
        subjects: (N,) who each case is of.

    Returns:
        The means and the subjects, in order of first appearance.
    """
    by_subject: dict[Hashable, list[float]] = {}
    for value, subject in zip(np.asarray(values, dtype=np.float64), subjects, strict=True):
        if not np.isnan(value):
            by_subject.setdefault(subject, []).append(float(value))
    return np.array([np.mean(v) for v in by_subject.values()], dtype=np.float64), list(by_subject)
