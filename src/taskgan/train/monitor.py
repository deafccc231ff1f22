"""Sees a run diverge: NaN, a discriminator that has won, an output that is constant or saturated."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from taskgan.recipe import Recipe

_GUESSING = {"bce": math.log(2), "hinge": 1.0, "least_squares": 0.25}  # D's loss where it knows nothing


def output_metrics(restored: Tensor, clean: Tensor) -> dict[str, Tensor]:
    """How much is left of an image: scalars, on the device.

    Args:
        restored: x̂ (B, 1, H, W).
        clean: x, the same shape.

    Returns:
        ``spread``: standard deviation of x̂ over that of x. ``bounds``: share of the pixels of x̂ at 0 or 1
        beyond the share of x.
    """
    spread = restored.std() / clean.std().clamp_min(torch.finfo(clean.dtype).tiny)
    ours, theirs = (((image <= 0) | (image >= 1)).float().mean() for image in (restored, clean))
    return {"spread": spread, "bounds": ours - theirs}


class Monitor:
    """Looks at the figures of every step, in order.

    Args:
        recipe: Its ``monitor`` limits, D's loss, the images' bounds.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._limits = recipe.monitor
        self._bounded = recipe.data.intensity.output == "unit"
        self._weight = recipe.lambda_gan
        # What holds an image to its own content: Eq. 1, or where there are no pairs the cycle.
        self._content = "cycle" if recipe.unpaired else "pixel"
        self._content_weight = recipe.cycle.weight if recipe.unpaired else 1.0
        smoothing = recipe.loss.label_smoothing
        # With smoothed targets even a perfect D pays their entropy.
        entropy = -sum(p * math.log(p) for p in (smoothing, 1 - smoothing) if p > 0) / 2
        guessing = _GUESSING[recipe.loss.discriminator]
        self._sure = entropy + self._limits.discriminator_loss * (guessing - entropy)
        self._constant = 0
        self._won: list[tuple[float, float]] = []

    def observe(self, metrics: Mapping[str, float]) -> str | None:
        """Take in one step.

        Args:
            metrics: Losses of the step and, where it made images, :func:`output_metrics`.

        Returns:
            What went wrong, as the end of a sentence; None where nothing did.
        """
        broken = [name for name, value in metrics.items() if not math.isfinite(value)]
        if broken:
            return f"{', '.join(broken)} became NaN or infinite"
        return (self._check_output(metrics) if "spread" in metrics else None) or self._check_discriminator(
            metrics
        )

    def _check_output(self, figures: Mapping[str, float]) -> str | None:
        limits = self._limits
        flat = figures["spread"] < limits.spread
        saturated = self._bounded and figures["bounds"] > limits.saturated * (1 - 1e-6)
        self._constant = self._constant + 1 if flat or saturated else 0
        if not limits.constant_steps or self._constant < limits.constant_steps:
            return None
        what = "constant" if flat else "saturated at the bounds of its values"
        return f"the restored images have been {what} for {self._constant} steps"

    def _check_discriminator(self, figures: Mapping[str, float]) -> str | None:
        limits = self._limits
        if not limits.discriminator_steps or "discriminator" not in figures:
            return None
        if figures["discriminator"] >= self._sure:
            self._won.clear()
            return None
        content = self._content_weight * figures[self._content]
        self._won.append((self._weight * figures["adversarial"], content))
        del self._won[: -limits.discriminator_steps]
        if len(self._won) < limits.discriminator_steps:
            return None
        adversarial, content = (sum(column) for column in zip(*self._won, strict=True))
        half = len(self._won) // 2
        early, late = (sum(value for _, value in part) for part in (self._won[:half], self._won[-half:]))
        share = adversarial / max(adversarial + content, torch.finfo(torch.float32).tiny)
        if share < limits.discriminator_share or late < early:
            return None
        return (
            f"the discriminator has won: for {len(self._won)} steps it told every image apart, the adversarial loss "
            f"made {100 * share:.0f} % of the objective, and the {self._content} loss did not fall"
        )

    def state_dict(self) -> dict[str, Any]:
        """Counters, so that a resumed run stops where an uninterrupted one does."""
        return {"constant": self._constant, "won": [list(pair) for pair in self._won]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` gave."""
        self._constant = state["constant"]
        self._won = [(a, p) for a, p in state["won"]]
