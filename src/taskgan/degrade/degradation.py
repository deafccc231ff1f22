"""A chain of degradation steps as one operator: applied to images, and asked whether a restoration agrees with it.

The linear steps of the chain (blur, down-sampling) are one linear operator A from the clean image to the
low-resolution one, ``low = A_x · image · A_yᵀ``; noise and compression act on what it gives; U, bicubic, brings the
result up to the size of the clean image. A restored image is consistent if A gives of it what the degraded image was
made from.
"""

import io
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter
from scipy import sparse
from scipy.sparse.linalg import splu

from taskgan.core.errors import UserError
from taskgan.core.settings import Settings, validated
from taskgan.recipe.generator import Blur, Down, Jpeg, Noise, Poisson, Step

Image = NDArray[np.float64]
Steps = tuple[Any, ...]

_KINDS: dict[str, tuple[type[Settings], str]] = {
    "blur": (Blur, "sigma"),
    "down": (Down, "factor"),
    "decimate": (Down, "factor"),
    "noise": (Noise, "sd"),
    "poisson": (Poisson, "peak"),
    "jpeg": (Jpeg, "quality"),
}
_ADAPTER: TypeAdapter[Any] = TypeAdapter(tuple[Step, ...])


def parse_steps(text: str) -> tuple[Any, ...]:
    """``blur:2,down:4,noise:0.05,jpeg:30`` to steps, in that order; UserError and Problems name what is wrong."""
    steps = []
    for part in text.split(","):
        name, colon, number = part.strip().partition(":")
        if name not in _KINDS or not colon:
            raise UserError(
                f"--degrade {text}: {part.strip() or 'an empty step'} is no step; expected some of blur:SIGMA, "
                "down:FACTOR, decimate:FACTOR, noise:SD, poisson:PEAK, jpeg:QUALITY, separated by commas"
            )
        model, key = _KINDS[name]
        values: dict[str, Any] = {key: number.strip()}
        if name == "decimate":
            values["by"] = "decimate"
        steps.append(validated(model, values, f"--degrade {text} has a bad step {part.strip()}"))
    return tuple(steps)


def steps_from_values(values: Sequence[Any]) -> tuple[Any, ...]:
    """Steps as ``cohort.yaml`` has them."""
    steps: tuple[Any, ...] = _ADAPTER.validate_python(list(values))
    return steps


def apply_noise(step: Noise | Poisson | Jpeg, image: Image, rng: np.random.Generator) -> Image:
    """Do what a step does that is not linear, to (X, Y) or (X, Y, C); white is 1.

    Poisson counts values below zero as zero; JPEG takes images of 1 or 3 channels and draws nothing.
    """
    if isinstance(step, Noise):
        return np.asarray(image + rng.normal(0.0, step.sd, image.shape))
    if isinstance(step, Poisson):
        return np.asarray(rng.poisson(np.clip(image, 0.0, None) * step.peak) / step.peak)
    from PIL import Image as Pillow

    flat = image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image
    turned = np.ascontiguousarray(np.swapaxes(flat, 0, 1))
    packed = io.BytesIO()
    Pillow.fromarray(np.rint(np.clip(turned, 0, 1) * 255).astype(np.uint8)).save(packed, "JPEG", quality=step.quality)
    with Pillow.open(packed) as opened:
        restored = np.asarray(opened, dtype=np.float64) / 255
    return np.ascontiguousarray(np.swapaxes(restored, 0, 1)).reshape(image.shape)


_SIZES = 32  # lengths of an axis whose matrices are kept


class Degradation:
    """A chain of steps, at least one (else a ValueError), in the order in which they act.

    Images are (X, Y) or (X, Y, C), values 0 to 1.
    """

    def __init__(self, steps: Steps) -> None:
        if not steps:
            raise ValueError("a degradation needs at least one step")
        self.steps = tuple(steps)

    def to_dicts(self) -> list[dict[str, Any]]:
        """The steps as plain values, for ``cohort.yaml`` (``degradation: {steps: …}``)."""
        return [step.model_dump(mode="json") for step in self.steps]

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> "Degradation | None":
        """The degradation that a cohort was made by (``cohort.yaml``), or None where it does not say.

        Raises:
            UserError: If what it says is no chain of steps.
        """
        if "degradation" not in description:
            return None
        try:
            return cls(steps_from_values(description["degradation"]["steps"]))
        except (KeyError, TypeError, ValueError):
            raise UserError(
                "cohort.yaml has a degradation that is no list of steps such as {kind: blur, sigma: 2}"
            ) from None

    def apply(self, image: NDArray[Any], rng: np.random.Generator | None = None) -> Image:
        """Degrade a clean image and bring it back to its size, clipped to 0 to 1; noise without ``rng`` has seed 0."""
        degraded = np.asarray(image, dtype=np.float64)
        generator = rng or np.random.default_rng(0)
        for linear, group in groupby(self.steps, lambda step: isinstance(step, Blur | Down)):
            part = tuple(group)
            if linear:
                degraded = _both([_chain(part, n) for n in degraded.shape[:2]], degraded)
                continue
            for step in part:
                degraded = apply_noise(step, degraded, generator)
        if degraded.shape[:2] != image.shape[:2]:
            degraded = _both([_up(low, n) for low, n in zip(degraded.shape, image.shape[:2], strict=False)], degraded)
        return np.clip(degraded, 0.0, 1.0)

    def forward(self, image: NDArray[Any]) -> Image:
        """A: blur and down-sampling alone, (X, Y) to the low resolution."""
        return _both([self._axis(n) for n in image.shape[:2]], np.asarray(image, dtype=np.float64))

    def adjoint(self, low: NDArray[Any], shape: tuple[int, int]) -> Image:
        """Aᵀ: from the low resolution to images of a shape (X, Y)."""
        return _both([self._axis(n).T for n in shape], np.asarray(low, dtype=np.float64))

    def matrices(self, shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """A_x and A_y as dense matrices (x, X), (y, Y), from which a projection onto A·image = low can be built:
        image + A⁺(low − A·image) with A⁺ = A_xᵀ(A_x A_xᵀ)⁻¹ along each axis (:mod:`taskgan.networks.projection`).
        """
        a, b = (self._axis(n).toarray() for n in shape)
        return a, b

    @property
    def linear(self) -> bool:
        """Whether blur and down-sampling are all there is: the low-resolution image is A·clean and no more."""
        return all(isinstance(step, Blur | Down) for step in self.steps)

    def axis_matrices(self, length: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """A and U⁺ along an axis of a length L, dense, (l, L) each: what they give of a degraded image's axis is
        what its low-resolution image has, ``A·clean = U⁺·degraded``.
        """
        a, up = self._axis(length), _up(self._axis(length).shape[0], length).toarray()
        return a.toarray(), np.linalg.solve(up.T @ up, up.T)

    def low_resolution(self, degraded: NDArray[Any]) -> Image:
        """The low-resolution image that a degraded one was brought up from: its least-squares inverse of U.

        Exact up to the rounding and clipping of the degraded image's file.
        """
        values = np.asarray(degraded, dtype=np.float64)
        for dimension in (0, 1):
            length = values.shape[dimension]
            up, solver = _inverse(self._axis(length).shape[0], length)
            lines = np.moveaxis(values, dimension, 0)
            right = up.T @ lines.reshape(len(lines), -1)
            solved = solver.solve(np.ascontiguousarray(right)).reshape(-1, *lines.shape[1:])
            values = np.moveaxis(solved, 0, dimension)
        return values

    def consistency(self, restored: NDArray[Any], degraded: NDArray[Any]) -> float:
        """Back-projection error: RMSE of A·restored against the low-resolution image, in units of the range (0 to 1).

        Of the clean image it is the noise and rounding of the input; a restoration well above that shows something
        that the input contradicts. Both images are (X, Y) or (X, Y, C).
        """
        error = self.forward(restored) - self.low_resolution(degraded)
        return float(np.sqrt(np.mean(error**2)))

    def _axis(self, length: int) -> sparse.csr_array:
        """A along an axis of a length."""
        return _chain(tuple(step for step in self.steps if isinstance(step, Blur | Down)), length)


def enlarged(image: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """An image (X, Y, C), 0 to 1, of ``factor`` times as many pixels along both axes: U, as inputs are brought up."""
    larger = _both([_up(n, round(n * factor)) for n in image.shape[:2]], np.asarray(image, dtype=np.float64))
    return np.clip(larger, 0.0, 1.0).astype(np.float32)


def reduced_size(length: int, factor: float) -> int:
    """Pixels that are left of an axis."""
    return max(1, round(length / factor))


@lru_cache(_SIZES)
def _chain(steps: Steps, length: int) -> sparse.csr_array:
    """The product of linear steps along an axis of a length."""
    whole = sparse.eye_array(length, format="csr")
    for step in steps:
        before = int(whole.shape[0])
        if isinstance(step, Blur):
            whole = blur_matrix(before, step.sigma) @ whole
        else:
            make = area_matrix if step.by == "area" else decimate_matrix
            whole = make(before, reduced_size(before, step.factor)) @ whole
    return whole.tocsr()


@lru_cache(_SIZES)
def _up(low: int, length: int) -> sparse.csr_array:
    return bicubic_matrix(low, length) if low != length else sparse.eye_array(length, format="csr")


@lru_cache(_SIZES)
def _inverse(low: int, length: int) -> tuple[sparse.csr_array, Any]:
    """U along an axis, and what solves its normal equations."""
    up = _up(low, length)
    return up, splu((up.T @ up).tocsc())


def _both(matrices: Sequence[Any], image: Image) -> Image:
    """M_x along the first axis of (X, Y[, C]) and M_y along the second."""
    first, second = matrices
    along = (first @ image.reshape(len(image), -1)).reshape(-1, *image.shape[1:])
    turned = np.ascontiguousarray(np.swapaxes(along, 0, 1))
    done = (second @ turned.reshape(len(turned), -1)).reshape(-1, *turned.shape[1:])
    return np.ascontiguousarray(np.swapaxes(done, 0, 1))


Matrix = sparse.csr_array

_REACH = 4.0  # standard deviations of a Gaussian, of which less than 1e-4 lies beyond
_A = -0.5  # of Keys' kernel: the only value that interpolates a quadratic exactly


def blur_matrix(length: int, sigma: float) -> Matrix:
    """Gaussian blur (L, L), sampled at whole pixels and normalised, mirrored at the edges (``… b a | a b …``).

    ``sigma`` is in pixels; 0 is the identity.
    """
    if sigma == 0:
        return sparse.eye_array(length, format="csr")
    reach = int(np.ceil(_REACH * sigma))
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    places = np.arange(length)[:, None] + offsets[None, :]
    folded = np.mod(places, 2 * length)
    folded = np.where(folded < length, folded, 2 * length - 1 - folded)
    return _matrix(folded, np.broadcast_to(weights / weights.sum(), folded.shape), length)


def area_matrix(length: int, size: int) -> Matrix:
    """Mean over the part of the axis that each of ``size`` pixels covers (size, L); parts of pixels count as such."""
    ratio = length / size
    edges = np.arange(size + 1) * ratio
    first = np.floor(edges[:-1] + 1e-9).astype(int)
    count = int(np.ceil(ratio)) + 1
    places = first[:, None] + np.arange(count)[None, :]
    covered = np.minimum(places + 1, edges[1:, None]) - np.maximum(places, edges[:-1, None])
    weights = np.clip(covered, 0.0, None)
    return _matrix(np.minimum(places, length - 1), weights / weights.sum(axis=1, keepdims=True), length)


def decimate_matrix(length: int, size: int) -> Matrix:
    """The value at the middle of each of ``size`` pixels (size, L), linear between its two neighbours.

    Taking every n-th pixel instead would shift the image by (n − 1)/2 pixels.
    """
    middle = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, length - 1)
    lower = np.minimum(np.floor(middle + 1e-9).astype(int), max(length - 2, 0))
    share = np.clip(middle - lower, 0.0, 1.0)
    places = np.stack([lower, np.minimum(lower + 1, length - 1)], axis=1)
    return _matrix(places, np.stack([1 - share, share], axis=1), length)


def bicubic_matrix(size: int, length: int) -> Matrix:
    """Cubic convolution up to ``length`` pixels (L, size), pixel centres aligned, the edge's value outside.

    Keys 1981 (10.1109/TASSP.1981.1163711) with a = −0.5, as Pillow and MATLAB have it.
    """
    at = (np.arange(length) + 0.5) * size / length - 0.5
    lower = np.floor(at).astype(int)
    places = lower[:, None] + np.arange(-1, 3)[None, :]
    weights = _keys(np.abs(at[:, None] - places))
    return _matrix(np.clip(places, 0, size - 1), weights, size)


def _keys(t: NDArray[np.float64]) -> NDArray[np.float64]:
    near = (_A + 2) * t**3 - (_A + 3) * t**2 + 1
    far = _A * t**3 - 5 * _A * t**2 + 8 * _A * t - 4 * _A
    return np.asarray(np.where(t <= 1, near, np.where(t < 2, far, 0.0)))


def _matrix(places: NDArray[np.intp], weights: NDArray[np.float64], columns: int) -> Matrix:
    """Rows of weights at places; those of one place add up."""
    rows = np.broadcast_to(np.arange(len(places))[:, None], places.shape)
    nonzero = weights != 0
    entries = (weights[nonzero], (rows[nonzero], places[nonzero]))
    return sparse.coo_array(entries, shape=(len(places), columns)).tocsr()
