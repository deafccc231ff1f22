"""What ``taskgan simulate pet`` can be asked for, and who is who before anything is simulated."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from pydantic import Field, field_validator, model_validator

from taskgan.cohort.pairs import SPLITS
from taskgan.core.errors import UserError
from taskgan.core.settings import Settings, validated
from taskgan.simulate.pet.uptake import draw_composite
from taskgan.simulate.workers import Planned, anatomies_by_split, in_turn, interleaved_splits

Scale = Literal["demo", "full"]
Focal = Literal["none", "lesions", "spheres"]
LIGHT_MM_PER_PS = 0.299792458
FWHM = 2.0 * math.sqrt(2.0 * math.log(2.0))


class Scanner(Settings):
    """One scanner. Every axial slice is projected on its own (2D); oblique planes are left out.

    Attributes:
        pixels: Image size in plane (square); activity lives in the disc inscribed in it.
        pixel_mm: Pixel edge.
        slices: Axial slices.
        slice_mm: Distance of slices, also their thickness.
        radial_bins: Parallel rays per angle.
        radial_mm: Distance of rays.
        angles: Angles over 180°.
        tof_bins: Time-of-flight bins; 0 switches TOF off.
        tof_bin_mm: Width of a TOF bin along the ray.
        tof_ps: Coincidence timing resolution (FWHM); 390 ps are 58 mm.
        depth_cells: Cells along the ray in which activity is gathered before the TOF kernel is applied. A
            cell must be short against the kernel; its width is part of the model on both sides.
        resolution_mm: Point-spread function (FWHM), in plane in the projector, axially on the activity.
        scatter: Scattered coincidences over trues, per slice.
        randoms: Random coincidences over trues, per slice.
        trues_per_kbq: Expected trues of one ray and its TOF bins, per line integral of 1 kBq/ml · cm, before
            attenuation, at the standard dose. This one number sets the noise; it is calibrated.
        subsets: OSEM subsets; they divide the angles.
        iterations: OSEM iterations.
        model_resolution: OSEM knows the point-spread function.
        post_filter_mm: Gaussian filter after OSEM (FWHM, three-dimensional).
        block: Slices that are projected at once; decides memory and speed.
    """

    pixels: int = Field(ge=16)
    pixel_mm: float = Field(gt=0)
    slices: int = Field(ge=1)
    slice_mm: float = Field(gt=0)
    radial_bins: int = Field(ge=16)
    radial_mm: float = Field(gt=0)
    angles: int = Field(ge=4)
    tof_bins: int = Field(ge=0)
    tof_bin_mm: float = Field(gt=0)
    tof_ps: float = Field(default=390.0, gt=0)
    depth_cells: int = Field(ge=1)
    resolution_mm: float = Field(default=4.5, ge=0)
    scatter: float = Field(default=0.20, ge=0)
    randoms: float = Field(default=0.15, ge=0)
    trues_per_kbq: float = Field(gt=0)
    subsets: int = Field(ge=1)
    iterations: int = Field(default=2, ge=1)
    model_resolution: bool = True
    post_filter_mm: float = Field(default=4.0, ge=0)
    block: int = Field(default=16, ge=1)

    @model_validator(mode="after")
    def _consistent(self) -> "Scanner":
        if self.angles % self.subsets:
            raise ValueError(f"{self.subsets} subsets do not divide {self.angles} angles")
        return self

    @property
    def radius_mm(self) -> float:
        """Radius of the disc that holds activity."""
        return 0.5 * self.pixels * self.pixel_mm

    @property
    def tof_mm(self) -> float:
        """TOF resolution along the ray (FWHM): c·Δt/2."""
        return 0.5 * LIGHT_MM_PER_PS * self.tof_ps


# The TOF bin of 25.4 mm is SIGNA's 27-bin one (169 ps). The demo keeps its width and the bins that meet
# the 224 mm field of view. trues_per_kbq was found with benchmarks/simulate_pet.py --calibrate.
_SIZES: dict[str, dict[Scale, float]] = {
    "pixels": {"demo": 112, "full": 256},
    "pixel_mm": {"demo": 2.0, "full": 1.17},
    "slices": {"demo": 28, "full": 89},
    "slice_mm": {"demo": 5.2, "full": 2.78},
    "radial_bins": {"demo": 128, "full": 357},
    "radial_mm": {"demo": 2.0, "full": 2.0},
    "angles": {"demo": 96, "full": 224},
    "tof_bins": {"demo": 9, "full": 27},
    "tof_bin_mm": {"demo": 25.4, "full": 25.4},
    "depth_cells": {"demo": 16, "full": 24},
    "trues_per_kbq": {"demo": 35.5, "full": 21.0},
    "subsets": {"demo": 12, "full": 28},
    "block": {"demo": 28, "full": 16},
}
_PRESETS: dict[Scale, Scanner] = {
    scale: Scanner.model_validate({name: sizes[scale] for name, sizes in _SIZES.items()}) for scale in get_args(Scale)
}


def scanner_preset(scale: Scale, voxel: float | None = None) -> Scanner:
    """The scanner at demo size (112×112×28) or at full size (256×256×89, the scanner's own bins).

    With ``voxel`` its images have the same field of view in cubes of so many millimetres, and its counts those of
    slices of that thickness.
    """
    scanner = _PRESETS[scale]
    if voxel is None:
        return scanner
    pixels = 2 * round(scanner.radius_mm / voxel)
    slices = round(scanner.slices * scanner.slice_mm / voxel)
    counts = scanner.trues_per_kbq * voxel / scanner.slice_mm
    changes = {"pixels": pixels, "pixel_mm": voxel, "slices": slices, "slice_mm": voxel, "trues_per_kbq": counts}
    return Scanner.model_validate({**scanner.model_dump(), **changes})


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
        voxel: Edge in mm of isotropic voxels in the scale's field of view; None is the scale's.
        repeats: Acquisitions of every subject: the same body, independent noise.
        lesions: Share of subjects of every split that have one to three lesions.
        spheres: Test subjects that have six spheres of 10 to 37 mm instead, four times as hot as white matter.
        with_t1: A T1-weighted image of every subject, on the grid of its PET.
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
    voxel: float | None = Field(default=None, ge=1, le=8)
    repeats: int = Field(default=1, ge=1, le=99)
    lesions: float = Field(default=0.0, ge=0, le=1)
    spheres: int = Field(default=0, ge=0)
    with_t1: bool = False

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
    def later(self) -> tuple[str, ...]:
        """Settings that are younger than the first cohorts, which do not mention them: defaults go unsaid."""
        return ("voxel", "repeats", "lesions", "spheres", "with_t1")

    @property
    def focal(self) -> bool:
        """Whether some subjects have lesions or spheres."""
        return bool(self.lesions or self.spheres)

    @property
    def one_template(self) -> bool:
        """Whether all subjects are deformed from one head: the MNI template, or the one file that was named."""
        return self.anatomy is None or self.anatomy.is_file()

    @property
    def scanner(self) -> Scanner:
        """The preset with this cohort's changes."""
        values: dict[str, Any] = scanner_preset(self.scale, self.voxel).model_dump()
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


@dataclass(frozen=True, kw_only=True)
class PetSubject(Planned):
    """One subject of the plan.

    Attributes:
        positive: Class by the cut.
        borderline: Composite near the cut.
        composite: The composite SUVR that the true uptake will have.
        focal: What else it has.
    """

    positive: bool
    borderline: bool
    composite: float
    focal: Focal = "none"


def plan_subjects(settings: PetSimulation, anatomies: int | None) -> list[PetSubject]:
    """Draw the cohort's table.

    The number of positives is exact. Borderline subjects are positive in proportion to the part of their range
    above the cut. Splits are stratified by class (and within a class by borderline); anatomies are dealt
    to splits first, so that none is in two.

    Args:
        anatomies: How many heads; None is the one template whose deformed subjects are the anatomies.

    Raises:
        UserError: If a class cannot be in every split, or there are fewer heads than splits.
    """
    rng = np.random.default_rng([settings.seed, 0])
    total = settings.subjects
    positives = round(settings.positive * total)
    if min(positives, total - positives) < len(SPLITS):
        raise UserError(
            f"{total} subjects of which {settings.positive:.0%} positive make {positives} positive and "
            f"{total - positives} negative; expected at least 3 of each, one for every split"
        )
    low, high = settings.borderline_range
    near = round(settings.borderline * total)
    near_positive = min(round(near * (high - settings.cut) / (high - low)), positives)
    near_negative = min(near - near_positive, total - positives)
    kinds = (
        [(True, True)] * near_positive
        + [(True, False)] * (positives - near_positive)
        + [(False, True)] * near_negative
        + [(False, False)] * (total - positives - near_negative)
    )
    splits = interleaved_splits(sum(k[0] for k in kinds), settings.splits, rng)
    splits += interleaved_splits(sum(not k[0] for k in kinds), settings.splits, rng)
    composites = [
        draw_composite(positive, borderline, settings.cut, settings.borderline_range, rng)
        for positive, borderline in kinds
    ]
    order = rng.permutation(total)
    shuffled = [(kinds[i], composites[i], splits[i]) for i in order]
    owners = anatomies_by_split(anatomies, settings.splits, rng)
    places = in_turn([split for _, _, split in shuffled], owners)
    subjects = [
        PetSubject(
            number=number, positive=positive, borderline=borderline, composite=composite, split=split, anatomy=anatomy
        )
        for number, (((positive, borderline), composite, split), anatomy) in enumerate(
            zip(shuffled, places, strict=True), start=1
        )
    ]
    return _with_focal(subjects, settings) if settings.focal else subjects


def _with_focal(subjects: list[PetSubject], settings: PetSimulation) -> list[PetSubject]:
    """Some subjects of every split with lesions, and some of the other test subjects with spheres.

    Raises:
        UserError: If fewer test subjects are without lesions than there are to be with spheres.
    """
    rng = np.random.default_rng([settings.seed, 0, 1])
    chosen: dict[int, Focal] = {}
    for split in SPLITS:
        own = [int(n) for n in rng.permutation([s.number for s in subjects if s.split == split])]
        count = min(len(own), max(round(settings.lesions * len(own)), int(settings.lesions > 0)))
        spheres = settings.spheres if split == "test" else 0
        if spheres > len(own) - count:
            raise UserError(
                f"spheres is {spheres}, but {len(own) - count} of {len(own)} test subjects are without lesions, "
                "expected at most as many"
            )
        for place, number in enumerate(own[: count + spheres]):
            chosen[number] = "lesions" if place < count else "spheres"
    return [replace(subject, focal=chosen.get(subject.number, "none")) for subject in subjects]
