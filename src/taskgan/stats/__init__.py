"""Uncertainty with the subject as the unit: intervals, paired tests, equivalence, power.

Several cases of one subject (doses, seeds) are not independent: they are averaged within the subject, or the
subject is drawn or counted as a whole, so that ten restorations of one brain count as one brain. What each number
means, its source and an example: ``docs/statistics.md``.
"""

from taskgan.stats.agreement import (
    CalibrationLine,
    LimitsOfAgreement,
    Repeatability,
    calibration_line,
    concordance_interval,
    correlation_interval,
    limits_of_agreement,
    repeatability,
    slope_interval,
)
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
from taskgan.stats.kappa import cohen_kappa, fleiss_kappa
from taskgan.stats.mrmc import Components, ReaderFigures, ReaderStudy, obuchowski_rockette, reader_figures
from taskgan.stats.no_gold_standard import NoGoldStandard, no_gold_standard
from taskgan.stats.power import (
    cases_for_readers,
    detectable_auc,
    detectable_flips,
    detectable_mean,
    flips_power,
    mean_power,
    mrmc_power,
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
    ErrorRate,
    adjusted_p_values,
    equivalence,
    error_rate,
    exact_rate,
    mcnemar,
)
from taskgan.stats.roe_metz import RoeMetz, roe_metz

__all__ = [
    "CORRECTIONS",
    "FEWEST",
    "LEVEL",
    "CalibrationLine",
    "Components",
    "Correction",
    "Difference",
    "Equivalence",
    "ErrorRate",
    "Interval",
    "LimitsOfAgreement",
    "NoGoldStandard",
    "ReaderFigures",
    "ReaderStudy",
    "Repeatability",
    "RoeMetz",
    "adjusted_p_values",
    "auc_difference",
    "auc_interval",
    "bootstrap",
    "calibration_line",
    "cases_for_readers",
    "cohen_kappa",
    "concordance_interval",
    "correlation_interval",
    "crossed_interval",
    "detectable_auc",
    "detectable_flips",
    "detectable_mean",
    "equivalence",
    "error_rate",
    "exact_rate",
    "expanded_level",
    "fleiss_kappa",
    "flips_power",
    "limits_of_agreement",
    "mcnemar",
    "mean_difference",
    "mean_interval",
    "mean_power",
    "mrmc_power",
    "no_gold_standard",
    "obuchowski_rockette",
    "rate_power",
    "reader_figures",
    "repeatability",
    "roe_metz",
    "slope_interval",
    "subject_means",
    "subjects_for_auc",
    "subjects_for_flips",
    "subjects_for_mean",
    "subjects_for_rate",
]
