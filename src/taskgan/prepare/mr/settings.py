"""What ``taskgan prepare mr`` can be asked for."""

from typing import Any

from pydantic import Field, model_validator

from taskgan.cohort.splits import DEFAULT_SHARES
from taskgan.core.settings import Settings, validated


class MrPreparation(Settings):
    """How exported images become a cohort. The same files and settings make the same bytes.

    Attributes:
        resample: Bring images that share a frame of reference onto one grid; without it grids must agree.
        grid: Whose grid: a contrast (``T2-FLAIR``), or ``input`` for the longest delay and first echo.
        normalise: Divide all inputs of a subject by one factor and each target by its own (see
            :mod:`taskgan.prepare.mr.normalise`); without it values stay as they are.
        percentile: Of the magnitude over the head that becomes 1.
        splits: Shares of train, val and test, where the table has no column ``split``.
        stratify: Column of the table whose values are spread evenly over the splits; empty for none.
        seed: Of the deal.
    """

    resample: bool = False
    grid: str = "input"
    normalise: bool = True
    percentile: float = Field(default=99.5, gt=0, le=100)
    splits: tuple[float, float, float] = DEFAULT_SHARES
    stratify: str = ""
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> "MrPreparation":
        if min(self.splits) <= 0:
            raise ValueError("splits are three shares above 0")
        if self.grid != "input" and not self.resample:
            raise ValueError("grid names whose grid images are resampled onto and needs --resample")
        return self


def mr_preparation(**values: Any) -> MrPreparation:
    """Check settings as the command line gives them.

    Raises:
        Problems: Every setting that is unknown or out of range, each in a sentence.
    """
    return validated(MrPreparation, values, "prepare mr cannot start")
