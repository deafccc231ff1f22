"""The last layer of a generator that keeps to its input: what is restored, degraded again, gives the input.

The degraded image u was brought up from ``low = A·clean`` (blur, down-sampling) by U (bicubic). The layer takes away
what contradicts it, and leaves alone what A cannot see::

    x̂ ← x̂ + w·A⁺(low − A·x̂),   low = U⁺·u

A = A_x ⊗ A_y is separable. With the singular value decomposition of both factors, A maps the coefficient of V_x ⊗ V_y
at (i, j) to s_ij = s_xi · s_yj times itself, and A⁺ divides by s_ij, which is

- harmless for the paper's eightfold super-resolution, where A_x A_xᵀ has a condition number of 3.6: the rounding
  of an 8-bit input (SD 1/883) becomes a third of itself in the image;
- ruinous for blur that is not followed by enough down-sampling: of a blur of two pixels alone, s falls to 10⁻¹³.

So a coefficient is divided by as much as it can bear: s/(s² + n·q²/τ²), the Wiener filter (and Tikhonov's, with a
weight for each coefficient) for an input that is known up to q, the rounding of eight bits, which U⁺ makes √n·q of a
coefficient, and restored images that err by τ. Where s is large this is 1/s to a percent, where it is small the
coefficient stays the network's.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from taskgan.degrade.degradation import Degradation, steps_from_values

_ROUNDING = 1 / 255 / 12**0.5
"""q: SD of what rounding to eight bits adds, as a share of the range."""
_ERROR = 0.04
"""τ: root mean squared error that a restored image may be expected to have (28 dB), as a share of the range."""
_LENGTHS = 32  # lengths of an axis whose matrices are kept


class AxisFactors(NamedTuple):
    """A along an axis of L pixels with l of them left, in its singular vectors.

    Attributes:
        basis: V (L, l).
        projector: (l, L), what gives the coefficients of low when it is applied to the degraded image.
        strength: s (l,).
        noise: Variance (l,) of those coefficients for a variance of one of the degraded pixels.
    """

    basis: Tensor
    projector: Tensor
    strength: Tensor
    noise: Tensor


class Projection(nn.Module):
    """Takes away what a restored image contradicts of its input; it has no weights and works in float32 or better.

    Args:
        weight: w, above 0 to 1: the share that is taken away.
        degradation: Steps from the clean image to the input, blur and down-sampling alone.

    Raises:
        ValueError: If the weight is out of range, there are no steps, or one of them is not linear.
    """

    def __init__(self, weight: float, degradation: Sequence[Any | Mapping[str, Any]]) -> None:
        super().__init__()
        if not 0 < weight <= 1:
            raise ValueError(f"the weight of a projection is {weight}, expected above 0 to 1")
        chain = Degradation(steps_from_values(degradation))
        if not chain.linear:
            raise ValueError("a projection is onto what blur and down-sampling leave, other steps have no inverse")
        self.weight, self.steps = weight, chain.steps

    def forward(self, restored: Tensor, degraded: Tensor) -> Tensor:
        """Project whole images.

        Args:
            restored: x̂ (B, C, H, W), network units.
            degraded: u (B, 1 or C, H, W), the same units.

        Returns:
            (B, C, H, W), unbounded: a pixel near black or white may have to lie beyond.
        """
        kind = torch.promote_types(restored.dtype, torch.float32)
        with torch.autocast(restored.device.type, enabled=False):
            image, known = restored.to(kind), degraded.to(kind)
            rows, columns = (_axis(self.steps, n, image.device, kind) for n in image.shape[-2:])
            passed = torch.outer(rows.strength, columns.strength)
            doubt = torch.outer(rows.noise, columns.noise) * (_ROUNDING / _ERROR) ** 2
            measured = rows.projector @ known @ columns.projector.T
            predicted = passed * (rows.basis.T @ image @ columns.basis)
            change = self.weight * passed / (passed**2 + doubt) * (measured - predicted)
            projected: Tensor = image + rows.basis @ change @ columns.basis.T
            return projected


def leave_out_of_graphs() -> None:
    """Before ``torch.compile``: decompositions are no part of a graph. (Not above: what it imports takes a second.)"""
    global _axis
    _axis = torch.compiler.disable(_axis)  # type: ignore[no-untyped-call]


def _axis(steps: tuple[Any, ...], length: int, device: torch.device, kind: torch.dtype) -> AxisFactors:
    return _tensors(steps, int(length), device, kind)


@lru_cache(4 * _LENGTHS)
def _tensors(steps: tuple[Any, ...], length: int, device: torch.device, kind: torch.dtype) -> AxisFactors:
    # Made while restoring (inference), they may be wanted in training.
    with torch.inference_mode(False):
        return AxisFactors(*(torch.from_numpy(part).to(device, kind) for part in _svd_factors(steps, length)))


@lru_cache(_LENGTHS)
def _svd_factors(steps: tuple[Any, ...], length: int) -> tuple[np.ndarray[Any, Any], ...]:
    a, down = Degradation(steps).axis_matrices(length)
    left, strength, right = np.linalg.svd(a, full_matrices=False)
    read = left.T @ down
    return np.ascontiguousarray(right.T), read, strength, np.square(read).sum(axis=1)
