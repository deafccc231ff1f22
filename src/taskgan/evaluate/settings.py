"""Settings of an evaluation: what the paper does not print, or what another tracer needs otherwise."""

from pydantic import Field, ValidationError

from taskgan.errors import UserError
from taskgan.recipe import Settings


class Evaluation(Settings):
    """How restored images are judged.

    Attributes:
        slices: Middle slices that a network reads; the paper takes 40.
        suvr_cut: Composite SUVR from which a case is positive (18F-florbetaben, cerebellar grey matter).
    """

    slices: int = Field(default=40, ge=1)
    suvr_cut: float = Field(default=1.38, gt=0)


def evaluation(**values: float) -> Evaluation:
    """Settings from single values.

    Raises:
        UserError: If a value is out of range.
    """
    try:
        return Evaluation.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{first['loc'][0]} is {first['input']}, {str(first['msg']).lower()}") from None
