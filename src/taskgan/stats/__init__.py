"""Uncertainty with the subject as the unit: intervals, paired tests, equivalence, power.

Several cases of one subject (doses, seeds) are not independent: they are averaged within the subject, or the
subject is drawn or counted as a whole, so that ten restorations of one brain count as one brain. What each number
means, its source and an example: ``docs/statistics.md``.
"""

from taskgan.stats.agreement import CalibrationLine as CalibrationLine
from taskgan.stats.agreement import LimitsOfAgreement as LimitsOfAgreement
from taskgan.stats.agreement import Repeatability as Repeatability
from taskgan.stats.agreement import calibration_line as calibration_line
from taskgan.stats.agreement import concordance_interval as concordance_interval
from taskgan.stats.agreement import correlation_interval as correlation_interval
from taskgan.stats.agreement import limits_of_agreement as limits_of_agreement
from taskgan.stats.agreement import repeatability as repeatability
from taskgan.stats.agreement import slope_interval as slope_interval
from taskgan.stats.bootstrap import FEWEST as FEWEST
from taskgan.stats.bootstrap import LEVEL as LEVEL
from taskgan.stats.bootstrap import Difference as Difference
from taskgan.stats.bootstrap import Interval as Interval
from taskgan.stats.bootstrap import bootstrap as bootstrap
from taskgan.stats.bootstrap import crossed_interval as crossed_interval
from taskgan.stats.bootstrap import expanded_level as expanded_level
from taskgan.stats.bootstrap import mean_difference as mean_difference
from taskgan.stats.bootstrap import mean_interval as mean_interval
from taskgan.stats.bootstrap import subject_means as subject_means
from taskgan.stats.delong import auc_difference as auc_difference
from taskgan.stats.delong import auc_interval as auc_interval
from taskgan.stats.mrmc import Components as Components
from taskgan.stats.mrmc import ReaderFigures as ReaderFigures
from taskgan.stats.mrmc import ReaderStudy as ReaderStudy
from taskgan.stats.mrmc import RoeMetz as RoeMetz
from taskgan.stats.mrmc import obuchowski_rockette as obuchowski_rockette
from taskgan.stats.mrmc import reader_figures as reader_figures
from taskgan.stats.mrmc import roe_metz as roe_metz
from taskgan.stats.no_gold_standard import NoGoldStandard as NoGoldStandard
from taskgan.stats.no_gold_standard import no_gold_standard as no_gold_standard
from taskgan.stats.power import cases_for_readers as cases_for_readers
from taskgan.stats.power import detectable_auc as detectable_auc
from taskgan.stats.power import detectable_flips as detectable_flips
from taskgan.stats.power import detectable_mean as detectable_mean
from taskgan.stats.power import flips_power as flips_power
from taskgan.stats.power import mean_power as mean_power
from taskgan.stats.power import mrmc_power as mrmc_power
from taskgan.stats.power import rate_power as rate_power
from taskgan.stats.power import subjects_for_auc as subjects_for_auc
from taskgan.stats.power import subjects_for_flips as subjects_for_flips
from taskgan.stats.power import subjects_for_mean as subjects_for_mean
from taskgan.stats.power import subjects_for_rate as subjects_for_rate
from taskgan.stats.rates import CORRECTIONS as CORRECTIONS
from taskgan.stats.rates import Correction as Correction
from taskgan.stats.rates import Equivalence as Equivalence
from taskgan.stats.rates import ErrorRate as ErrorRate
from taskgan.stats.rates import adjusted_p_values as adjusted_p_values
from taskgan.stats.rates import cohen_kappa as cohen_kappa
from taskgan.stats.rates import equivalence as equivalence
from taskgan.stats.rates import error_rate as error_rate
from taskgan.stats.rates import exact_rate as exact_rate
from taskgan.stats.rates import fleiss_kappa as fleiss_kappa
from taskgan.stats.rates import mcnemar as mcnemar
