"""The moving average of G's weights, which is what is validated and shipped."""

import copy
from typing import Any

import torch
from torch import nn


class Ema:
    """Follows a network: average ← d·average + (1 − d)·weights after every step.

    Running statistics of a batch norm are averaged like weights, so that they belong to the averaged weights.
    Early on d is (1 + step) / (10 + step), so that the average does not remember the initial weights for long.

    Args:
        network: What to follow; it is copied.
        decay: d, 0 to below 1. At 0 the average is the network itself and nothing is copied or computed.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._followed, self._decay = network, decay
        self.network = copy.deepcopy(network).requires_grad_(False).eval() if decay else network

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step ``step`` (from 0)."""
        if not self._decay:
            return
        share = 1 - min(self._decay, (1 + step) / (10 + step))
        ours, theirs = self.network.state_dict(), self._followed.state_dict()
        floating = [name for name, value in ours.items() if value.is_floating_point()]
        torch._foreach_lerp_([ours[n] for n in floating], [theirs[n] for n in floating], share)
        for name in ours.keys() - set(floating):
            ours[name].copy_(theirs[name])

    def state_dict(self) -> dict[str, Any]:
        """Weights of the average; empty where there is none."""
        return dict(self.network.state_dict()) if self._decay else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what :meth:`state_dict` gave."""
        if self._decay:
            self.network.load_state_dict(state)
