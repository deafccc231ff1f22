"""The measures that methods are compared in: their columns, names, and which way is better."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from taskgan.core.errors import UserError
from taskgan.core.parse import quoted
from taskgan.stats import CORRECTIONS, Correction


@dataclass(frozen=True)
class Metric:
    """A measure that is compared.

    Attributes:
        key: Column of ``cases.csv``, or ``<measure>_error`` for \\|restored − clean\\|, or ``<reader>_auc``.
        heading: Short name.
        digits: Decimals shown.
        better: +1 if more is better, −1 if less is.
        phrase: Name in a sentence.
        unit: Unit with a leading space, or empty.
        scores: Column of the scores whose AUC this is; empty for a mean over subjects.
        magnitude_of: Column whose size, whatever its sign, is the measure; empty for the column ``key`` itself.
    """

    key: str
    heading: str
    digits: int
    better: int
    phrase: str
    unit: str = ""
    scores: str = ""
    magnitude_of: str = ""

    @property
    def column(self) -> str:
        """The column of ``cases.csv`` that has to be known."""
        return self.magnitude_of or self.scores or self.key

    @property
    def name(self) -> str:
        """What a user calls it, e.g. in ``--margin suvr=0.02``."""
        return self.key.removesuffix("_error") if self.magnitude_of else self.key


def with_reader_error(metric: Metric, measure: str) -> Metric:
    """The metric as it is called where the readers' error is another than a slice MAE."""
    heading = metric.heading.replace("slice MAE", measure)
    return metric if heading == metric.heading else replace(metric, heading=heading)


def with_kind_phrase(metric: Metric, kind: str) -> Metric:
    """The metric as sentences call it where what the judge says of an image is a descriptor."""
    if metric is JUDGE and kind == "embedding":
        return replace(metric, phrase="the judge's distance to the clean image")
    return metric


PSNR = Metric("psnr", "PSNR (dB)", 2, 1, "PSNR", " dB")
SSIM = Metric("ssim", "SSIM", 3, 1, "SSIM")
RELATIVE = Metric("rmse_relative", "Relative RMSE", 3, -1, "relative RMSE")
PSNR_COLOUR = Metric("psnr_colour", "PSNR, colour (dB)", 2, 1, "PSNR over red, green and blue", " dB")
PSNR_HEAD = Metric("psnr_head", "PSNR, head (dB)", 2, 1, "PSNR inside the head", " dB")
SSIM_HEAD = Metric("ssim_head", "SSIM, head", 3, 1, "SSIM inside the head")
RELATIVE_HEAD = Metric("rmse_relative_head", "Relative RMSE, head", 3, -1, "relative RMSE inside the head")
TASK = Metric("task_mae", "T: slice MAE", 3, -1, "the error of T")
JUDGE = Metric("judge_mae", "Judge: slice MAE", 3, -1, "the judge's error")
SUVR = Metric("suvr_error", "|SUVR error|", 3, -1, "the absolute SUVR error", magnitude_of="suvr_bias")
CALIBRATED = Metric(
    "suvr_calibrated_error",
    "|SUVR error|, after its line",
    3,
    -1,
    "the absolute SUVR error after each method's calibration line",
    magnitude_of="suvr_calibrated_error",
)
TASK_AUC = Metric("task_auc", "T: AUC", 3, 1, "the AUC of T", scores="task_probability")
JUDGE_AUC = Metric("judge_auc", "Judge: AUC", 3, 1, "the judge's AUC", scores="judge_probability")
SUVR_AUC = Metric("suvr_auc", "SUVR: AUC", 3, 1, "the SUVR's AUC", scores="suvr_restored")


def _error_of(measure: str, heading: str, digits: int, phrase: str) -> Metric:
    """\\|value − value of the clean image\\|."""
    column = f"{measure}_error"
    return Metric(column, f"|{heading} error|", digits, -1, phrase, magnitude_of=column)


GREY = _error_of("grey_white", "grey/white", 3, "the error of grey over white matter")
CSF = _error_of("csf_white", "CSF/white", 3, "the error of CSF over white matter")
LESION = _error_of("lesion_white", "lesion/white", 3, "the error of lesion over white matter")
LESION_AUC = Metric("lesion_auc", "Lesion AUC", 3, 1, "the detectability of lesions")
LESION_SNR = Metric("lesion_snr", "Lesion SNR", 2, 1, "the lesions' signal-to-noise ratio")
LESIONS_FALSE = Metric("lesions_false", "False lesions", 2, -1, "the number of false lesions")
RIM = _error_of("rim", "rim", 3, "the error of the rim at CSF")
GRID = _error_of("checkerboard", "grid", 4, "the grid artefacts")
RECOVERY = _error_of("recovery", "recovery", 3, "the error of recovery")
RECOVERY_SMALL = _error_of("recovery_small", "recovery, small", 3, "the error of recovery of small findings")
SUVR_CV = Metric("suvr_cv", "SUVR, CV of repeats", 4, -1, "the SUVR's variation between repeats")
BACK = Metric("back_projection", "Back-projection", 4, -1, "the back-projection error")

QUALITY = (PSNR, SSIM, RELATIVE, PSNR_COLOUR, PSNR_HEAD, SSIM_HEAD, RELATIVE_HEAD)
READINGS = (TASK, JUDGE, SUVR)
INSERTED = (RECOVERY, RECOVERY_SMALL, SUVR_CV)
OBSERVED = (CALIBRATED, GREY, CSF, LESION, LESION_AUC, LESION_SNR, LESIONS_FALSE, RIM, GRID, *INSERTED, BACK)
AUCS = {"task": TASK_AUC, "judge": JUDGE_AUC, "suvr": SUVR_AUC}
# What the verdict speaks of: frame and head tell the same story, and T is no judge of Task-GAN.
HEADLINE = (PSNR, SSIM, RELATIVE, JUDGE, SUVR, LESION, LESION_AUC, LESIONS_FALSE)
METRICS = (*QUALITY, *READINGS, *AUCS.values(), *OBSERVED)


ALPHA = 0.05
VERIFICATION = "verification"
"""Name of the margin of verification AUCs: the same for every reader."""


@dataclass(frozen=True)
class Inference:
    """Settings of the tests.

    Attributes:
        margins: Largest difference that does not matter, by the measure's name, in its own unit.
        correction: Of p-values over the methods that are compared with the same baseline in one measure.
    """

    margins: Mapping[str, float] = field(default_factory=dict)
    correction: Correction = "holm"


QIBA_VARIATION = 0.0194
"""Within-subject coefficient of variation that QIBA's amyloid profile claims (10.2967/jnumed.122.264031)."""
CENTILOIDS = 153.4
"""Centiloid units of one SUVR of 18F-florbetaben over whole cerebellum (10.1007/s00259-017-3749-6)."""
REPEATABLE = 8.0, 16.0
"""Repeatability coefficients of the best and of usual pipelines, in Centiloids (``docs/statistics.md``)."""
_NAMED = {
    f"{measure}={name}": margin
    for measure in (SUVR.name, CALIBRATED.name)
    for name, margin in (("qiba", QIBA_VARIATION * 1.38), ("centiloid", REPEATABLE[0] / CENTILOIDS))
}


def parse_inference(margins: Sequence[str] = (), correction: str = "holm") -> Inference:
    """Settings from the command line.

    Args:
        margins: ``MEASURE=NUMBER`` each, e.g. ``psnr=0.5``; ``suvr=qiba`` is 1.94 % of the cut 1.38,
            ``suvr=centiloid`` 8 CL; both of ``suvr_calibrated`` too.
        correction: One of :data:`~taskgan.stats.CORRECTIONS`.

    Raises:
        UserError: If a measure is unknown or named twice, a margin is no positive number, or the correction is
            unknown.
    """
    parsed: dict[str, float] = {}
    measures = (*(metric.name for metric in METRICS), VERIFICATION)
    for text in margins:
        name, _, number = text.partition("=")
        if name not in measures:
            raise UserError(
                f"--margin {text}: expected MEASURE=NUMBER, e.g. psnr=0.5, with a measure of {', '.join(measures)}"
            )
        try:
            value = _NAMED.get(text) or float(number)
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            raise UserError(f"--margin {text}: found {quoted(number)}, expected a positive number")
        if name in parsed:
            raise UserError(f"--margin {text}: {name} already has the margin {parsed[name]:g}")
        parsed[name] = value
    for known_correction in CORRECTIONS:
        if known_correction == correction:
            return Inference(parsed, known_correction)
    raise UserError(f"--correction {correction}: expected one of {', '.join(CORRECTIONS)}")
