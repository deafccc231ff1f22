"""The networks of a run and the optimiser that they share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from taskgan.networks.discriminator import ImageDiscriminator
from taskgan.networks.generator import UNet
from taskgan.recipe import Recipe
from taskgan.train.device import Choice
from taskgan.train.schedule import factor
from taskgan.train.seeds import derive

_TASK_RATE = 0.1  # of G's, where the recipe names none: T is pretrained, G is not


@dataclass(frozen=True)
class Players:
    """G, D and T on their device, and one Adam with a group of weights for each network that learns.

    One optimiser rather than three, because all losses of a step are taken at the same weights and the
    networks are updated at once: one scaler, one state, one place for the learning rate.

    Attributes:
        generator: G.
        restore: G as it is called (the compiled one where it is compiled).
        discriminator: D, or None where λ = 0: it is then neither built nor paid for.
        task: T in evaluation mode, or None where nothing is asked of it.
        optimiser: Adam; every group has its network's ``name`` and its full rate ``peak``.
        weights: What is learnt, by network: ``generator``, ``discriminator``, ``task`` (if joint).
        channels_last: Memory format of images.
    """

    generator: UNet
    restore: Callable[[Tensor], Tensor]
    discriminator: ImageDiscriminator | None
    task: nn.Module | None
    optimiser: torch.optim.Adam
    weights: dict[str, list[nn.Parameter]]
    channels_last: bool

    def networks(self) -> dict[str, nn.Module]:
        """The networks there are, by name."""
        found = {"generator": self.generator, "discriminator": self.discriminator, "task": self.task}
        return {name: network for name, network in found.items() if network is not None}


def uses_task(recipe: Recipe) -> bool:
    """Whether this run needs T at all."""
    return recipe.objective == "task_gan" and (recipe.mu_task > 0 or recipe.task.features > 0)


def build_generator(recipe: Recipe) -> UNet:
    """G with the initial weights that the seed gives, whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(recipe.seed, "generator"))
        return UNet(
            **recipe.generator.model_dump(),
            in_channels=recipe.data.channels,
            output=recipe.data.intensity.output,
        )


def build_discriminator(recipe: Recipe) -> ImageDiscriminator:
    """D with the initial weights that the seed gives."""
    settings = recipe.discriminator
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(recipe.seed, "discriminator"))
        return ImageDiscriminator(
            in_channels=2 if settings.conditional else 1, widths=settings.widths, norm=settings.norm
        )


def assemble(recipe: Recipe, task: nn.Module | None, fabric: Any, choice: Choice) -> Players:
    """Build the networks that this objective needs, on the device, and their optimiser.

    T stays in evaluation mode also where it learns: its batch norms keep the statistics of the clean images
    that it was pretrained on (x̂ would move them), its dropout is off, and its answer for an image does not
    depend on the batch.

    Args:
        recipe: The run.
        task: The pretrained T, or None; it becomes part of the run (and is changed where it is joint).
        fabric: Device and precision.
        choice: Memory format and compilation.
    """
    generator = build_generator(recipe)
    discriminator = build_discriminator(recipe) if recipe.lambda_gan > 0 else None
    joint = task is not None and recipe.task.training == "joint"
    layout = torch.channels_last if choice.channels_last else torch.contiguous_format
    for network in (generator, discriminator, task):
        if network is not None:
            network.to(device=fabric.device, memory_format=layout)  # type: ignore[call-overload]
    if task is not None:
        task.eval().requires_grad_(joint)
    settings = recipe.optimiser
    rates = {"generator": settings.lr}
    if discriminator is not None:
        rates["discriminator"] = settings.lr_discriminator or settings.lr
    if joint:
        rates["task"] = settings.lr_task or _TASK_RATE * settings.lr
    named = {"generator": generator, "discriminator": discriminator, "task": task}
    weights = {name: list(network.parameters()) for name in rates if (network := named[name]) is not None}
    optimiser = torch.optim.Adam(
        [{"params": weights[name], "lr": rate, "peak": rate, "name": name} for name, rate in rates.items()],
        betas=settings.betas,
        fused=choice.precision != "16",  # the fused one unscales by itself, which would hide what is clipped
    )
    # Only G is compiled: D's and T's graphs are walked by several backward passes, each for other weights, and
    # a compiled backward pass computes all gradients every time.
    restore = torch.compile(generator) if choice.compile else generator
    return Players(generator, restore, discriminator, task, optimiser, weights, choice.channels_last)


def set_rate(players: Players, recipe: Recipe, step: int) -> float:
    """Set every network's learning rate for a step; gives G's."""
    share = factor(recipe.optimiser, step)
    for group in players.optimiser.param_groups:
        group["lr"] = group["peak"] * share
    return recipe.optimiser.lr * share
