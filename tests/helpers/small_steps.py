"""One step of tiny networks, for the tests of all objectives."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from taskgan.cohort.dataset import Batch
from taskgan.judges.recogniser import build
from taskgan.recipe import Recipe
from taskgan.train.devices import MachineChoice, start_fabric
from taskgan.train.networks import Networks, build_networks
from taskgan.train.step import StepResult, cycle_step, train_step

PLAIN = MachineChoice("32", False, False)


def players_of(recipe: Recipe) -> tuple[Networks, Any]:
    fabric = start_fabric(recipe.machine, "32")
    torch.manual_seed(5)
    task = build(recipe.task.pretrain).eval() if recipe.objective == "task_gan" else None
    return build_networks(recipe, {"task": task} if task else {}, fabric, PLAIN), fabric


def step_of(recipe: Recipe) -> Callable[..., StepResult]:
    return cycle_step if recipe.unpaired else train_step


def a_batch(size: int = 16) -> Batch:
    draw = torch.Generator().manual_seed(1)
    images = torch.rand(4, 2, size, size, generator=draw)
    return Batch(images[:, :1], images[:, 1:], torch.tensor([0.0, 1.0, 0.0, 1.0]))


def one_step(recipe: Recipe) -> tuple[Networks, Networks]:
    """The networks before and after a step."""
    players, fabric = players_of(recipe)
    before = copy.deepcopy(players)
    torch.manual_seed(0)
    step_of(recipe)(players, a_batch(), recipe, fabric)
    return before, players


def flat(network: nn.Module | None) -> Tensor:
    assert network is not None
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def gradients(recipe: Recipe) -> tuple[dict[str, list[Tensor]], Networks, dict[str, Tensor]]:
    """The gradients of a step, before clipping or Adam could hide their size."""
    recipe = recipe.model_copy(update={"optimiser": recipe.optimiser.model_copy(update={"clip": 0.0})})
    players, fabric = players_of(recipe)
    before = copy.deepcopy(players)
    torch.manual_seed(0)
    losses = step_of(recipe)(players, a_batch(), recipe, fabric).losses
    found = {n: [p.grad.clone() for p in ps if p.grad is not None] for n, ps in players.weights.items()}
    return found, before, losses
