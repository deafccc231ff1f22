"""Parallel-beam projection of a stack of slices, with time of flight, as sparse times dense matrices.

The TOF projector is factored: one sparse matrix per subset gathers activity along each ray into short depth
cells (Joseph 1982, 10.1109/TMI.1982.4307572), and one small dense matrix spreads the cells over TOF bins::

    y[tof, ray, slice] = Σ_cell T[tof, cell] · Σ_pixel P[(cell, ray), pixel] · x[pixel, slice]

The TOF kernel does not depend on the ray, so the sparse part has the entries of a projector without TOF.
All slices share the matrix and are its right-hand sides. Measured (``benchmarks/projector.py``, one thread, demo
size): 2 to 3 times faster than the TOF kernel multiplied out into one sparse matrix, at a sixth of the memory.
torch's sparse CSR takes 0.7 to 1.2 times as long as scipy's and needs the transposes held too; projection is no
longer what a subject's time goes into, so the workers do without torch.
"""

import copy
import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special

from taskgan.simulate.pet.settings import FWHM, Scanner

Array = NDArray[np.float32]


def tof_kernel(scanner: Scanner) -> Array:
    """The TOF matrix (bins, cells): share of a cell's activity that is timed into a bin.

    Gaussian of the timing resolution, integrated over the bin, averaged over the cell by quadrature. Columns
    sum to less than 1 where the outermost bins do not hold the whole Gaussian. Without TOF: one row of ones.
    """
    cells = scanner.depth_cells
    if scanner.tof_bins == 0:
        return np.ones((1, cells), dtype=np.float32)
    width = 2.0 * scanner.radius_mm / cells
    fine = 8
    depth = -scanner.radius_mm + width / fine * (np.arange(cells * fine) + 0.5)
    edges = (np.arange(scanner.tof_bins + 1) - 0.5 * scanner.tof_bins) * scanner.tof_bin_mm
    sigma = scanner.tof_mm / FWHM
    below = special.ndtr((edges[:, None] - depth[None, :]) / sigma)
    share = np.diff(below, axis=0).reshape(scanner.tof_bins, cells, fine).mean(axis=2)
    return np.asarray(share, dtype=np.float32)


def gaussian_matrix(size: int, step_mm: float, fwhm_mm: float) -> Array:
    """A Gaussian blur of one axis as a symmetric matrix (size, size); zero outside, so it is its own adjoint."""
    if fwhm_mm <= 0:
        return np.eye(size, dtype=np.float32)
    sigma = fwhm_mm / FWHM / step_mm
    reach = min(size - 1, max(1, math.ceil(4.0 * sigma)))
    # Integrated over the voxel rather than sampled: right also where sigma is under a voxel.
    edges = (np.arange(-reach, reach + 2) - 0.5) / sigma
    taps = np.diff(special.ndtr(edges))
    taps = 0.5 * (taps + taps[::-1]) / taps.sum()
    offset = np.subtract.outer(np.arange(size), np.arange(size))
    inside = np.abs(offset) <= reach
    return np.asarray(np.where(inside, taps[np.clip(offset + reach, 0, 2 * reach)], 0.0), dtype=np.float32)


def blur_plane(matrix: Array, stack: Array) -> Array:
    """Blur both in-plane axes of (N, N, S) with a symmetric (N, N) matrix."""
    n, _, s = stack.shape
    first = (matrix @ stack.reshape(n, n * s)).reshape(n, n, s)
    return np.asarray(np.matmul(matrix, first))


class Projector:
    """Forward and adjoint projection of one scanner, subset by subset.

    Images are (pixels, pixels, S) in (x, y, slice); data of a subset are (T, rays, S) with rays = angles of
    the subset × radial bins and T TOF bins (1 without TOF). Line integrals are in the image's unit × cm.
    Attenuation is a factor (rays, S) of the caller, because it belongs to a subject, not to the scanner.

    Args:
        scanner: Geometry, TOF and resolution.
    """

    def __init__(self, scanner: Scanner, *, resolution: bool = True) -> None:
        self.scanner = scanner
        self.tof = tof_kernel(scanner)
        self._blur = gaussian_matrix(scanner.pixels, scanner.pixel_mm, scanner.resolution_mm if resolution else 0.0)
        self._resolution = resolution and scanner.resolution_mm > 0
        self._matrices = [_subset_matrix(scanner, s) for s in range(scanner.subsets)]

    def without_resolution(self) -> "Projector":
        """The same matrices without the point-spread function: a reconstruction that does not model it."""
        plain = copy.copy(self)
        plain._resolution = False
        return plain

    @property
    def rays(self) -> int:
        """Rays of one subset."""
        return self.scanner.angles // self.scanner.subsets * self.scanner.radial_bins

    @cached_property
    def support(self) -> Array:
        """(pixels, pixels): 1 in the disc that is seen, 0 outside."""
        return _disc(self.scanner).astype(np.float32)

    def blur(self, image: Array) -> Array:
        """The point-spread function in plane; symmetric, so it is its own adjoint."""
        return blur_plane(self._blur, image) if self._resolution else image

    def gather(self, image: Array, subset: int) -> Array:
        """Activity along each ray by depth cell, (cells, rays · S), without blur."""
        columns = image.shape[2]
        flat = np.ascontiguousarray(image, dtype=np.float32).reshape(-1, columns)
        gathered: Array = self._matrices[subset] @ flat
        return gathered.reshape(self.scanner.depth_cells, self.rays * columns)

    def forward(self, image: Array, subset: int) -> Array:
        """Project an image (N, N, S) that has been blurred or needs no blur. Returns (T, rays, S) line integrals per
        TOF bin.
        """
        spread = self.tof @ self.gather(image, subset)
        shape = (len(self.tof), self.rays, image.shape[2])
        return np.asarray(spread, dtype=np.float32).reshape(shape)

    def adjoint(self, data: Array, subset: int) -> Array:
        """The exact transpose of :meth:`forward`: (T, rays, S) to (N, N, S)."""
        columns = data.shape[2]
        cells = self.tof.T @ data.reshape(len(self.tof), -1)
        return self._scatter(cells, subset, columns)

    def line_integral(self, image: Array, subset: int) -> Array:
        """Without TOF, (rays, S): what attenuation needs."""
        gathered = np.asarray(self.gather(image, subset).sum(axis=0), dtype=np.float32)
        return gathered.reshape(self.rays, image.shape[2])

    def back(self, rays: Array, subset: int) -> Array:
        """The adjoint of data that are the same in every TOF bin, (rays, S): what the sensitivity needs."""
        cells = self.tof.sum(axis=0)[:, None] * rays.reshape(1, -1)
        return self._scatter(cells, subset, rays.shape[1])

    def _scatter(self, cells: Array, subset: int, columns: int) -> Array:
        n = self.scanner.pixels
        image: Array = self._matrices[subset].T @ cells.reshape(-1, columns)
        return image.reshape(n, n, columns)


def _disc(scanner: Scanner) -> NDArray[np.bool_]:
    axis = (np.arange(scanner.pixels) - 0.5 * (scanner.pixels - 1)) * scanner.pixel_mm
    return np.asarray(np.add.outer(axis**2, axis**2) <= scanner.radius_mm**2)


def _subset_matrix(scanner: Scanner, subset: int) -> sparse.csr_array:
    """Rows (cell, angle, radial), columns pixels; entries are path lengths in cm."""
    angles = np.arange(subset, scanner.angles, scanner.subsets) * np.pi / scanner.angles
    rays = len(angles) * scanner.radial_bins
    parts = [_angle_entries(scanner, theta) for theta in angles]
    rows = [cell * rays + a * scanner.radial_bins + radial for a, (cell, radial, _, _) in enumerate(parts)]
    matrix = sparse.coo_array(
        (
            np.concatenate([p[3] for p in parts]),
            (np.concatenate(rows).astype(np.int32), np.concatenate([p[2] for p in parts]).astype(np.int32)),
        ),
        shape=(scanner.depth_cells * rays, scanner.pixels**2),
    ).tocsr()
    matrix.sum_duplicates()
    return matrix


def _angle_entries(
    scanner: Scanner, theta: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], Array]:
    """Joseph's method at one angle: (cell, radial bin, pixel, length in cm), one entry each.

    A ray is x·cos θ + y·sin θ = r; depth along it is t = y·cos θ − x·sin θ. It is stepped along the image
    axis that it crosses most steeply, and shared between the two pixels beside it on the other axis.
    """
    n, size = scanner.pixels, scanner.pixel_mm
    centre = 0.5 * (n - 1)
    cos, sin = math.cos(theta), math.sin(theta)
    radial = (np.arange(scanner.radial_bins) - 0.5 * (scanner.radial_bins - 1)) * scanner.radial_mm
    along_x = abs(sin) >= abs(cos)
    steep, flat = (sin, cos) if along_x else (cos, sin)
    step = (np.arange(n) - centre) * size
    other = (radial[:, None] - step[None, :] * flat) / steep
    depth = other * cos - step * sin if along_x else step * cos - other * sin
    cell = np.floor((depth + scanner.radius_mm) / (2 * scanner.radius_mm) * scanner.depth_cells)
    cell = np.clip(cell, 0, scanner.depth_cells - 1).astype(np.int64)
    position = other / size + centre
    low = np.floor(position).astype(np.int64)
    share = position - low
    disc = _disc(scanner)
    ray_index = np.broadcast_to(np.arange(len(radial))[:, None], low.shape)
    step_index = np.broadcast_to(np.arange(n)[None, :], low.shape)
    entries = []
    for index, weight in ((low, 1.0 - share), (low + 1, share)):
        keep = (index >= 0) & (index < n) & (weight > 0)
        a, b = step_index[keep], index[keep]
        pixel = a * n + b if along_x else b * n + a
        inside = disc.reshape(-1)[pixel]
        length = weight[keep] * (0.1 * size / abs(steep))
        entries.append((cell[keep][inside], ray_index[keep][inside], pixel[inside], length[inside].astype(np.float32)))
    cells, rays, pixels, lengths = (np.concatenate(part) for part in zip(*entries, strict=True))
    return cells, rays, pixels, lengths
