"""Eq. 2: feature matching, the loss that D itself learns by, and its counterpart on D's logit for a generator."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

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
