"""Settings of an evaluation: what the paper does not print, or what another tracer needs otherwise."""

from pydantic import Field

from taskgan.core.settings import Settings, validated


class EvaluationSettings(Settings):
    """How restored images are judged.

    Attributes:
        slices: Middle slices that a network reads; the paper takes 40.
        suvr_cut: Composite SUVR from which a case is positive (18F-florbetaben, cerebellar grey matter).
        false_lesions: False lesions an image that the lesion observer makes on clean validation images; its threshold
            follows from it.
    """

    slices: int = Field(default=40, ge=1)
    suvr_cut: float = Field(default=1.38, gt=0)
    false_lesions: float = Field(default=1.0, gt=0)


def evaluation_settings(**values: float) -> EvaluationSettings:
    """Settings from single values.

    Raises:
        Problems: Every value that is out of range.
    """
    return validated(EvaluationSettings, values, "evaluate cannot start")
