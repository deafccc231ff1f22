"""What the user decides about the tests: margins of equivalence, and the correction over several methods."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from taskgan.core.errors import UserError
from taskgan.evaluate.statistics import CORRECTIONS, Correction
from taskgan.report.metrics import METRICS

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


def parse_inference(margins: Sequence[str] = (), correction: str = "holm") -> Inference:
    """Settings from the command line.

    Args:
        margins: ``MEASURE=NUMBER`` each, e.g. ``psnr=0.5``.
        correction: One of :data:`~taskgan.evaluate.statistics.CORRECTIONS`.

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
            value = float(number)
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            raise UserError(f"--margin {text}: found {number!r}, expected a positive number")
        if name in parsed:
            raise UserError(f"--margin {text}: {name} already has the margin {parsed[name]:g}")
        parsed[name] = value
    for known_correction in CORRECTIONS:
        if known_correction == correction:
            return Inference(parsed, known_correction)
    raise UserError(f"--correction {correction}: expected one of {', '.join(CORRECTIONS)}")
