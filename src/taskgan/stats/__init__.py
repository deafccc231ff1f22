"""Uncertainty with the subject as the unit: intervals, paired tests, equivalence, power.

Several cases of one subject (doses, seeds) are not independent: they are averaged within the subject, or the
subject is drawn or counted as a whole, so that ten restorations of one brain count as one brain. What each number
means, its source and an example: ``docs/statistics.md``.
"""

from taskgan.stats.agreement import LimitsOfAgreement, concordance_interval, limits_of_agreement, slope_interval
from taskgan.stats.bootstrap import (
    FEWEST,
    LEVEL,
    Difference,
    Interval,
    bootstrap,
    crossed_interval,
    expanded_level,
    mean_difference,
    mean_interval,
    subject_means,
)
from taskgan.stats.delong import auc_difference, auc_interval
from taskgan.stats.power import (
    detectable_auc,
    detectable_flips,
    detectable_mean,
    flips_power,
    mean_power,
    rate_power,
    subjects_for_auc,
    subjects_for_flips,
    subjects_for_mean,
    subjects_for_rate,
)
from taskgan.stats.rates import (
    CORRECTIONS,
    Correction,
    Equivalence,
    adjusted_p_values,
    equivalence,
    exact_rate,
    mcnemar,
)

__all__ = [
    "CORRECTIONS",
    "FEWEST",
    "LEVEL",
    "Correction",
    "Difference",
    "Equivalence",
    "Interval",
    "LimitsOfAgreement",
    "adjusted_p_values",
    "auc_difference",
    "auc_interval",
    "bootstrap",
    "concordance_interval",
    "crossed_interval",
    "detectable_auc",
    "detectable_flips",
    "detectable_mean",
    "equivalence",
    "exact_rate",
    "expanded_level",
    "flips_power",
    "limits_of_agreement",
    "mcnemar",
    "mean_difference",
    "mean_interval",
    "mean_power",
    "rate_power",
    "slope_interval",
    "subject_means",
    "subjects_for_auc",
    "subjects_for_flips",
    "subjects_for_mean",
    "subjects_for_rate",
]
