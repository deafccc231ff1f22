"""Maximum likelihood: ordered-subsets EM (Hudson and Larkin 1994, 10.1109/42.363108) with the scanner's model."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from taskgan.simulate.pet.acquire import SystemModel
from taskgan.simulate.pet.scanner import FWHM, Scanner

Array = NDArray[np.float32]


def sensitivities(model: SystemModel) -> list[Array]:
    """Sensitivity images per subset at the standard dose, (N, N, S): the model's adjoint of ones."""
    projector = model.projector
    return [
        projector.blur(projector.back(survive, subset)) * np.float32(model.scale)
        for subset, survive in enumerate(model.attenuation)
    ]


def subset_order(subsets: int) -> list[int]:
    """Subsets in steps near the golden section, so that neighbours in time are far apart in angle."""
    step = max(1, round(subsets * 0.382))
    while math.gcd(step, subsets) != 1:
        step += 1
    return [(k * step) % subsets for k in range(subsets)]


def osem(
    model: SystemModel,
    counts: Sequence[NDArray[Any]],
    *,
    fraction: float,
    sensitivity: Sequence[Array],
    iterations: int,
) -> Array:
    """Reconstruct one block of slices.

    The model of a share p of the dose is p times the model, background included, so the image comes out in
    the units of the activity at every dose. One subset makes it MLEM, whose likelihood never falls.

    Args:
        model: Of the block.
        counts: Per subset (T, rays, S); any number type.
        fraction: Share of the standard dose, p in 0..1.
        sensitivity: From :func:`sensitivities`.
        iterations: Passes over all subsets.

    Returns:
        (N, N, S) activity, non-negative, zero outside the scanner's disc.
    """
    projector = model.projector
    dose = np.float32(fraction)
    image = np.repeat(projector.support[..., None], counts[0].shape[2], axis=2)
    # Where nothing is seen (the rim of the disc) there is nothing to divide by.
    floors = [np.float32(1e-4) * s.max() for s in sensitivity]
    for _ in range(iterations):
        for subset in subset_order(len(counts)):
            measured = counts[subset]
            mean = model.expected(projector.blur(image), subset)
            # measured/(p·mean), attenuated and back-projected, over the sensitivity p·s: one p is left.
            ratio = measured / (mean * dose)
            ratio *= model.attenuation[subset] * np.float32(model.scale)
            step = projector.blur(projector.adjoint(ratio, subset))
            weights = sensitivity[subset]
            image *= np.where(weights > floors[subset], step / np.maximum(weights, floors[subset]), 0.0)
    return image


def post_filter(volume: Array, scanner: Scanner) -> Array:
    """The three-dimensional Gaussian after reconstruction, (N, N, Z)."""
    if scanner.post_filter_mm <= 0:
        return volume
    sigma = scanner.post_filter_mm / FWHM
    steps = (scanner.pixel_mm, scanner.pixel_mm, scanner.slice_mm)
    return np.asarray(
        ndimage.gaussian_filter(volume, [sigma / d for d in steps], mode="nearest"), dtype=np.float32
    )
