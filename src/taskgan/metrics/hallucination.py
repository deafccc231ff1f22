"""The hallucination map: what of a restoration moves the judge, and whether the measured image supports it.

Two questions are asked of every voxel.

*Evidence* E, what moved the judge: integrated gradients (Sundararajan, Taly and Yan 2017, arXiv:1703.01365) of the
judge's logit f along the straight path from a reference r to the restored image x̂,

    E = (x̂ − r) · ∫₀¹ ∇f(r + t (x̂ − r)) dt,        Σ E = f(x̂) − f(r),

in logits per voxel: the map adds up to the change of the judge's opinion (*completeness*). r is the clean image x
in an audit; in use, where there is none, the degraded image smoothed to the scale at which it can be trusted.

*Support* z, what the data say: the departure of the restoration from the measured image x̃, smoothed to that scale and
divided by its local spread,

    d = G_σ ∗ (x̂ − x̃),        z = d / s,        s² = G_w ∗ d² − (G_w ∗ d)²,        w = 6 σ.

s is the local standard deviation of that departure, taken three times, each time with what lies beyond 2.5 s cut to
that, so that a small lesion does not set its own yardstick. Where the restoration only removes noise, z is about
standard normal, however the noise varies over the image; where the smoothed restoration says something else than the
smoothed measurement, |z| is large: the data exclude it.

The *hallucination map* is H = E · w(z) with w = max(0, 1 − p / 0.05), p = 2 Φ(−|z|): the evidence that stands
against the data. w is 0 up to |z| = 1.96 and near 1 from 3.5 on, so that of a restoration that only removes noise
about 2.5 % would be called against the data. The rest, E − H, is
evidence that the data can neither show nor exclude. H + (E − H) adds up to the change of the logit. Both are zero
where x̂ = r, and H is zero where x̂ = x̃ over the reach of G_σ.

Limits: a departure all over the head is in part its own yardstick; a small |z| is no proof that the restoration is
right, only that this image cannot tell; E explains this judge and no other.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage, special
from torch import Tensor, nn

Array = NDArray[np.float32]
SIGMA_MM = 4.0  # standard deviation of G_σ: about 9 mm FWHM, the width of a cortical fold and its blur
_WIDER = 6.0
_LEAST_SPREAD = 1e-3
_CLIP = 2.5
_PASSES = 3
_LEVEL = 0.05  # departures that noise alone makes more often than this are not held against anybody
_BATCH = 16


@dataclass(frozen=True)
class HallucinationMaps:
    """The maps of one slice or stack of slices (S, H, W).

    Attributes:
        evidence: E, logits (or a value's unit, such as SUVR) per voxel.
        support: z, without unit.
        against: H, as E.
        change: f(x̂) − f(r) of each slice (S,).
        residual: Σ E − change of each slice (S,), the error of the path's finite steps.
    """

    evidence: Array
    support: Array
    against: Array
    change: NDArray[np.float64]
    residual: NDArray[np.float64]


def support_map(restored: Array, degraded: Array, sigma: tuple[float, ...]) -> Array:
    """z of the module's definition: how far the restoration leaves the measured image, in local standard deviations.

    Args:
        restored: x̂, any number of axes.
        degraded: x̃, the same shape and units.
        sigma: Standard deviation of G_σ along each axis, voxels (see :func:`sigma_of`); 0 does not smooth.

    Returns:
        Same shape; 0 where the two are equal over the reach of G_σ. The spread is at least a thousandth of the
        largest departure, so that empty background gives 0 and not noise over noise.

    Raises:
        ValueError: If shapes differ.
    """
    if restored.shape != degraded.shape:
        raise ValueError(f"restored is {restored.shape}, degraded {degraded.shape}, expected the same")
    departure = ndimage.gaussian_filter(restored.astype(np.float64) - degraded, sigma, mode="nearest")
    largest = float(np.abs(departure).max(initial=0.0))
    if largest == 0:
        return np.zeros(restored.shape, dtype=np.float32)
    return np.asarray(departure / _local_spread(departure, sigma, largest), dtype=np.float32)


def _local_spread(departure: NDArray[np.float64], sigma: tuple[float, ...], largest: float) -> NDArray[np.float64]:
    usual = departure
    for _ in range(_PASSES):
        mean, square = _wide_average(usual, sigma), _wide_average(usual**2, sigma)
        spread = np.sqrt(np.maximum(square - mean**2, (_LEAST_SPREAD * largest) ** 2))
        usual = np.clip(departure, mean - _CLIP * spread, mean + _CLIP * spread)
    return np.asarray(spread)


def unsupported_structure(restored: Array, clean: Array, degraded: Array, sigma: tuple[float, ...]) -> Array:
    """Structure that neither the clean nor the smoothed measured image holds, in SD of the measurement's noise.

    c = G_σ ∗ (x̂ − x) and m = G_σ ∗ (x̂ − x̃). Where both have one sign, it is that sign × min(|c|, |m|) / s, else 0,
    with s the local standard deviation of G_σ ∗ (x̃ − x), the same for all methods. Clean, measured and smoothed
    measured image score near 0.

    Args:
        restored: x̂, any number of axes.
        clean: x, the same shape and units.
        degraded: x̃, likewise.
        sigma: As of :func:`support_map`.
    """
    smoothed = [ndimage.gaussian_filter(image.astype(np.float64), sigma, mode="nearest") for image in (clean, degraded)]
    own = ndimage.gaussian_filter(restored.astype(np.float64), sigma, mode="nearest")
    first, second, noise = own - smoothed[0], own - smoothed[1], smoothed[1] - smoothed[0]
    largest = max(float(np.abs(one).max(initial=0.0)) for one in (first, noise))
    if largest == 0:
        return np.zeros(restored.shape, dtype=np.float32)
    least = np.where(first * second > 0, np.minimum(np.abs(first), np.abs(second)), 0.0)
    return np.asarray(np.sign(first) * least / _local_spread(noise, sigma, largest), dtype=np.float32)


def patch_extremes(structure: Array, head: NDArray[np.bool_], edges: tuple[int, int, int]) -> Array:
    """The value furthest from zero (P,) of each box of ``edges`` voxels that is at least half inside the head."""
    counts = [size // edge for size, edge in zip(structure.shape, edges, strict=True)]

    def _boxes(image: NDArray[np.generic]) -> NDArray[np.generic]:
        whole = image[tuple(slice(0, n * edge) for n, edge in zip(counts, edges, strict=True))]
        (a, b, c), (x, y, z) = counts, edges
        return whole.reshape(a, x, b, y, c, z).transpose(0, 2, 4, 1, 3, 5).reshape(a * b * c, x * y * z)

    values = np.asarray(_boxes(structure), dtype=np.float32)[_boxes(head).mean(axis=1) >= 0.5]
    return np.take_along_axis(values, np.abs(values).argmax(axis=1)[:, None], axis=1)[:, 0]


def _wide_average(image: NDArray[np.float64], sigma: tuple[float, ...]) -> NDArray[np.float64]:
    """G_w: three moving averages along each axis, whose time does not grow with w as a Gaussian's would."""
    for axis, narrow in enumerate(sigma):
        size = round(np.sqrt(4 * (_WIDER * narrow) ** 2 + 1))  # three boxes of this width have the variance w²
        for _ in range(3 if size > 1 else 0):
            image = ndimage.uniform_filter1d(image, min(size, 2 * image.shape[axis] - 1), axis=axis, mode="nearest")
    return image


def sigma_of(voxel_size: tuple[float, float, float], scale_mm: float = SIGMA_MM) -> tuple[float, float, float]:
    """G_σ in voxels of each axis. Along an axis whose voxels are wider than σ it hardly smooths."""
    x, y, z = (scale_mm / size for size in voxel_size)
    return x, y, z


def evidence_map(
    logit: Callable[[Tensor], Tensor], restored: Array, reference: Array, steps: int = 32
) -> tuple[Array, NDArray[np.float64], NDArray[np.float64]]:
    """E of the module's definition, by the midpoint rule.

    Args:
        logit: From (B, 1, H, W) to (B,), differentiable; each entry depends on its own image only.
        restored: x̂ (S, H, W), the units that ``logit`` takes.
        reference: r (S, H, W).
        steps: Points along the path.

    Returns:
        E (S, H, W); f(x̂) − f(r) (S,); Σ E minus that (S,).

    Raises:
        ValueError: If shapes differ.
    """
    if restored.shape != reference.shape or restored.ndim != 3:
        raise ValueError(f"restored is {restored.shape}, reference {reference.shape}, expected the same (S, H, W)")
    points = (torch.arange(steps, dtype=torch.float32) + 0.5) / steps
    evidence = np.zeros(restored.shape, dtype=np.float64)
    change = np.zeros(len(restored))
    for k, (end, start) in enumerate(zip(restored, reference, strict=True)):
        first, step = (torch.from_numpy(start.astype(np.float32)), torch.from_numpy((end - start).astype(np.float32)))
        gradient = torch.zeros_like(first, dtype=torch.float64)
        for part in torch.split(points, _BATCH):
            path = (first + part[:, None, None] * step)[:, None].requires_grad_(True)
            (slope,) = torch.autograd.grad(logit(path).sum(), path)
            gradient += slope[:, 0].double().sum(dim=0)
        evidence[k] = (step.double() * gradient / steps).numpy()
        with torch.no_grad():
            ends = logit(torch.stack([first + step, first])[:, None]).double()
        change[k] = float(ends[0] - ends[1])
    return evidence.astype(np.float32), change, evidence.sum(axis=(1, 2)) - change


def hallucination_map(
    logit: Callable[[Tensor], Tensor],
    restored: Array,
    degraded: Array,
    clean: Array | None,
    sigma: tuple[float, ...],
    *,
    support: Array | None = None,
    steps: int = 32,
) -> HallucinationMaps:
    """The maps of some slices.

    Args:
        logit: See :func:`evidence_map`; :func:`logit_of` makes one of a recogniser's network.
        restored: x̂ (S, H, W), network units.
        degraded: x̃ (S, H, W), network units.
        clean: x (S, H, W), network units; where None the reference is the smoothed degraded image.
        sigma: G_σ along (S, H, W), voxels.
        support: z, where it was made of the whole volume; else it is made of these slices.
        steps: Points along the path.

    Raises:
        ValueError: If shapes differ.
    """
    if clean is None:
        clean = np.asarray(ndimage.gaussian_filter(degraded, sigma, mode="nearest"), dtype=np.float32)
    evidence, change, residual = evidence_map(logit, restored, clean, steps)
    z = support_map(restored, degraded, sigma) if support is None else support
    against = (evidence * contradiction(z)).astype(np.float32)
    return HallucinationMaps(evidence, z, against, change, residual)


def contradiction(support: Array) -> Array:
    """How surely the data exclude a departure z of any shape: w = max(0, 1 − p / 0.05) with p = 2 Φ(−|z|), 0 to 1."""
    p = special.erfc(np.abs(support) / np.sqrt(2.0))
    return np.asarray(np.maximum(0.0, 1.0 - p / _LEVEL), dtype=np.float32)


def suvr_evidence(
    restored: Array, reference: Array, cortex: NDArray[np.bool_], region: NDArray[np.bool_], steps: int = 32
) -> Array:
    """E of the observer: what of x̂ − r moves the composite SUVR, cortex mean over region mean; Σ E is its change.

    Returns:
        SUVR per voxel (X, Y, Z), zero outside of both regions, by ``steps`` points along the path.
    """
    step = restored.astype(np.float64) - reference
    uptake, floor = (float(reference[cortex].mean(dtype=np.float64)), float(reference[region].mean(dtype=np.float64)))
    rise, lift = float(step[cortex].mean()), float(step[region].mean())
    points = (np.arange(steps) + 0.5) / steps
    floors, uptakes = floor + points * lift, uptake + points * rise
    in_cortex = float((1 / floors).mean()) / int(cortex.sum())
    in_region = float((-uptakes / floors**2).mean()) / int(region.sum())
    return (step * (cortex * in_cortex + region * in_region)).astype(np.float32)


def logit_of(
    network: nn.Module, positive: int = 0, negative: int | None = None, scale: float = 1.0
) -> Callable[[Tensor], Tensor]:
    """What moves a decision (B,), of a recogniser's network that returns outputs (B, n) and features.

    The network is set to evaluation mode.

    Args:
        network: That of the recogniser.
        positive: The output: the logit of a label or class, a standardised value.
        negative: Of two classes the one that it stands against, whose logit is taken off.
        scale: What the output is multiplied by: a value's unit.
    """
    network.eval()

    def logit(images: Tensor) -> Tensor:
        """Logit (B,) of the property in images (B, 1, H, W): its own, or its lead over the other."""
        output: Tensor = network(images)[0]
        score = output[:, positive] if negative is None else output[:, positive] - output[:, negative]
        return score if scale == 1.0 else scale * score

    return logit
