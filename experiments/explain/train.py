"""The four objectives on the problem in the plane: same G, same first weights, same budget, same order of data.

The losses are those of ``taskgan.objective``; a point is an image of two channels and one pixel. Batches are
(B, seeds, 2), and every loss is a mean over both: times the number of seeds, each seed's gradient is that which
it would have by itself.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from explain.problem import PointPairs, StackedMLP
from taskgan.core.settings import Settings
from taskgan.objective.kinds import task_kind
from taskgan.objective.task import task_loss
from taskgan.objective.total import (
    Weighted,
    WeightedSum,
    cycle_loss,
    discriminator_loss,
    feature_matching,
    generator_loss,
    pixel_loss,
)
from taskgan.recipe.task import Target

Method = Literal["l1", "gan", "cycle_gan", "task_gan"]
METHODS: tuple[Method, ...] = get_args(Method)
Array = NDArray[np.float64]
_KIND = task_kind(Target(), "squared")  # Eq. 3 as written


class ExplainSettings(Settings):
    """What the paper does not print, for the problem in the plane.

    Attributes:
        seed: Of everything.
        steps: Of every objective.
        seeds: Training runs of every objective, which differ in first weights and order of data.
        pairs: Size of the training set.
        batch: Pairs a step.
        width: Units of a hidden layer; G and T have two, D three.
        lr: Adam's, constant for the first half and then linearly to 0.
        lambda_gan: λ of Eq. 4.
        mu_task: μ of Eq. 4.
        cycle: Weight of CycleGAN's cycle term.
        task_steps: Steps of T on clean points, before G; then it is frozen.
    """

    seed: int = 0
    steps: int = 1200
    seeds: int = 5
    pairs: int = 600
    batch: int = 256
    width: int = 48
    lr: float = 2e-3
    lambda_gan: float = 5.0
    mu_task: float = 3.0
    cycle: float = 5.0
    task_steps: int = 300


@dataclass(frozen=True)
class TrainedObjective:
    """What one objective did to the held-out points.

    Attributes:
        steps: (K,) when it was looked at, from 0 to the end.
        restored: (K, N, seeds, 2) x̂ = G(x̃) then.
        cycled: (N, seeds, 2) F(G(x̃)) in the end; None but for CycleGAN.
    """

    steps: tuple[int, ...]
    restored: Array
    cycled: Array | None = None

    @property
    def final(self) -> Array:
        """(N, seeds, 2) x̂ in the end."""
        return np.asarray(self.restored[-1])


def train_objective(
    method: Method,
    points: PointPairs,
    held_out: PointPairs,
    settings: ExplainSettings,
    snapshots: Sequence[int],
    advance: Callable[[], object] = lambda: None,
) -> TrainedObjective:
    """Train all seeds of one objective.

    Args:
        method: The objective.
        points: Training pairs.
        held_out: Whose restoration is looked at.
        settings: Sizes and weights.
        snapshots: Steps after which to look, rising, the last one the number of steps.
        advance: Called after every step.
    """
    x, degraded, y = (_tensor(v) for v in (points.clean, points.degraded, points.labels))
    unseen = _tensor(held_out.degraded)[:, None].expand(-1, settings.seeds, -1)
    order = _generator(settings, "order")
    restored: list[Array] = []
    with _one_thread():
        step = _cycle_step(settings) if method == "cycle_gan" else _step(method, x, y, settings)
        for k in range(settings.steps + 1):
            if k in snapshots:
                restored.append(_apply(step.restorer, unseen))
            if k == settings.steps:
                break
            for group in (g for optimiser in step.optimisers for g in optimiser.param_groups):
                group["lr"] = settings.lr * min(1.0, 2 * (1 - k / settings.steps))
            shape = (settings.batch, settings.seeds)
            paired = torch.randint(len(x), shape, generator=order)
            # The order of the pairs is the same for all objectives: the other draw is made, used or not.
            other = torch.randint(len(x), shape, generator=order)
            clean = other if method == "cycle_gan" else paired
            step.run(degraded[paired], x[clean], y[clean])
            advance()
        returned = None
        if step.degrader is not None:
            returned = _apply(step.degrader, _tensor(restored[-1]))
    return TrainedObjective(tuple(snapshots), np.stack(restored), returned)


@dataclass(frozen=True)
class _ObjectiveStep:
    """One step of an objective, called with x̃, x (B, seeds, 2) and y (B, seeds), and what it teaches."""

    run: Callable[[Tensor, Tensor, Tensor], None]
    restorer: StackedMLP
    optimisers: tuple[torch.optim.Optimizer, ...]
    degrader: StackedMLP | None = None


def _step(method: Method, x: Tensor, y: Tensor, settings: ExplainSettings) -> _ObjectiveStep:
    """Eq. 4 with the terms that the objective has, to be held against ``taskgan.train.step``."""
    width, lr = settings.width, settings.lr
    G = StackedMLP((2, width, width, 2), settings.seeds, _generator(settings, "G"), shortcut=True)
    D = StackedMLP((2, width, width, width, 1), settings.seeds, _generator(settings, "D"))
    T = _pretrained_task(x, y, settings) if method == "task_gan" else None
    teach_G, teach_D = _adam(lr, G), _adam(lr, D)

    def run(degraded: Tensor, clean: Tensor, label: Tensor) -> None:
        """One step of G and D; both losses are those of the networks before it."""
        restored, _ = G(degraded)
        terms: list[Weighted] = [("pixel", pixel_loss(_image(restored), _image(clean)).mean(), 1.0)]  # Eq. 1
        teach_D.zero_grad()
        if method != "l1":
            (logit, features), (logit_restored, features_restored) = D(clean), D(restored)
            terms.append(("adversarial", feature_matching(features_restored, features), settings.lambda_gan))  # Eq. 2
            judged = discriminator_loss(logit.flatten(), logit_restored.flatten()).mean()
            _backward(judged, settings, D)
        if T is not None:
            task = task_loss(_KIND, T(restored)[0].flatten(), None, label.flatten()).mean()  # Eq. 3
            terms.append(("task", task, settings.mu_task))
        objective = WeightedSum(terms)  # Eq. 4
        teach_G.zero_grad()
        _backward(objective.total, settings, G)
        teach_G.step()
        teach_D.step()

    return _ObjectiveStep(run, G, (teach_G, teach_D))


def _cycle_step(settings: ExplainSettings) -> _ObjectiveStep:
    """CycleGAN: x̃ and x of a batch are of different points."""
    width, lr = settings.width, settings.lr
    G = StackedMLP((2, width, width, 2), settings.seeds, _generator(settings, "G"), shortcut=True)
    back = StackedMLP((2, width, width, 2), settings.seeds, _generator(settings, "F"), shortcut=True)
    D, D_degraded = (
        StackedMLP((2, width, width, width, 1), settings.seeds, _generator(settings, name)) for name in "DE"
    )
    teach, judge = _adam(lr, G, back), _adam(lr, D, D_degraded)

    def against(network: StackedMLP, real: Tensor, generated: Tensor) -> Tensor:
        """A discriminator's least-squares loss."""
        logit, logit_made = network(real)[0].flatten(), network(generated.detach())[0].flatten()
        return discriminator_loss(logit, logit_made, "least_squares").mean()

    def run(degraded: Tensor, clean: Tensor, label: Tensor) -> None:
        """One step of both generators and discriminators; all losses are those of the networks before it."""
        restored, _ = G(degraded)
        worsened, _ = back(clean)
        cycle = cycle_loss(_image(back(restored)[0]), _image(degraded), _image(G(worsened)[0]), _image(clean))
        fooled = (D(restored), D_degraded(worsened))
        adversarial = [generator_loss(answer[0].flatten(), "least_squares").mean() for answer in fooled]
        both = zip(("adversarial", "adversarial_degraded"), adversarial, (1.0, 1.0), strict=True)
        objective = WeightedSum([*both, ("cycle", cycle.mean(), settings.cycle)])
        teach.zero_grad()
        _backward(objective.total, settings, G, back)
        judge.zero_grad()
        judged = against(D, clean, restored) + against(D_degraded, degraded, worsened)
        _backward(judged, settings, D, D_degraded)
        teach.step()
        judge.step()

    return _ObjectiveStep(run, G, (teach, judge), back)


def _pretrained_task(x: Tensor, y: Tensor, settings: ExplainSettings) -> StackedMLP:
    """T, taught on clean points and then frozen."""
    generator = _generator(settings, "T")
    T = StackedMLP((2, settings.width, settings.width, 1), settings.seeds, generator)
    optimiser = _adam(settings.lr, T)
    for _ in range(settings.task_steps):
        index = torch.randint(len(x), (settings.batch, settings.seeds), generator=generator)
        loss = _KIND.loss(T(x[index])[0].flatten(), y[index].flatten()).mean()
        optimiser.zero_grad()
        _backward(loss, settings, T)
        optimiser.step()
    return T.requires_grad_(False)


def _backward(loss: Tensor, settings: ExplainSettings, *networks: nn.Module) -> None:
    """Each seed's own gradient (the mean is over all seeds), for the weights of these networks only."""
    weights = [p for network in networks for p in network.parameters()]
    torch.autograd.backward(loss * settings.seeds, inputs=weights, retain_graph=True)


def _adam(lr: float, *networks: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam([p for n in networks for p in n.parameters()], lr, betas=(0.5, 0.999))


def _generator(settings: ExplainSettings, name: str) -> torch.Generator:
    """A stream for every purpose, so that what one objective draws more does not change what all draw."""
    return torch.Generator().manual_seed(1000 * settings.seed + sum(name.encode()))


def _image(points: Tensor) -> Tensor:
    return points.reshape(-1, 2, 1, 1)


def _tensor(values: Array) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float32)


def _apply(network: StackedMLP, points: Tensor) -> Array:
    with torch.no_grad():
        return np.asarray(network(points)[0].numpy(), dtype=np.float64)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Threads cost more than layers this small, and would make sums depend on the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
