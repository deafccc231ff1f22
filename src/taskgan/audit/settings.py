"""Settings of an audit."""

from typing import Any

from pydantic import Field

from taskgan.core.settings import validated
from taskgan.evaluate.settings import EvaluationSettings


class AuditSettings(EvaluationSettings):
    """How restorations are audited.

    Attributes:
        alpha: Conformal intervals and label sets may miss the truth this often.
        by_class: Calibrate label sets for each label by itself (Mondrian), so that the rarer label is covered too.
        calibration: ``val``: the restored validation cases; a number: this share of the test subjects, drawn by
            ``seed``; ``none``; or the path of a ``conformal.yaml`` that an earlier audit wrote.
        seed: Of the draw of calibration subjects.
        figures: At most this many flipped cases are drawn.
        steps: Points along the path of an evidence map.
    """

    alpha: float = Field(default=0.1, gt=0, lt=1)
    by_class: bool = True
    calibration: str = "val"
    seed: int = Field(default=0, ge=0)
    figures: int = Field(default=24, ge=0)
    steps: int = Field(default=32, ge=4)


def audit_settings(**values: Any) -> AuditSettings:
    """Settings from single values.

    Raises:
        Problems: Every value that is out of range.
    """
    return validated(AuditSettings, values, "audit cannot start")
