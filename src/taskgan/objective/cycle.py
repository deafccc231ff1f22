"""CycleGAN's objective (Zhu et al. 2017, 10.1109/ICCV.2017.244): what unpaired images can teach.

G restores (degraded to clean), F degrades (clean to degraded). x̃ and x of a step are of different subjects, so
nothing here compares x̂ = G(x̃) with x.
"""

from dataclasses import dataclass

from torch import Tensor

from taskgan.objective.pixel import pixel_loss
from taskgan.objective.total import Weighted, WeightedSum


def cycle_loss(returned_degraded: Tensor, degraded: Tensor, returned_clean: Tensor, clean: Tensor) -> Tensor:
    """Cycle consistency (their Eq. 2), |F(G(x̃)) − x̃| + |G(F(x)) − x|, each a mean over pixels.

    Zero wherever F undoes G and G undoes F, whatever images they make on the way: a pair of generators that
    swaps labels in one direction and swaps them back in the other pays nothing (the paper's Figure 5).

    Args:
        returned_degraded: F(G(x̃)) (B, C, H, W), network units.
        degraded: x̃, the same shape.
        returned_clean: G(F(x)) (B, C, H, W).
        clean: x, the same shape.

    Returns:
        (B,), not negative; place b has both directions, of the b-th degraded and the b-th clean sample.

    Raises:
        ValueError: If an image and its return differ in shape.
    """
    return pixel_loss(returned_degraded, degraded) + pixel_loss(returned_clean, clean)


def identity_loss(same_clean: Tensor, clean: Tensor, same_degraded: Tensor, degraded: Tensor) -> Tensor:
    """Identity mapping (their Section 5.2), |G(x) − x| + |F(x̃) − x̃|, each a mean over pixels.

    A generator that is given an image of its own target domain has nothing to do. Without this term nothing
    ties the brightness of x̂ to that of x̃.

    Args:
        same_clean: G(x) (B, C, H, W), network units.
        clean: x, the same shape.
        same_degraded: F(x̃) (B, C, H, W).
        degraded: x̃, the same shape.

    Returns:
        (B,), not negative.

    Raises:
        ValueError: If an image and its copy differ in shape.
    """
    return pixel_loss(same_clean, clean) + pixel_loss(same_degraded, degraded)


@dataclass(frozen=True)
class CycleTotal(WeightedSum):
    """Their Eq. 3 with the identity term: L_adv(G) + L_adv(F) + λ_cycle L_cycle + λ_identity L_identity.

    Attributes:
        adversarial: G's loss by the logit of D on the clean domain, a scalar.
        adversarial_degraded: F's loss by the logit of D on the degraded domain, a scalar.
        cycle: A scalar.
        identity: A scalar, or None where its weight is 0.
        cycle_weight: λ_cycle, 10 in their paper.
        identity_weight: λ_identity, half of it there.
    """

    adversarial: Tensor
    adversarial_degraded: Tensor
    cycle: Tensor
    identity: Tensor | None = None
    cycle_weight: float = 10.0
    identity_weight: float = 0.0

    def _weighted(self) -> tuple[Weighted, ...]:
        return (
            ("adversarial", self.adversarial, 1.0),
            ("adversarial_degraded", self.adversarial_degraded, 1.0),
            ("cycle", self.cycle, self.cycle_weight),
            ("identity", self.identity, self.identity_weight),
        )
