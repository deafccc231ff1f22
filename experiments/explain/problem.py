"""A restoration problem in the plane, small enough to see all of it.

An image is a point. The clean domain is two curved branches, one for each label, one point in four on the right
one (the paper's 10 positive and 30 negative subjects). Along a branch lies what tells one subject from the next.

Degradation squeezes the clean domain to half its size, turns it, moves it down and adds noise that is about as
wide as the squeezed gap between the branches. So it is one-to-many: what is seen of one clean point could be that
of its neighbours, and near the gap that of the other label. Because it turns, the nearest way from the degraded
to the clean domain is not the right way, and only pairs tell which is.

Angle, noise and gap, and the weights of the objectives, were chosen by looking at what comes out, so that all of
this is there to be seen: an illustration and no evidence. With no turn and little noise every objective restores
well; with much noise none keeps the labels, because no label is left to keep.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float64]
MINORITY = 0.25
_GAP, _BEND, _LENGTH, _THICKNESS = 0.55, 0.4, 1.3, 0.04
_SQUEEZE, _TURN, _SHIFT, _NOISE = 0.5, np.deg2rad(60.0), np.array([0.0, -2.6]), 0.25


@dataclass(frozen=True)
class PointPairs:
    """Pairs of clean and degraded points.

    Attributes:
        clean: x (N, 2).
        degraded: x̃ (N, 2).
        labels: y (N,), 0 (left branch) or 1 (right branch).
    """

    clean: Array
    degraded: Array
    labels: Array

    def __len__(self) -> int:
        return len(self.labels)


def draw_pairs(count: int, rng: np.random.Generator) -> PointPairs:
    """Draw pairs; exactly one in four (rounded) has label 1."""
    labels = (np.arange(count) < round(MINORITY * count)).astype(np.float64)
    along = rng.uniform(-1, 1, count)
    clean = branch_points(along, labels) + _THICKNESS * rng.normal(size=(count, 2))
    return PointPairs(clean, degrade(clean, rng), labels)


def branch_points(position: Array, labels: Array) -> Array:
    """Points (N, 2) in the middle of the branches, at −1 to 1 along them: two arcs that bow apart."""
    side = np.where(labels > 0.5, 1.0, -1.0)
    return np.stack([side * (_GAP + _BEND * (1 - position**2)), _LENGTH * position], axis=-1)


def degrade(clean: Array, rng: np.random.Generator) -> Array:
    """Squeeze, turn, move, add noise."""
    turn = np.array([[np.cos(_TURN), -np.sin(_TURN)], [np.sin(_TURN), np.cos(_TURN)]])
    return np.asarray(_SQUEEZE * clean @ turn.T + _SHIFT + _NOISE * rng.normal(size=clean.shape))


def nearest_branch(points: Array) -> tuple[Array, Array]:
    """The judge that is not learned: which branch points (…, 2) lie nearest to, and how far from it.

    Returns:
        Labels (…) and distances (…) to the middle of the branch; clean points are at about 0.03.
    """
    along = np.linspace(-1, 1, 201)
    apart = []
    for label in (0.0, 1.0):
        middle = branch_points(along, np.full_like(along, label))
        apart.append(np.linalg.norm(points[..., None, :] - middle, axis=-1).min(axis=-1))
    return (apart[1] < apart[0]).astype(np.float64), np.minimum(*apart)


class StackedMLP(nn.Module):
    """One multilayer perceptron a seed, side by side: seeds share no weights, so no gradient goes between them.

    Layers of so few units take the same time for one seed as for five.

    Args:
        sizes: Units of each layer, inputs first.
        seeds: How many networks.
        generator: Of the first weights (He's rule).
        shortcut: Add the input to the output, and start near the identity.
    """

    def __init__(self, sizes: Sequence[int], seeds: int, generator: torch.Generator, *, shortcut: bool = False) -> None:
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
