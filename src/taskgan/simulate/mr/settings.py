"""What ``taskgan simulate mr`` can be asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from taskgan.cohort.pairs import SPLITS
from taskgan.core.errors import UserError
from taskgan.core.settings import Settings, validated
from taskgan.physics.sequences import TARGETS, Mdme, SpinEcho
from taskgan.simulate.deform import Grid
from taskgan.simulate.workers import Planned, anatomies_by_split, in_turn, interleaved_splits

Scale = Literal["demo", "full"]


class SliceGeometry(Settings):
    """Two-dimensional multi-slice imaging.

    Attributes:
        pixels: Image size in plane (square).
        pixel_mm: Pixel edge.
        slices: Axial slices.
        slice_mm: Distance of slices, also the width of their profile at half its height.
        centre_mm: What the middle of the stack looks at, MNI millimetres above the anterior commissure.
    """

    pixels: int = Field(ge=16)
    pixel_mm: float = Field(gt=0)
    slices: int = Field(ge=1)
    slice_mm: float = Field(gt=0)
    centre_mm: float

    @property
    def grid(self) -> Grid:
        """Its voxels."""
        return Grid((self.pixels, self.pixels, self.slices), (self.pixel_mm, self.pixel_mm, self.slice_mm))


# The demo has the field of view of the full size; its 80 mm of slices reach from the midbrain to the centrum
# semiovale, those of the full size (120 mm) from the cerebellum to the vertex.
_PRESETS: dict[Scale, SliceGeometry] = {
    "demo": SliceGeometry(pixels=128, pixel_mm=1.8, slices=16, slice_mm=5.0, centre_mm=20.0),
    "full": SliceGeometry(pixels=256, pixel_mm=0.9, slices=24, slice_mm=5.0, centre_mm=14.0),
}


class MrSimulation(Settings):
    """A cohort of simulated multi-contrast MR. The same settings make the same bytes.

    Attributes:
        subjects: How many (the paper: 67).
        seed: Of everything that is drawn.
        scale: ``demo`` (128×128×16 at 1.8×1.8×5 mm) or ``full`` (256×256×24 at 0.9×0.9×5 mm).
        anatomy: BrainWeb tissue file or a folder of them; None is the MNI template.
        patients: Share of patients (the paper: 44 of 67).
        tumours: Share of the patients that have a metastasis with oedema; the others have white-matter lesions.
        splits: Shares of train, val and test.
        noise: Multiplies the noise of all images; 0 switches it off.
        snr: Of the input: nominal white matter at the longest delay and shortest echo over the SD of the noise
            in the real part, which is that of the imaginary part.
        target_snr: Of each target: nominal white matter over the SD of the noise in the real part.
        b1: Largest deviation of the transmit field from nominal.
        phase_rad: SD over the image of the phase that is left after the scanner's phase correction; as much again
            grows with the echo time.
        motion_mm: SD of each component of the shift between the input and a target.
        motion_deg: SD of each angle of the rotation between them.
        spread: Multiplies the SD of T1, T2 and density between subjects (2 to 8 %).
        texture: Relative SD of T1, T2 and density within a tissue.
        difference: Relative SD of what a target sees of T1 and T2 against the input.
        gain: Relative SD of the receiver's gain, which all images of a subject have in common.
        mdme: The input's protocol.
        targets: The contrasts; their order is their label.
        pixels: Image size in plane at the same field of view; None is the scale's.
        slices: Slices; None is the scale's.
    """

    subjects: int = Field(default=67, ge=6)
    seed: int = Field(default=0, ge=0)
    scale: Scale = "demo"
    anatomy: Path | None = None
    patients: float = Field(default=44 / 67, gt=0, lt=1)
    tumours: float = Field(default=0.3, ge=0, le=1)
    splits: tuple[float, float, float] = (0.5, 0.17, 0.33)
    noise: float = Field(default=1.0, ge=0, le=100)
    snr: float = Field(default=40.0, gt=0)
    target_snr: float = Field(default=60.0, gt=0)
    b1: float = Field(default=0.2, ge=0, lt=0.5)
    phase_rad: float = Field(default=0.15, ge=0, le=1)
    motion_mm: float = Field(default=0.3, ge=0, le=5)
    motion_deg: float = Field(default=0.3, ge=0, le=5)
    spread: float = Field(default=1.0, ge=0, le=3)
    texture: float = Field(default=0.02, ge=0, le=0.2)
    difference: float = Field(default=0.02, ge=0, le=0.2)
    gain: float = Field(default=0.1, ge=0, le=0.5)
    mdme: Mdme = Mdme()
    targets: tuple[SpinEcho, ...] = TARGETS
    pixels: int | None = Field(default=None, ge=16)
    slices: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _consistent(self) -> "MrSimulation":
        if min(self.splits) <= 0 or abs(sum(self.splits) - 1.0) > 1e-6:
            raise ValueError("splits are three shares above 0 that sum to 1")
        known = {target.name for target in TARGETS}
        names = [target.name for target in self.targets]
        if not names or len(set(names)) < len(names) or not known.issuperset(names):
            raise ValueError(f"targets are some of {', '.join(sorted(known))}, each once")
        return self

    @property
    def one_template(self) -> bool:
        """Whether all subjects are deformed from one head: the MNI template, or the one file that was named."""
        return self.anatomy is None or self.anatomy.is_file()

    @property
    def geometry(self) -> SliceGeometry:
        """The preset with this cohort's changes."""
        preset = _PRESETS[self.scale]
        pixels = self.pixels or preset.pixels
        return preset.model_copy(
            update={
                "pixels": pixels,
                "pixel_mm": preset.pixel_mm * preset.pixels / pixels,
                "slices": self.slices or preset.slices,
            }
        )


def mr_simulation(**values: Any) -> MrSimulation:
    """Check settings as the command line gives them.

    Raises:
        Problems: Every setting that is unknown or out of range, each in a sentence.
    """
    return validated(MrSimulation, values, "simulate mr cannot start")


KINDS = ("control", "lesions", "tumour")


@dataclass(frozen=True, kw_only=True)
class MrSubject(Planned):
    """One subject of the plan. ``kind``: ``control``, ``lesions`` (white-matter lesions) or ``tumour``."""

    kind: str


def plan_subjects(settings: MrSimulation, anatomies: int | None) -> list[MrSubject]:
    """Draw the cohort's table: the number of each kind is exact, every kind that there is is in every split.

    Args:
        anatomies: How many heads; None is the one template whose deformed subjects are the anatomies.

    Raises:
        UserError: If a kind cannot be in every split, or there are fewer heads than splits.
    """
    rng = np.random.default_rng([settings.seed, 0])
    patients = round(settings.patients * settings.subjects)
    tumours = round(settings.tumours * patients)
    counts = dict(zip(KINDS, (settings.subjects - patients, patients - tumours, tumours), strict=True))
    required = {"control": True, "lesions": settings.tumours < 1, "tumour": settings.tumours > 0}
    if any(counts[kind] < len(SPLITS) for kind in KINDS if required[kind]):
        listing = ", ".join(f"{counts[kind]} with {kind}" for kind in KINDS if required[kind])
        raise UserError(
            f"{settings.subjects} subjects of which {settings.patients:.0%} patients, {settings.tumours:.0%} of them "
            f"with a tumour, make {listing.replace('with control', 'controls')}; expected at least 3 of each, one "
            "for every split"
        )
    shuffled = [
        (kind, split)
        for kind in KINDS
        if counts[kind]
        for split in interleaved_splits(counts[kind], settings.splits, rng)
    ]
    owners = anatomies_by_split(anatomies, settings.splits, rng)
    mixed = [shuffled[int(place)] for place in rng.permutation(len(shuffled))]
    places = in_turn([split for _, split in mixed], owners)
    return [
        MrSubject(number=number, kind=kind, split=split, anatomy=anatomy)
        for number, ((kind, split), anatomy) in enumerate(zip(mixed, places, strict=True), start=1)
    ]
