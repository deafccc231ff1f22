"""Eq. 4: the objective, as the sum of its weighted terms."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Weighted = tuple[str, Tensor | None, float]
"""A term's name, its value (a scalar; None where nobody computed it) and its weight."""


@dataclass(frozen=True)
class WeightedSum:
    """An objective: terms and their weights.

    Eq. 4 is L = L_pixel + λ L_GAN + μ L_task, with ν times the task-feature loss (ν = 0 in the paper); of several
    tasks μ Σ w_k L_task,k. CycleGAN's (their Eq. 3) is L_adv(G) + L_adv(F) + λ_cycle L_cycle + λ_identity L_identity.

    A term that is there and has weight 0 is reported, and adds exactly nothing to the gradient.

    Attributes:
        terms: The first one is always there and weighs 1.

    Raises:
        ValueError: If a term is no scalar, or one with a weight was not computed.
    """

    terms: Sequence[Weighted]

    def __post_init__(self) -> None:
        for name, term, weight in self.terms:
            if term is not None and term.ndim:
                raise ValueError(f"{name} has shape {tuple(term.shape)}, expected a scalar: reduce it first")
            if term is None and weight:
                raise ValueError(f"{name} has weight {weight:g} but was not computed")

    @property
    def total(self) -> Tensor:
        """L, a scalar. Terms of weight 0 are left out, so that their infinities stay out too."""
        (_, total, _), *others = self.terms
        assert total is not None
        for _, term, weight in others:
            if term is not None and weight:
                total = total + weight * term
        return total

    def detached(self) -> dict[str, Tensor]:
        """The terms that were computed, unweighted, and ``total``, cut off the graph: for the curves."""
        terms = {name: term.detach() for name, term, _ in self.terms if term is not None}
        return {**terms, "total": self.total.detach()}


def pixel_loss(restored: Tensor, clean: Tensor) -> Tensor:
    """Eq. 1, L_pixel = mean |x̂ − x|, per case.

    Args:
        restored: x̂ (B, C, H, W), network units.
        clean: x, the same shape.

    Returns:
        (B,), not negative, zero only where x̂ = x.

    Raises:
        ValueError: If the shapes differ (broadcasting would hide it).
    """
    if restored.shape != clean.shape:
        raise ValueError(f"restored {tuple(restored.shape)} and clean {tuple(clean.shape)} differ in shape")
    return (restored - clean).abs().flatten(1).mean(dim=1)


def coarse_loss(restored: Tensor, clean: Tensor, edges: Sequence[int]) -> Tensor:
    """Eq. 1 over means: mean |A_k(x̂ − x)| per case, averaged over the edges k.

    A_k is the mean over each window of k pixels along every axis; windows lie side by side, those at the end of an
    axis are cut off by it. Noise from pixel to pixel is averaged away in it, an error of a region's level is not.

    Args:
        restored: x̂ (B, C, H, W) or (B, C, D, H, W), network units.
        clean: x, the same shape.
        edges: k, from 1 (which is Eq. 1).

    Returns:
        (B,), at most :func:`pixel_loss` where every k divides every axis.

    Raises:
        ValueError: If the shapes differ, or there is no edge.
    """
    if restored.shape != clean.shape or not edges:
        raise ValueError(
            f"got {tuple(restored.shape)}, {tuple(clean.shape)} and {len(edges)} edges, expected one or more"
        )
    pool = F.avg_pool3d if restored.ndim == 5 else F.avg_pool2d
    windows = [tuple(min(k, length) for length in restored.shape[2:]) for k in edges]
    means = [pool(restored - clean, w, ceil_mode=True, count_include_pad=False).abs() for w in windows]
    return torch.stack([mean.flatten(1).mean(dim=1) for mean in means]).mean(dim=0)


def cycle_loss(first: Tensor, first_target: Tensor, second: Tensor, second_target: Tensor) -> Tensor:
    """Both directions of CycleGAN, each a mean over pixels.

    Cycle consistency (their Eq. 2) is |F(G(x̃)) − x̃| + |G(F(x)) − x|. It is zero wherever F undoes G and G undoes F,
    whatever images they make on the way: a pair of generators that swaps labels in one direction and swaps them back
    in the other pays nothing (the paper's Figure 5).

    Identity mapping (their Section 5.2), :data:`identity_loss`, is |G(x) − x| + |F(x̃) − x̃|: a generator that is given
    an image of its own target domain has nothing to do. Without it nothing ties the brightness of x̂ to that of x̃.

    Args:
        first: F(G(x̃)), or G(x) (B, C, H, W), network units.
        first_target: x̃, or x, the same shape.
        second: G(F(x)), or F(x̃) (B, C, H, W).
        second_target: x, or x̃, the same shape.

    Returns:
        (B,), not negative; place b has both directions, of the b-th degraded and the b-th clean sample.

    Raises:
        ValueError: If an image and its target differ in shape.
    """
    return pixel_loss(first, first_target) + pixel_loss(second, second_target)


identity_loss = cycle_loss
"""See there."""
