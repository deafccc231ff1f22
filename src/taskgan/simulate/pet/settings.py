"""What ``taskgan simulate pet`` can be asked for."""

from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from taskgan.core.settings import Settings, validated
from taskgan.simulate.pet.scanner import Scale, Scanner, scanner_preset


class PetSimulation(Settings):
    """A cohort of simulated amyloid PET. The same settings make the same bytes.

    Attributes:
        subjects: How many.
        seed: Of everything that is drawn.
        doses: Low doses in per cent of the standard dose, each one a pair per subject.
        scale: ``demo`` (112×112×28 at 2×2×5.2 mm) or ``full`` (256×256×89 at 1.17×1.17×2.78 mm).
        anatomy: BrainWeb tissue file or a folder of them; None is the MNI template.
        positive: Share of amyloid-positive subjects (the paper: 10 of 40).
        borderline: Share of subjects whose composite lies in ``borderline_range``.
        borderline_range: Composite SUVR of borderline subjects; it holds the cut.
        cut: Composite SUVR above which a subject is positive.
        splits: Shares of train, val and test; test subjects are rounded up by class.
        counts: Multiplies the scanner's calibrated counts at the standard dose.
        iterations: OSEM iterations; None is the scanner's.
        subsets: OSEM subsets; None is the scanner's.
        post_filter_mm: FWHM of the Gaussian after OSEM; None is the scanner's.
    """

    subjects: int = Field(default=40, ge=6)
    seed: int = Field(default=0, ge=0)
    doses: tuple[float, ...] = (1.0,)
    scale: Scale = "demo"
    anatomy: Path | None = None
    positive: float = Field(default=0.25, gt=0, lt=1)
    borderline: float = Field(default=0.2, ge=0, le=1)
    borderline_range: tuple[float, float] = (1.25, 1.40)
    cut: float = Field(default=1.38, gt=0)
    splits: tuple[float, float, float] = (0.5, 0.17, 0.33)
    counts: float = Field(default=1.0, gt=0, le=100)
    iterations: int | None = Field(default=None, ge=1)
    subsets: int | None = Field(default=None, ge=1)
    post_filter_mm: float | None = Field(default=None, ge=0)

    @field_validator("doses")
    @classmethod
    def _doses_below_standard(cls, doses: tuple[float, ...]) -> tuple[float, ...]:
        if not doses or len(set(doses)) != len(doses):
            raise ValueError("expected at least one dose, each of them once")
        if any(not 0 < dose < 100 for dose in doses):
            raise ValueError("a dose is a per cent of the standard dose, above 0 and below 100")
        return tuple(sorted(doses))

    @model_validator(mode="after")
    def _consistent(self) -> "PetSimulation":
        low, high = self.borderline_range
        if not low < self.cut < high:
            raise ValueError(f"borderline_range {low:g} to {high:g} does not hold the cut {self.cut:g}")
        if min(self.splits) <= 0 or abs(sum(self.splits) - 1.0) > 1e-6:
            raise ValueError("splits are three shares above 0 that sum to 1")
        self.scanner  # noqa: B018  (its own checks, such as subsets that divide the angles, come now)
        return self

    @property
    def one_template(self) -> bool:
        """Whether all subjects are deformed from one head: the MNI template, or the one file that was named."""
        return self.anatomy is None or self.anatomy.is_file()

    @property
    def scanner(self) -> Scanner:
        """The preset with this cohort's changes."""
        values: dict[str, Any] = scanner_preset(self.scale).model_dump()
        values["trues_per_kbq"] *= self.counts
        for name in ("iterations", "subsets", "post_filter_mm"):
            if (override := getattr(self, name)) is not None:
                values[name] = override
        return Scanner.model_validate(values)


def pet_simulation(**values: Any) -> PetSimulation:
    """Check settings as the command line gives them.

    Raises:
        Problems: Every setting that is unknown or out of range, each in a sentence.
    """
    return validated(PetSimulation, values, "simulate pet cannot start")
