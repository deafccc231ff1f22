"""What ``taskgan prepare mr`` can be asked for."""

from dataclasses import dataclass, field
from typing import Any

from pydantic import Field, model_validator

from taskgan.cohort.pairs import DEFAULT_SHARES
from taskgan.core.errors import Problems
from taskgan.core.settings import Settings, validated


class MrPreparation(Settings):
    """How exported images become a cohort. The same files and settings make the same bytes.

    Attributes:
        resample: Bring images that share a frame of reference onto one grid; without it grids must agree.
        grid: Whose grid: a contrast (``T2-FLAIR``), or ``input`` for the longest delay and first echo.
        normalise: Divide all inputs of a subject by one factor and each target by its own (see
            :mod:`taskgan.prepare.mr.load`); without it values stay as they are.
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


@dataclass
class SubjectReport:
    """Sentences about one subject.

    Attributes:
        subject: Its name in the table.
        problems: Why it cannot be prepared.
        notes: What was done or looks odd.
        units: Units of its phases.
        resampled: How many of its images were brought onto another grid.
    """

    subject: str
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    units: set[str] = field(default_factory=set)
    resampled: int = 0

    def add_problem(self, text: str) -> None:
        """Add a problem."""
        self.problems.append(f"subject {self.subject}: {text}")

    def add_note(self, text: str) -> None:
        """Add a note."""
        self.notes.append(f"subject {self.subject}: {text}")

    def raise_problems(self) -> None:
        """End here if there is a problem, as what follows would only repeat it.

        Raises:
            Problems: All so far.
        """
        if self.problems:
            raise Problems(f"subject {self.subject} cannot be prepared", self.problems)
