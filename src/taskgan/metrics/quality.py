"""Image quality of one restored volume against its clean one: pure functions, one value a case.

The data range comes from the clean volume, never from the prediction: with the prediction's own range, a method
that overshoots would raise its own PSNR. PET is non-negative, so the range is 0 to the clean volume's maximum;
where an image has negative values its minimum is taken in place of 0. Photos have the range of their number type,
also where a clean one does not use all of it.

Grid artefacts of up-sampling are energy at the frequencies of a pixel grid, above the spectrum around them. Strided
transposed convolutions cover neighbouring pixels unevenly (Odena et al. 2016, 10.23915/distill.00003) and leave peaks
at multiples of the inverse stride (Zhang et al. 2019, 10.1109/WIFS47025.2019.9035107). Those of the last layer have a
period of two pixels, those of the layer before of four.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from taskgan.core.errors import UserError

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

_SIGMA = 1.5
_WINDOW = 11  # the 11 × 11 window of Wang et al.: 3.5 σ on either side


def data_range(clean: Image) -> float:
    """Width of the values that a clean image, of any shape, can take: max − min(0, min).

    Raises:
        UserError: If the image is constant, so that no quality can be told.
    """
    width = float(clean.max()) - min(0.0, float(clean.min()))
    if width <= 0:
        raise UserError(f"a clean image is constant ({float(clean.max()):g} everywhere), expected a range of values")
    return width


def rmse(image: Image, clean: Image, mask: Mask | None = None) -> float:
    """Root mean squared error, √mean (x̂ − x)², in the image's units.

    Args:
        image: x̂, any shape.
        clean: x, the same shape.
        mask: Only these voxels; all where None.
    """
    error = _masked_values(image, mask).astype(np.float64) - _masked_values(clean, mask)
    return float(np.sqrt(np.mean(error**2)))


def rmse_relative(image: Image, clean: Image, mask: Mask | None = None) -> float:
    """Relative error ‖x̂ − x‖₂ / ‖x‖₂, the scale of the paper's RMSE for PET and faces (Table 2); as :func:`rmse`.

    Returns:
        0 for equal images; NaN where the clean image is zero in the whole region.
    """
    truth = _masked_values(clean, mask).astype(np.float64)
    size = float(np.linalg.norm(truth))
    return float(np.linalg.norm(_masked_values(image, mask) - truth)) / size if size > 0 else float("nan")


def psnr(image: Image, clean: Image, mask: Mask | None = None, *, span: float | None = None) -> float:
    """Peak signal-to-noise ratio, 20 log₁₀(range / RMSE) in dB (Table 2).

    The range is that of the whole clean volume also where a mask is given, so that frame and head differ in
    their errors only. ``span`` is the range where the images' number type has one (``Volume.span``); None takes the
    clean volume's. Further arguments as of :func:`rmse`.

    Returns:
        dB; infinite for equal images.
    """
    error = rmse(image, clean, mask)
    width = data_range(clean) if span is None else span
    return 20 * math.log10(width / error) if error > 0 else math.inf


def ssim_map(image: Image, clean: Image, *, span: float | None = None) -> NDArray[np.float64]:
    """Structural similarity at every voxel, slice by slice along the third axis.

    Wang et al. 2004 (10.1109/TIP.2003.819861): Gaussian weights with σ 1.5 in an 11 × 11 window, K₁ = .01,
    K₂ = .03, population covariance; the range of the whole clean volume for every slice, ``span`` as in :func:`psnr`.

    Returns:
        (X, Y, Z) of x̂ and x (X, Y, Z), at most 1.

    Raises:
        UserError: If a slice is smaller than the window.
    """
    try:
        from skimage.metrics import structural_similarity
    except ImportError:
        raise UserError("SSIM needs scikit-image, which is not installed: pip install 'taskgan[report]'") from None

    if min(clean.shape[:2]) < _WINDOW:
        raise UserError(
            f"slices of {clean.shape[0]}×{clean.shape[1]} voxels are too small for SSIM, expected at least "
            f"{_WINDOW}×{_WINDOW}"
        )
    width = data_range(clean) if span is None else span
    maps = np.empty(clean.shape, dtype=np.float64)
    for z in range(clean.shape[2]):
        _, maps[:, :, z] = structural_similarity(
            clean[:, :, z].astype(np.float64),
            image[:, :, z].astype(np.float64),
            data_range=width,
            gaussian_weights=True,
            sigma=_SIGMA,
            use_sample_covariance=False,
            full=True,
        )
    return maps


def ssim(similarity: NDArray[np.float64], mask: Mask | None = None) -> float:
    """Mean of the map that :func:`ssim_map` gives over the voxels of a mask (Table 2).

    Where that is None, over the frame without the half window at each in-plane edge, where the window would reach
    beyond the image (Wang's and scikit-image's convention).
    """
    if mask is not None:
        return float(similarity[mask].mean())
    edge = _WINDOW // 2
    return float(similarity[edge:-edge, edge:-edge].mean())


def _masked_values(image: Image, mask: Mask | None) -> Image:
    return image if mask is None else image[mask]


Array = NDArray[np.float64]
LEAST = 24
"""Pixels that a region must be wide and high in a slice: below, the grid's frequencies cannot be told apart."""
_STEP = 8  # both periods divide the window, so that the grid's frequencies fall on bins
_TAPER = 3.0  # pixels over which the region's edge fades out
_PEAK, _RING = 2, 6  # bins: what belongs to a peak, and how far its surroundings reach
_STEPS = np.arange(-_RING, _RING + 1)
_FAR = np.abs(_STEPS) > _PEAK
_PARABOLA = np.stack([np.ones(len(_STEPS)), _STEPS, _STEPS**2], axis=1)
_ACROSS_PEAK = _PARABOLA[~_FAR] @ np.linalg.pinv(_PARABOLA[_FAR])
"""From logarithms on both sides of a peak to those that a parabola through them has at the peak."""
# In cycles per pixel, one of each set (±u, ±v): all that periods of two and four pixels can give.
GRID = ((0.5, 0.0), (0.0, 0.5), (0.5, 0.5), (0.25, 0.0), (0.0, 0.25), (0.25, 0.25), (0.5, 0.25), (0.25, 0.5))


def spectrum(image: NDArray[np.float32], region: Mask) -> Array | None:
    """Power spectrum inside a region, summed over the slices.

    Every slice is cropped to the region, minus its mean there, tapered at the region's edge: what is outside (skull,
    scalp, the edge of the head) does not count.

    Args:
        image: (X, Y, Z), any units.
        region: (X, Y, Z), e.g. the brain.

    Returns:
        (H, W), zero frequency in the middle, H and W multiples of eight; None where no slice of the region is at
        least :data:`LEAST` pixels wide and high.
    """
    slices = np.flatnonzero(region.any(axis=(0, 1)))
    if not len(slices):
        return None
    rows, columns = (np.flatnonzero(region.any(axis=axes)) for axes in ((1, 2), (0, 2)))
    height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    if min(height, width) < LEAST:
        return None
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    shape = tuple(-(-int(n) // _STEP) * _STEP for n in (height, width))
    total = np.zeros(shape)
    for z in slices:
        inside = np.pad(region[*window, z], 1)
        depth = ndimage.distance_transform_edt(inside)[1:-1, 1:-1]
        weight = np.sin(0.5 * np.pi * np.minimum(depth / (_TAPER + 1.0), 1.0)) ** 2
        values = image[*window, z].astype(np.float64)
        flat = (values - np.average(values, weights=weight)) * weight
        total += np.abs(np.fft.fft2(flat, shape)) ** 2
    return np.asarray(np.fft.fftshift(total))


def checkerboard(image: NDArray[np.float32], region: Mask) -> float:
    """Share of a region's spectral energy that stands out at the grid's frequencies.

    Σ over the grid of (energy of the peak − energy of its surroundings) / Σ of all energy. The peak is a square of
    5 × 5 bins, because an artefact that comes and goes over the image is spread around its frequency; its
    surroundings are the geometric mean of the four bins around it. On an axis of the spectrum, where straight edges
    of the anatomy gather, each row of the peak is compared along that axis, with a parabola in the logarithm through
    the four bins on either side. Without a grid it is about zero, of clean heads up to two thousandths: compare with
    the clean image's. A sine of amplitude a over the whole region adds a²/2 over the region's variance.

    Args:
        image: (X, Y, Z), any units: the scale cancels.
        region: (X, Y, Z), e.g. the brain.

    Returns:
        A share, between −1 and 1; NaN where the region is too small or the image constant in it.
    """
    power = spectrum(image, region)
    total = 0.0 if power is None else float(power.sum())
    if power is None or not total > 0:
        return float("nan")
    return sum(_excess(power, frequency) for frequency in GRID) / total


def bins(shape: tuple[int, int], frequency: tuple[float, float]) -> list[tuple[int, int]]:
    """Where a frequency and its mirror image are in a centred spectrum (H, W); once where both are the same bin."""
    indices = []
    for sign in (1, -1):
        place = tuple((n // 2 + round(sign * f * n)) % n for n, f in zip(shape, frequency, strict=True))
        indices.append((place[0], place[1]))
    return list(dict.fromkeys(indices))


def _excess(power: Array, frequency: tuple[float, float]) -> float:
    """Energy of both peaks above their surroundings; mixed quarters count with the other sign of one too."""
    mirrored = (frequency[0], -frequency[1])
    shape = power.shape[0], power.shape[1]
    places = dict.fromkeys([*bins(shape, frequency), *bins(shape, mirrored)])
    steps, far = _STEPS, _FAR
    excess = 0.0
    for row, column in places:
        around = power[np.ix_((row + steps) % shape[0], (column + steps) % shape[1])]
        level = np.log(np.maximum(around, np.finfo(float).tiny))
        if 0.0 in frequency:
            along = level if frequency[1] == 0 else level.T
            smooth = float(np.exp(_ACROSS_PEAK @ along[far][:, ~far]).sum())
        else:
            smooth = float(np.exp(level[far[:, None] | far[None, :]].mean())) * (2 * _PEAK + 1) ** 2
        excess += float(around[np.ix_(~far, ~far)].sum()) - smooth
    return excess
