"""Focal uptake: lesions of a ladder of sizes and contrasts, and spheres after NEMA NU 2 for recovery coefficients."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from taskgan.core.errors import UserError
from taskgan.simulate.anatomy import COMPOSITE, GREY, REGIONS, WHITE, index, regions_at
from taskgan.simulate.deform import Grid, Head
from taskgan.simulate.pet.settings import Focal

Array = NDArray[np.float32]

DIAMETERS_MM = (8.0, 12.0, 16.0, 24.0)
CONTRASTS = (1.5, 2.0, 3.0)
_MOST_LESIONS, _GAP_MM, _TRIES = 3, 6.0, 60
_HOSTS = {"grey": (GREY, 0.7), "white": (WHITE, 0.9)}  # from which fraction a voxel can be a lesion's middle
# The body phantom's six spheres (NEMA NU 2-2018), on a circle in template coordinates: within the brain, apart from
# each other, and away from the midline's cingulate regions.
SPHERE_CONTRAST = 4.0
SPHERES_MM = (37.0, 22.0, 17.0, 28.0, 10.0, 13.0)
_CIRCLE_MM, _CIRCLE_MIDDLE = 45.0, (0.0, -18.0, 20.0)
_FINE_MM = 0.5


@dataclass(frozen=True)
class Finding:
    """A ball of uniform uptake.

    Attributes:
        contrast: Its uptake over the mean of its host around and in it, before it was there.
        host: ``grey`` or ``white``.
        confined: It ends at the brain's surface; a sphere does not.
    """

    centre_mm: tuple[float, float, float]
    diameter_mm: float
    contrast: float
    host: str
    region: str
    confined: bool

    def share(self, head: Head, grid: Grid) -> Array:
        """The part of every voxel (X, Y, Z) that it takes."""
        share = ball_share(grid, self.centre_mm, 0.5 * self.diameter_mm)
        return share * head.fractions[[GREY, WHITE]].sum(axis=0) if self.confined else share


def ball_share(grid: Grid, centre_mm: Sequence[float], radius_mm: float) -> Array:
    """How much of every voxel (X, Y, Z) a ball fills, by counting points at most half a millimetre apart."""
    share = np.zeros(grid.shape, dtype=np.float32)
    box, squares = [], []
    for axis, (count, edge, centre) in enumerate(zip(grid.shape, grid.voxel_mm, centre_mm, strict=True)):
        middle = centre / edge + 0.5 * (count - 1)
        reach = radius_mm / edge + 1
        low, high = max(int(np.floor(middle - reach)), 0), min(int(np.ceil(middle + reach)) + 1, count)
        fine = int(np.ceil(edge / _FINE_MM))
        within = (np.arange(fine) + 0.5) / fine - 0.5
        place = (np.arange(low, max(high, low))[:, None] + within - middle) * edge
        box.append(slice(low, max(high, low)))
        squares.append(np.expand_dims(place**2, [k for k in range(6) if k // 2 != axis]))
    inside = squares[0] + squares[1] + squares[2] <= radius_mm**2
    share[tuple(box)] = inside.mean(axis=(1, 3, 5))
    return share


def draw_findings(focal: Focal, head: Head, grid: Grid, rng: np.random.Generator) -> list[Finding]:
    """What a subject has.

    Args:
        focal: ``none``, ``lesions`` (one to three of the ladder) or ``spheres`` (the six of NEMA NU 2).
        grid: The scanner's voxels.

    Raises:
        UserError: If the head has no place for a lesion.
    """
    if focal == "spheres":
        return _spheres(head, grid)
    if focal == "none":
        return []
    regions = regions_at(head.points)
    lobes = np.isin(regions, [index(name) for name in COMPOSITE])
    inner = np.zeros(grid.shape, dtype=bool)
    inner[..., 1:-1] = True
    spots = {host: np.argwhere(lobes & inner & (head.fractions[k] > least)) for host, (k, least) in _HOSTS.items()}
    spots = {host: voxels for host, voxels in spots.items() if len(voxels)}
    if not spots:
        raise UserError("the anatomy has no cortex and no white matter of a lobe for a lesion, expected a whole head")
    findings: list[Finding] = []
    count = int(rng.integers(1, _MOST_LESIONS + 1))
    for _ in range(_TRIES):
        diameter, ratio = float(rng.choice(DIAMETERS_MM)), float(rng.choice(CONTRASTS))
        host = str(rng.choice(list(spots)))
        voxel = spots[host][rng.integers(len(spots[host]))]
        centre = _millimetres(voxel + rng.uniform(-0.5, 0.5, 3), grid)
        apart = (np.linalg.norm(np.subtract(f.centre_mm, centre)) - 0.5 * (f.diameter_mm + diameter) for f in findings)
        if all(distance > _GAP_MM for distance in apart):
            findings.append(Finding(centre, diameter, ratio, host, REGIONS[regions[tuple(voxel)]], True))
        if len(findings) == count:
            break
    return findings


def _spheres(head: Head, grid: Grid) -> list[Finding]:
    """Six spheres on a circle in the template's coordinates, their middles on voxels."""
    findings, regions = [], regions_at(head.points)
    for diameter, angle in zip(SPHERES_MM, np.arange(6) * np.pi / 3, strict=True):
        place = np.add(_CIRCLE_MIDDLE, (_CIRCLE_MM * np.cos(angle), _CIRCLE_MM * np.sin(angle), 0.0))
        away = ((head.points - place.reshape(3, 1, 1, 1)) ** 2).sum(axis=0)
        voxel = np.unravel_index(int(np.argmin(away)), grid.shape)
        centre = _millimetres(np.array(voxel, dtype=float), grid)
        findings.append(Finding(centre, diameter, SPHERE_CONTRAST, "white", REGIONS[regions[voxel]], False))
    return findings


def _millimetres(voxel: NDArray[np.float64], grid: Grid) -> tuple[float, float, float]:
    x, y, z = (voxel - 0.5 * (np.asarray(grid.shape) - 1)) * np.asarray(grid.voxel_mm)
    return float(x), float(y), float(z)


class Inserted(NamedTuple):
    """Uptake (X, Y, Z) with its findings, their numbers in voxels that are at least half one, and what each is."""

    suvr: Array
    numbers: NDArray[np.uint8]
    truth: list[dict[str, Any]]


def insert_findings(suvr: Array, findings: Sequence[Finding], head: Head, grid: Grid) -> Inserted:
    """Replace uptake by that of the findings; voxels are mixed by the part of them that a finding takes.

    A lesion has its contrast to the mean uptake of its host tissue within twice its radius, a sphere to the mean of
    all white matter.

    Args:
        suvr: Before (X, Y, Z).
        findings: Apart from each other.
        grid: The scanner's voxels.
    """
    result, numbers, truth = suvr.copy(), np.zeros(grid.shape, dtype=np.uint8), []
    ml = float(np.prod(grid.voxel_mm)) / 1000
    for number, finding in enumerate(findings, start=1):
        share = finding.share(head, grid)
        kind, least = _HOSTS[finding.host]
        host = head.fractions[kind] > least
        near = host & (ball_share(grid, finding.centre_mm, finding.diameter_mm) > 0.5) if finding.confined else host
        background = float(suvr[near if near.any() else host].mean(dtype=np.float64))
        uptake = finding.contrast * background
        result += share * (np.float32(uptake) - result)
        numbers[share >= 0.5] = number
        entry = {**asdict(finding), "centre_mm": [round(c, 3) for c in finding.centre_mm]}
        figures = {"background_suvr": background, "suvr": uptake, "volume_ml": float(share.sum(dtype=float)) * ml}
        truth.append({"number": number, **entry, **{name: round(value, 5) for name, value in figures.items()}})
    return Inserted(result, numbers, truth)


def touched(findings: Sequence[Finding], grid: Grid) -> NDArray[np.bool_]:
    """Voxels (X, Y, Z) that have anything of a finding, or a voxel beside them that has."""
    shares = [ball_share(grid, finding.centre_mm, 0.5 * finding.diameter_mm) for finding in findings]
    return np.asarray(ndimage.binary_dilation(np.any(shares, axis=0)))
