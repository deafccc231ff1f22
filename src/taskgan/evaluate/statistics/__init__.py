"""Uncertainty with the subject as the unit: intervals, paired tests, equivalence, power.

Several cases of one subject (doses, seeds) are not independent: they are averaged within the subject, or the
subject is drawn or counted as a whole, so that ten restorations of one brain count as one brain. What each number
means, its source and an example: ``docs/statistics.md``.
"""

from taskgan.evaluate.statistics.bootstrap import bootstrap, expanded_level, mean_interval
from taskgan.evaluate.statistics.concordance import concordance_interval, slope_interval
from taskgan.evaluate.statistics.crossed import crossed_interval
from taskgan.evaluate.statistics.delong import auc_difference, auc_interval
from taskgan.evaluate.statistics.difference import Difference, mean_difference
from taskgan.evaluate.statistics.equivalence import Equivalence, equivalence
from taskgan.evaluate.statistics.interval import FEWEST, LEVEL, Interval
from taskgan.evaluate.statistics.limits import LimitsOfAgreement, limits_of_agreement
from taskgan.evaluate.statistics.multiplicity import CORRECTIONS, Correction, adjusted_p_values
from taskgan.evaluate.statistics.power import (
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
from taskgan.evaluate.statistics.proportion import exact_rate, mcnemar
from taskgan.evaluate.statistics.subjects import subject_means

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
