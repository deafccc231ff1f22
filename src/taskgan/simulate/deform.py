"""One head made into many: size, pose, a smooth random warp and atrophy, onto the scanner's grid."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from taskgan.simulate.anatomy import CSF, GREY, WHITE, Anatomy

Array = NDArray[np.float32]

# Where the middle of the scanner looks in MNI space: the middle of the head in plane, and axially the middle
# between the lowest cerebellum and the vertex.
_CENTRE_MM = (0.0, -16.0, 9.0)
_KNOTS = (7, 7, 6)


@dataclass(frozen=True)
class Grid:
    """The scanner's voxels, centred on the origin.

    Attributes:
        shape: (X, Y, Z).
        voxel_mm: Edges of a voxel.
    """

    shape: tuple[int, int, int]
    voxel_mm: tuple[float, float, float]

    @property
    def affine(self) -> NDArray[np.float64]:
        """Voxel to scanner millimetres (4, 4), RAS, the origin in the middle."""
        affine = np.diag([*self.voxel_mm, 1.0])
        affine[:3, 3] = [-0.5 * (n - 1) * d for n, d in zip(self.shape, self.voxel_mm, strict=True)]
        return affine


@dataclass(frozen=True)
class Head:
    """A subject's head on the scanner's grid.

    Attributes:
        fractions: Tissue fractions (5, X, Y, Z) in the order of ``anatomy.TISSUES``.
        points: Template (MNI) coordinates of every voxel (3, X, Y, Z), mm.
        atrophy: Share of grey matter beside CSF that was lost.
    """

    fractions: Array
    points: Array
    atrophy: float


@dataclass(frozen=True)
class HeadShape:
    """What makes one head of a template's: drawn once, sampled as often as the head is scanned.

    Attributes:
        matrix: Scanner to template directions (3, 3): rotation and size.
        shift: Template coordinates of the scanner's origin (3,), mm.
        knots: The warp's B-spline coefficients (3, 7, 7, 6), mm.
        atrophy: Share of grey matter beside CSF that is lost.
    """

    matrix: NDArray[np.float64]
    shift: NDArray[np.float64]
    knots: Array
    atrophy: float

    def moved(self, rotation: NDArray[np.float64], shift: NDArray[np.float64]) -> "HeadShape":
        """The head after it moved: scanner coordinates r are the head's ``rotation @ r + shift``.

        The warp stays with the scanner. It varies over centimetres, so that for movements of a millimetre this
        changes the head by hundredths.
        """
        return replace(self, matrix=self.matrix @ rotation, shift=self.shift + self.matrix @ shift)


def draw_shape(rng: np.random.Generator, centre_mm: tuple[float, float, float] = _CENTRE_MM) -> HeadShape:
    """Draw a subject.

    Size is 0.94 (SD .025, and .015 per axis: the MNI template is larger than most brains), rotation has an SD
    of 2° about each axis, position 1.5 mm, the warp 2.5 mm with knots about 35 mm apart, atrophy is uniform
    in 0 to 0.3. All are assumptions.

    Args:
        centre_mm: Where the middle of the scanner looks in MNI space.
    """
    size = rng.normal(0.94, 0.025) + rng.normal(0.0, 0.015, 3)
    matrix = rotation(np.radians(rng.normal(0.0, 2.0, 3))) @ np.diag(1.0 / np.clip(size, 0.85, 1.03))
    shift = np.asarray(centre_mm) + rng.normal(0.0, 1.5, 3) * (1.0, 1.0, 0.7)
    knots = rng.normal(0.0, 2.5, (3, *_KNOTS)).astype(np.float32)
    return HeadShape(matrix, shift, knots, float(rng.uniform(0.0, 0.3)))


def deform(anatomy: Anatomy, grid: Grid, rng: np.random.Generator) -> Head:
    """Draw a subject from an anatomy (see :func:`draw_shape`) and put it on the scanner's grid."""
    # Slices are thick against the template: their profile is averaged over thinner ones.
    thin = max(1, round(grid.voxel_mm[2] / 2.4))
    return sample(anatomy, grid, draw_shape(rng), [((k + 0.5) / thin - 0.5, 1.0 / thin) for k in range(thin)])


class Interpolation:
    """An anatomy prepared for sampling: tissues beside each other in memory, air known beforehand."""

    def __init__(self, anatomy: Anatomy) -> None:
        self.tissues = len(anatomy.maps)
        self._inverse = np.linalg.inv(anatomy.affine)
        self._maps = np.ascontiguousarray(np.moveaxis(anatomy.maps, 0, -1))
        some = anatomy.maps.any(axis=0)
        for axis in range(3):  # a cell holds something if one of its eight corners does
            some |= np.roll(some, -1, axis)
        self._some = some.reshape(-1)

    def at(self, points: NDArray[np.float64]) -> Array:
        """Fractions (T, ...) at points (3, ...) in millimetres of the template; air outside."""
        inverse = self._inverse
        voxel = np.tensordot(inverse[:3, :3], points, axes=1) + inverse[:3, 3].reshape(3, *([1] * (points.ndim - 1)))
        return _trilinear(self._maps, voxel, self._some)


def sample(
    anatomy: Anatomy | Interpolation, grid: Grid, shape: HeadShape, profile: Sequence[tuple[float, float]]
) -> Head:
    """One head on the scanner's grid. ``profile``: of a slice: heights of thinner slices, in slices from its middle,
    and their weights, which sum to one.
    """
    template = anatomy if isinstance(anatomy, Interpolation) else Interpolation(anatomy)
    fractions = np.zeros((template.tissues, *grid.shape), dtype=np.float32)
    points = np.zeros((3, *grid.shape), dtype=np.float32)
    for k in range(grid.shape[2]):
        slab = np.zeros((template.tissues, *grid.shape[:2]), dtype=np.float32)
        where = np.zeros((3, *grid.shape[:2]), dtype=np.float32)
        for height, weight in profile:
            place = _points(grid, k + height, shape.matrix, shape.shift, shape.knots)
            where += place * weight
            slab += template.at(place) * np.float32(weight)
        fractions[..., k], points[..., k] = slab, where
    return Head(_atrophied(fractions, grid, shape.atrophy), points, shape.atrophy)


def _points(
    grid: Grid, height: float, matrix: NDArray[np.float64], shift: NDArray[np.float64], knots: Array
) -> NDArray[np.float64]:
    """Template coordinates of one (thin) slice, (3, X, Y)."""
    nx, ny, nz = grid.shape
    x, y, z = (
        (position - 0.5 * (n - 1)) * edge
        for position, n, edge in zip(
            (np.arange(nx), np.arange(ny), np.array([height])), grid.shape, grid.voxel_mm, strict=True
        )
    )
    along_x, along_y, along_z = (
        spline_weights(position, extent, count)
        for position, extent, count in zip(
            (np.arange(nx), np.arange(ny), np.array([height])), (nx, ny, nz), _KNOTS, strict=True
        )
    )
    warp = np.einsum("cijk,xi,yj,zk->cxy", knots, along_x, along_y, along_z, optimize=True)
    straight = (
        matrix[:, 0, None, None] * x[None, :, None]
        + matrix[:, 1, None, None] * y[None, None, :]
        + matrix[:, 2, None, None] * z[0]
    )
    return np.asarray(straight + warp + shift.reshape(3, 1, 1))


def _trilinear(maps: Array, voxel: NDArray[np.float64], some: NDArray[np.bool_] | None = None) -> Array:
    """Sample all maps (X, Y, Z, C) at voxel coordinates (3, ...) at once: (C, ...), zero outside.

    ``some`` (X·Y·Z,) is False for cells, by their lowest corner, whose corners are all zero.
    """
    size, channels = np.array(maps.shape[:3]), maps.shape[3]
    where = voxel.reshape(3, -1)
    inside = np.flatnonzero(np.all((where >= 0) & (where <= size[:, None] - 1), axis=0))
    low = np.minimum(where[:, inside].astype(np.int64), size[:, None] - 2)
    strides = np.array([size[1] * size[2], size[2], 1])
    base = strides @ low
    if some is not None:
        held = some[base]
        inside, base, low = inside[held], base[held], low[:, held]
    share = (where[:, inside] - low).astype(np.float32)
    x, y, z = ((1 - one, one) for one in share)
    flat = maps.reshape(-1, channels)
    values = np.zeros((len(base), channels), dtype=np.float32)
    for corner in np.ndindex(2, 2, 2):
        i, j, k = corner
        rows = flat.take(base + int(strides @ np.array(corner)), axis=0)
        rows *= (x[i] * y[j] * z[k])[:, None]
        values += rows
    sampled = np.zeros((channels, where.shape[1]), dtype=np.float32)
    sampled[:, inside] = values.T
    return sampled.reshape(channels, *voxel.shape[1:])


def smooth_noise(grid: Grid, sigma_mm: float, rng: np.random.Generator) -> Array:
    """How tissue varies within itself: noise of unit SD (X, Y, Z), correlated over about 2.5 ``sigma_mm``."""
    white = rng.standard_normal(grid.shape, dtype=np.float32)
    smooth = ndimage.gaussian_filter(white, [sigma_mm / d for d in grid.voxel_mm], mode="reflect")
    return np.asarray(smooth / smooth.std(), dtype=np.float32)


def spline_weights(positions: NDArray[Any], extent: int, count: int) -> NDArray[np.float64]:
    """Cubic B-spline weights (positions, knots): smooth, and far from folding at the warp's amplitude."""
    where = np.clip(positions / max(extent - 1, 1), 0.0, 1.0) * (count - 1)
    away = np.abs(where[:, None] - np.arange(count))
    near = 2.0 / 3.0 - away**2 + 0.5 * away**3
    far = np.clip(2.0 - away, 0.0, None) ** 3 / 6.0
    return np.asarray(np.where(away < 1.0, near, far))


def rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation matrix (3, 3) of three angles in radians, about x, then y, then z."""
    total = np.eye(3)
    for axis, angle in enumerate(angles):
        one = np.eye(3)
        a, b = [i for i in range(3) if i != axis]
        one[a, a] = one[b, b] = np.cos(angle)
        one[a, b], one[b, a] = -np.sin(angle), np.sin(angle)
        total = total @ one
    return total


def _atrophied(fractions: Array, grid: Grid, atrophy: float) -> Array:
    """Move grey matter (and half as much white) that lies beside CSF to CSF: sulci and ventricles widen."""
    near = ndimage.gaussian_filter(fractions[CSF], [3.0 / d for d in grid.voxel_mm], mode="constant")
    share = (atrophy * np.clip(2.0 * near, 0.0, 1.0)).astype(np.float32)
    for tissue, part in ((GREY, 1.0), (WHITE, 0.5)):
        lost = fractions[tissue] * share * np.float32(part)
        fractions[tissue] -= lost
        fractions[CSF] += lost
    return fractions
