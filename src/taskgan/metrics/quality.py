"""Image quality of one restored volume against its clean one: pure functions, one value a case.

The data range comes from the clean volume, never from the prediction: with the prediction's own range, a method
that overshoots would raise its own PSNR. PET is non-negative, so the range is 0 to the clean volume's maximum;
where an image has negative values its minimum is taken in place of 0. Photos have the range of their number type,
also where a clean one does not use all of it.
"""

import math

import numpy as np
from numpy.typing import NDArray

from taskgan.core.errors import UserError

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

_SIGMA = 1.5
_WINDOW = 11  # the 11 × 11 window of Wang et al.: 3.5 σ on either side


def data_range(clean: Image) -> float:
    """Width of the values that a clean image can take: max − min(0, min).

    Args:
        clean: The reference, any shape.

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
    """Relative error ‖x̂ − x‖₂ / ‖x‖₂, the scale of the paper's RMSE for PET and faces (Table 2).

    Args:
        image: x̂, any shape.
        clean: x, the same shape.
        mask: Only these voxels; all where None.

    Returns:
        0 for equal images; NaN where the clean image is zero in the whole region.
    """
    truth = _masked_values(clean, mask).astype(np.float64)
    size = float(np.linalg.norm(truth))
    return float(np.linalg.norm(_masked_values(image, mask) - truth)) / size if size > 0 else float("nan")


def psnr(image: Image, clean: Image, mask: Mask | None = None, *, span: float | None = None) -> float:
    """Peak signal-to-noise ratio, 20 log₁₀(range / RMSE) in dB (Table 2).

    The range is that of the whole clean volume also where a mask is given, so that frame and head differ in
    their errors only.

    Args:
        image: x̂, any shape.
        clean: x, the same shape.
        mask: Only these voxels; all where None.
        span: The range, where the images' number type has one (``Volume.span``); None takes the clean volume's.

    Returns:
        dB; infinite for equal images.
    """
    error = rmse(image, clean, mask)
    width = data_range(clean) if span is None else span
    return 20 * math.log10(width / error) if error > 0 else math.inf


def ssim_map(image: Image, clean: Image, *, span: float | None = None) -> NDArray[np.float64]:
    """Structural similarity at every voxel, slice by slice along the third axis.

    Wang et al. 2004 (10.1109/TIP.2003.819861): Gaussian weights with σ 1.5 in an 11 × 11 window, K₁ = .01,
    K₂ = .03, population covariance; the range of the whole clean volume for every slice.

    Args:
        image: x̂ (X, Y, Z).
        clean: x (X, Y, Z).
        span: As in :func:`psnr`.

    Returns:
        (X, Y, Z), at most 1.

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
    """Mean structural similarity of a volume (Table 2).

    Args:
        similarity: The map that :func:`ssim_map` gives (X, Y, Z).
        mask: Mean over these voxels. Where None: over the frame without the half window at each in-plane edge,
            where the window would reach beyond the image (Wang's and scikit-image's convention).
    """
    if mask is not None:
        return float(similarity[mask].mean())
    edge = _WINDOW // 2
    return float(similarity[edge:-edge, edge:-edge].mean())


def _masked_values(image: Image, mask: Mask | None) -> Image:
    return image if mask is None else image[mask]
