"""Small networks, of which all seeds are trained at once."""

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class StackedMLP(nn.Module):
    """One multilayer perceptron a seed, side by side: seeds share no weights, so no gradient goes between them.

    Layers of so few units take the same time for one seed as for five.

    Args:
        sizes: Units of each layer, inputs first.
        seeds: How many networks.
        generator: Of the first weights (He's rule).
        shortcut: Add the input to the output, and start near the identity.
    """

    def __init__(
        self, sizes: Sequence[int], seeds: int, generator: torch.Generator, *, shortcut: bool = False
    ) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for k, (before, after) in enumerate(itertools.pairwise(sizes)):
            last = k == len(sizes) - 2
            gain = (0.1 if shortcut else 1.0) if last else math.sqrt(2)
            weight = torch.randn(seeds, before, after, generator=generator)
            self.weights.append(nn.Parameter(gain / math.sqrt(before) * weight))
            self.biases.append(nn.Parameter(torch.zeros(seeds, 1, after)))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Points (B, seeds, C) to outputs (B, seeds, C′) and the features (B, seeds, width) of each hidden layer."""
        features: list[Tensor] = []
        h = x.transpose(0, 1)
        for k, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = torch.baddbmm(bias, h, weight)
            if k < len(self.weights) - 1:
                h = F.leaky_relu(h, 0.2)
                features.append(h.transpose(0, 1))
        out = h.transpose(0, 1)
        return (x + out if self.shortcut else out), features
