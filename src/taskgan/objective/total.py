"""Eq. 4: the objective, as the sum of its weighted terms."""

from dataclasses import dataclass

from torch import Tensor

Weighted = tuple[str, Tensor | None, float]


class WeightedSum:
    """Terms of an objective and their weights.

    A term is None where nobody computed it. A term that is there and has weight 0 is reported, and adds exactly
    nothing to the gradient.
    """

    def _weighted(self) -> tuple[Weighted, ...]:
        """Name, term and weight; the first one is always there and weighs 1."""
        raise NotImplementedError

    def __post_init__(self) -> None:
        for name, term, weight in self._weighted():
            if term is not None and term.ndim:
                raise ValueError(f"{name} has shape {tuple(term.shape)}, expected a scalar: reduce it first")
            if term is None and weight:
                raise ValueError(f"{name} has weight {weight:g} but was not computed")

    @property
    def total(self) -> Tensor:
        """L, a scalar. Terms of weight 0 are left out, so that their infinities stay out too."""
        (_, total, _), *others = self._weighted()
        assert total is not None
        for _, term, weight in others:
            if term is not None and weight:
                total = total + weight * term
        return total

    def detached(self) -> dict[str, Tensor]:
        """The terms that were computed, unweighted, and ``total``, cut off the graph: for the curves."""
        terms = {name: term.detach() for name, term, _ in self._weighted() if term is not None}
        return {**terms, "total": self.total.detach()}


@dataclass(frozen=True)
class TotalLoss(WeightedSum):
    """Eq. 4, L = L_pixel + λ L_GAN + μ L_task, and ν times the task-feature loss (ν = 0 in the paper).

    The objective ``l1`` runs no D, ``gan`` no T: their terms are None.

    Attributes:
        pixel: L_pixel, Eq. 1, a scalar.
        adversarial: L_GAN, Eq. 2, a scalar.
        task: L_task, Eq. 3, a scalar; for G and a joint T at once, because its clean term has no gradient for G.
        task_features: Distance of T's inner features, a scalar.
        lambda_gan: λ.
        mu_task: μ.
        nu_features: ν.
    """

    pixel: Tensor
    adversarial: Tensor | None = None
    task: Tensor | None = None
    task_features: Tensor | None = None
    lambda_gan: float = 0.0
    mu_task: float = 0.0
    nu_features: float = 0.0

    def _weighted(self) -> tuple[Weighted, ...]:
        return (
            ("pixel", self.pixel, 1.0),
            ("adversarial", self.adversarial, self.lambda_gan),
            ("task", self.task, self.mu_task),
            ("task_features", self.task_features, self.nu_features),
        )
