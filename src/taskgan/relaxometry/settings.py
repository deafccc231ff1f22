"""How the maps are fitted. Times in ms, lengths in mm."""

from typing import Literal

from pydantic import Field, model_validator

from taskgan.core.settings import Settings


class Relaxometry(Settings):
    """Settings of the fit.

    Attributes:
        t1: Smallest and largest T1.
        t2: Smallest and largest T2.
        b1: ``smooth``: a polynomial over the head, fitted to all of its voxels; ``nominal``: 1 everywhere, which
            has the T1 of every voxel wrong where the transmit field is not nominal.
        b1_range: Smallest and largest B1 that is looked for.
        b1_degree: Total degree of the polynomial; lower where there are too few voxels for it.
        b1_block: Edge of the blocks of voxels that share one B1 before the polynomial is fitted.
        signal: A voxel is fitted if its energy over all images is this many times what noise alone gives; the
            others are air, and 0 in every map and contrast.
    """

    t1: tuple[float, float] = (100.0, 6000.0)
    t2: tuple[float, float] = (5.0, 3000.0)
    b1: Literal["smooth", "nominal"] = "smooth"
    b1_range: tuple[float, float] = (0.6, 1.4)
    b1_degree: int = Field(default=6, ge=0, le=10)
    b1_block: float = Field(default=12.0, gt=0)
    signal: float = Field(default=3.0, ge=1)

    @model_validator(mode="after")
    def _ranges(self) -> "Relaxometry":
        for name in ("t1", "t2", "b1_range"):
            low, high = getattr(self, name)
            if not 0 < low < high:
                raise ValueError(f"{name} is {low:g} to {high:g}, expected two rising values above 0")
        return self
