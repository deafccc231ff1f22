"""Smooth fields over the head: transmit field, receive phase, and tissue that varies within itself."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from taskgan.simulate.deform import Grid, spline_weights

Array = NDArray[np.float32]


def smooth_field(grid: Grid, rng: np.random.Generator, knots: tuple[int, int, int] = (5, 5, 4)) -> Array:
    """A random field of unit SD and mean 0 over the grid, from cubic B-splines (X, Y, Z)."""
    coefficients = rng.normal(0.0, 1.0, knots)
    x, y, z = (spline_weights(np.arange(n), n, count) for n, count in zip(grid.shape, knots, strict=True))
    field = np.einsum("ijk,xi,yj,zk->xyz", coefficients, x, y, z, optimize=True)
    field -= field.mean()
    return np.asarray(field / max(float(field.std()), 1e-9), dtype=np.float32)


def transmit_field(grid: Grid, head: NDArray[np.bool_], amplitude: float, rng: np.random.Generator) -> Array:
    """B1 relative to nominal: high in the middle of the head and low at its edge, as at 3 T, and uneven.

    Args:
        grid: The scanner's voxels.
        head: Where the head is (X, Y, Z).
        amplitude: Largest deviation from 1 within the head; a subject has 60 to 100 % of it.
        rng: The subject's generator.

    Returns:
        (X, Y, Z), 1 ± amplitude.
    """
    centre = [float(np.mean(axis)) if len(axis) else 0.0 for axis in np.nonzero(head)]
    away = np.meshgrid(
        *((np.arange(n) - c) * d for n, c, d in zip(grid.shape, centre, grid.voxel_mm, strict=True)),
        indexing="ij",
        sparse=True,
    )
    radius = np.sqrt(sum(part**2 for part in away))
    pattern = np.cos(np.minimum(radius / 100.0, 1.4) * np.pi / 1.4) + 0.4 * smooth_field(grid, rng)
    largest = float(np.abs(pattern[head]).max()) if head.any() else 1.0
    share = float(rng.uniform(0.6, 1.0)) * amplitude
    return np.asarray(1.0 + share * np.clip(pattern / largest, -1.0, 1.0), dtype=np.float32)


def texture(grid: Grid, rng: np.random.Generator) -> Array:
    """How tissue varies within itself: noise of unit SD, correlated over about 10 mm (X, Y, Z)."""
    white = rng.standard_normal(grid.shape, dtype=np.float32)
    smooth = ndimage.gaussian_filter(white, [4.0 / d for d in grid.voxel_mm], mode="reflect")
    return np.asarray(smooth / smooth.std(), dtype=np.float32)
