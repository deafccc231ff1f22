"""Eq. 1, 2 and 4, what D itself learns by, and CycleGAN's losses; the objective as the sum of weighted terms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

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


Form = Literal["bce", "hinge", "least_squares"]


def feature_matching(
    restored: Sequence[Tensor], clean: Sequence[Tensor], layers: Sequence[int] | None = None
) -> Tensor:
    """Eq. 2, L_GAN = ‖E f(x) − E f(x̂)‖² for G: distance of the batch means of D's features.

    Scale: the squared distance is averaged over a layer's elements (C·h·w) and then over the layers, so that
    neither image size nor width nor the number of layers changes what λ means. The means are over what is given
    (on several devices the training step gathers all of the batch first); a batch of one makes it a distance
    per sample, which is a stronger demand than the paper's.

    The clean side is detached: only G learns by it. D's weights also lie between x̂ and the features, so the
    backward pass has to name G's weights (``inputs=``), or D would learn to agree with G.

    Args:
        restored: D's features of x̂, one (B, C_k, h_k, w_k) a layer.
        clean: D's features of x.
        layers: Which layers, from 0; None is all but the first (all, where there is only one).

    Returns:
        A scalar. There is no value per case, because the means are over the batch.

    Raises:
        ValueError: If the two sides differ in layers, or a layer does not exist.
    """
    if len(restored) != len(clean) or not clean:
        raise ValueError(f"got {len(restored)} restored and {len(clean)} clean layers, expected the same, not 0")
    picked = list(layers) if layers is not None else list(range(min(1, len(clean) - 1), len(clean)))
    if not picked or min(picked) < 0 or max(picked) >= len(clean):
        raise ValueError(f"feature layers {picked}: the discriminator has layers 0 to {len(clean) - 1}")
    distances = [(restored[k].mean(dim=0) - clean[k].detach().mean(dim=0)).square().mean() for k in picked]
    return torch.stack(distances).mean()


def discriminator_loss(clean: Tensor, restored: Tensor, form: Form = "bce", label_smoothing: float = 0.0) -> Tensor:
    """D's own loss per pair: it learns D(x) = 1 and D(x̂) = 0.

    The paper does not write it (minimising Eq. 2 over D would let D answer with a constant). Half the sum of
    both sides, so that a D that knows nothing has log 2 (``bce``), 1 (``hinge``) or 1/4 (``least_squares``,
    answering 1/2).

    Args:
        clean: Logits (B,) of x.
        restored: Logits (B,) of x̂, which must have been detached from G.
        form: ``bce``; ``hinge``, margins at ±1; ``least_squares``, targets 1 and 0 on the logit itself.
        label_smoothing: The target of clean images is 1 minus this (``bce`` only; one-sided, because smoothed
            targets of x̂ would reward G's present mistakes).

    Returns:
        (B,).

    Raises:
        ValueError: If the form is unknown or the shapes differ.
    """
    if clean.shape != restored.shape:
        raise ValueError(f"logits of clean {tuple(clean.shape)} and restored {tuple(restored.shape)} differ")
    if form == "bce":
        target = torch.full_like(clean, 1.0 - label_smoothing)
        return 0.5 * (F.binary_cross_entropy_with_logits(clean, target, reduction="none") + F.softplus(restored))
    if form == "hinge":
        return 0.5 * (F.relu(1.0 - clean) + F.relu(1.0 + restored))
    if form == "least_squares":
        return 0.5 * ((clean - 1.0).square() + restored.square())
    raise ValueError(f"discriminator loss is {form!r}, expected bce, hinge or least_squares")


def generator_loss(generated: Tensor, form: Form = "bce") -> Tensor:
    """What a generator learns by from D's logit: it wants its images taken for real ones.

    The counterpart of :func:`discriminator_loss` where Eq. 2 cannot be used, as in CycleGAN (Zhu et al. 2017,
    10.1109/ICCV.2017.244, which takes ``least_squares``). ``bce`` is the non-saturating form, −log D(x̂)
    (Goodfellow et al. 2014): its gradient is largest where D is surest of a fake. Where D knows nothing it is
    log 2 (``bce``), 0 (``hinge``) or 1/4 (``least_squares``, D answering 1/2).

    Args:
        generated: Logits (B,) of generated images, with their graph. D's weights lie in it too, so the
            backward pass has to name the generator's.
        form: ``bce``; ``hinge``, the negative logit, which has no bound below; ``least_squares``, target 1.

    Returns:
        (B,), falling in the logit (with ``least_squares`` up to its target).

    Raises:
        ValueError: If the form is unknown.
    """
    if form == "bce":
        return F.softplus(-generated)
    if form == "hinge":
        return -generated
    if form == "least_squares":
        return (generated - 1.0).square()
    raise ValueError(f"discriminator loss is {form!r}, expected bce, hinge or least_squares")
