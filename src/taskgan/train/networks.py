"""The networks of a run and the optimiser that they share."""

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from taskgan.core.errors import UserError
from taskgan.judges.recogniser import build
from taskgan.networks.discriminator import ImageDiscriminator, VolumeDiscriminator
from taskgan.networks.generator import UNet, generator_network, memory_format
from taskgan.networks.projection import leave_out_of_graphs
from taskgan.networks.volume_unet import VolumeUNet
from taskgan.objective.kinds import loss_kind
from taskgan.recipe import Recipe, Task
from taskgan.recipe.phases import Stages, rate_factor
from taskgan.train.devices import MachineChoice, derive_seed


class ImageBuffer:
    """Some of the images that a generator has made (Shrivastava et al. 2017, 10.1109/CVPR.2017.241).

    Until it is full every image is kept and given back. Then each image, with probability 1/2, takes the place
    of an earlier one, which is given back instead of it. What is drawn is a pure function of the seed and of how
    many images were seen before, so the images and that number are the whole state.

    On several devices every one of them holds the history of all, given the images of all in order.

    Args:
        size: Images kept; 0 keeps none and gives back what it is given.
    """

    def __init__(self, size: int, seed: int) -> None:
        self._size, self._seed = size, seed
        self._images: list[Tensor] = []
        self._count = 0

    def exchange(self, images: Tensor) -> Tensor:
        """Show it the images of a step.

        Args:
            images: (B, C, H, W).

        Returns:
            (B, C, H, W), cut off the graph: each the image itself or an earlier one.
        """
        images = images.detach()
        return torch.stack([self._exchange_one(image) for image in images]) if self._size else images

    def _exchange_one(self, image: Tensor) -> Tensor:
        rng = np.random.default_rng([self._seed, self._count])
        self._count += 1
        if len(self._images) < self._size:
            self._images.append(image.clone())  # a view would keep its whole batch in memory
            return image
        if rng.random() < 0.5:
            return image
        place = int(rng.integers(self._size))
        earlier = self._images[place].to(image.device)  # a checkpoint is read to the CPU
        self._images[place] = image.clone()
        return earlier

    def state_dict(self) -> dict[str, Any]:
        """The images and how many were seen."""
        return {"kept": list(self._images), "seen": self._count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what :meth:`state_dict` gave."""
        self._images, self._count = list(state["kept"]), state["seen"]


_Network = TypeVar("_Network", bound=nn.Module)
_TASK_RATE = 0.1  # of G's, where the recipe names none and T is pretrained; G is not


@dataclass(frozen=True)
class CustomNetworks:
    """Networks of the user's own, in place of those that the recipe describes.

    Each is a plain ``nn.Module``. Its weights as given are the initial ones; training works on a copy, so that the
    same call gives the same numbers again. B, H and W are those of the cohort's slices; images are in network units.
    The objectives are ``l1``, ``gan`` and ``task_gan``, on one device; what is ``auto`` in ``machine`` is measured
    with the recipe's networks.

    Attributes:
        generator: G, ``forward(x (B, C, H, W)) -> (B, 1, H, W)``: C is ``recipe.data.channels``, channel 0 the
            degraded image (with ``data.colour: rgb`` 0 to 2, and x and x̂ have three); of volumes (``data.patch``) x̂
            and x have an axis of slices before H and W. Nothing bounds what it gives; it has no samples of z and no
            projection.
        discriminator: D, ``forward(x (B, 1, H, W)) -> (logit (B,), features)``, features one (B, C_k, h_k, w_k) a
            layer, for Eq. 2; with ``discriminator.conditional`` the degraded image is a second channel. Where
            it has batch norm, leave ``discriminator.norm: batch``: x and x̂ then go through together.
        task: T of the first task, ``forward(x (B, 1, H, W)) -> (output (B, n), features)`` before any activation,
            with the n that the kind of property asks for; it is not pretrained here. ``task.training`` says whether
            it learns. ``evaluate`` reads images with the recipe's own T and judge, never with this one.
    """

    generator: nn.Module | None = None
    discriminator: nn.Module | None = None
    task: nn.Module | None = None

    def names(self) -> dict[str, str]:
        """The class of each that is given, by the name of its part."""
        return {name: type(one).__name__ for name, one in vars(self).items() if one is not None}

    def check(self, recipe: Recipe) -> None:
        """See that the objective has a place for them.

        Raises:
            UserError: If it has not, or the run is on several devices.
        """
        given = self.names()
        if not given:
            return
        if recipe.unpaired or recipe.trains_recognisers_only:
            raise UserError(
                f"objective {recipe.objective} takes no networks of your own (found {', '.join(given)}); "
                "expected l1, gan or task_gan"
            )
        places = {"discriminator": recipe.lambda_gan > 0, "task": "task" in recipe.taught_by}
        idle = [name for name in given if not places.get(name, True)]
        if idle:
            raise UserError(
                f"objective {recipe.objective} with loss.lambda_gan {recipe.lambda_gan:g} and loss.mu_task "
                f"{recipe.mu_task:g} has no {idle[0]}, found one of your own ({given[idle[0]]})"
            )
        if recipe.machine.devices * recipe.machine.nodes > 1:
            raise UserError("networks of your own train on one device; expected machine.devices 1, nodes 1")

    @torch.no_grad()
    def check_shapes(self, recipe: Recipe, sample: tuple[int, ...]) -> None:
        """Call each once, on two black samples, as training will; the modules stay as they are.

        Args:
            sample: Size of the training samples, (H, W) or (D, H, W); D and T see slices of them.

        Raises:
            UserError: If one does not answer in the shapes of its contract.
        """

        size = sample[-2:]

        def _answer(network: nn.Module, channels: int, size: tuple[int, ...] = size) -> Any:
            return copy.deepcopy(network).cpu().eval()(torch.zeros(2, channels, *size))

        if self.generator is not None:
            restored = _answer(self.generator, recipe.data.channels, sample)
            _expect("generator", self.generator, restored, (2, recipe.data.colours, *sample))
        if self.discriminator is not None:
            seen = recipe.data.colours * (1 + recipe.discriminator.conditional)
            logit, _ = _pair("discriminator", _answer(self.discriminator, seen))
            _expect("discriminator", self.discriminator, logit, (2,))
        if self.task is not None:
            kind = loss_kind(recipe.task)
            output, _ = _pair("task", _answer(self.task, 1))
            wanted = (2, kind.outputs, *size) if kind.dense else (2, kind.outputs)
            _expect("task", self.task, output, wanted)


@dataclass(frozen=True)
class CycleNetworks:
    """What CycleGAN needs beside G and D.

    Attributes:
        generator: F, from clean to degraded.
        degrade: F as it is called (the compiled one where it is compiled).
        discriminator: D of the degraded domain (that of the clean domain is the run's D).
        restored_buffer: Earlier x̂ = G(x̃), for D of the clean domain.
        degraded_buffer: Earlier F(x), for D of the degraded domain.
    """

    generator: UNet | VolumeUNet
    degrade: Callable[[Tensor], Tensor]
    discriminator: ImageDiscriminator | VolumeDiscriminator
    restored_buffer: ImageBuffer
    degraded_buffer: ImageBuffer


@dataclass(frozen=True)
class Networks:
    """The networks on their device, and one Adam with a group of weights for each network that learns.

    One optimiser rather than several, because all losses of a step are taken at the same weights and the
    networks are updated at once: one scaler, one state, one place for the learning rate.

    Attributes:
        generator: G, a :class:`UNet` or the user's own.
        restore: G as it is called (the compiled one where it is compiled).
        discriminator: D, or None where λ = 0: it is then neither built nor paid for.
        tasks: T of each task that G learns from, in evaluation mode, by the names of ``Recipe.taught_by``.
        optimiser: Adam; every group has its network's ``name`` and its full rate ``peak``.
        weights: What is learnt, by network (the names of :meth:`by_name`); a frozen T has none, and in a phase
            nobody who does not learn then.
        cycle: F and its D, or None where the objective has no way back.
    """

    generator: nn.Module
    restore: Callable[[Tensor], Tensor]
    discriminator: nn.Module | None
    tasks: dict[str, nn.Module]
    optimiser: torch.optim.Adam
    weights: dict[str, list[nn.Parameter]]
    channels_last: bool
    cycle: CycleNetworks | None = None

    def by_name(self) -> dict[str, nn.Module]:
        """The networks there are, by name."""
        return _by_name(self.generator, self.discriminator, self.tasks, self.cycle)

    def frozen(self) -> dict[str, nn.Module]:
        """The networks that learn in no step of the run, by name."""
        return {name: network for name, network in self.by_name().items() if name not in self.weights}

    def with_learners(self, names: Collection[str]) -> "Networks":
        """The same networks, of which only the named ones learn."""
        return replace(self, weights={name: w for name, w in self.weights.items() if name in names})

    def image_buffers(self) -> dict[str, ImageBuffer]:
        """The histories of generated images there are, by name."""
        return {"restored": self.cycle.restored_buffer, "degraded": self.cycle.degraded_buffer} if self.cycle else {}


def build_generator(recipe: Recipe) -> UNet | VolumeUNet:
    """G with the initial weights that the seed gives, whatever was drawn before."""
    return _seeded(recipe, "generator", lambda: generator_network(recipe.generator, recipe.data))


def build_discriminator(recipe: Recipe, purpose: str = "discriminator") -> ImageDiscriminator | VolumeDiscriminator:
    """D with the initial weights that the seed gives; ``purpose`` names the network."""
    settings = recipe.discriminator
    channels = recipe.data.colours * (1 + settings.conditional)
    kind: Callable[..., Any] = VolumeDiscriminator if settings.dimensions == 3 else ImageDiscriminator
    network: ImageDiscriminator | VolumeDiscriminator = _seeded(
        recipe, purpose, lambda: kind(in_channels=channels, widths=settings.widths, norm=settings.norm)
    )
    return network


def build_task(task: Task) -> nn.Module:
    """T with random initial weights, by the seed of its pretraining: the run itself teaches it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.pretrain.seed)
        return build(task.pretrain, outputs=loss_kind(task).outputs)


def build_networks(
    recipe: Recipe,
    tasks: Mapping[str, nn.Module],
    fabric: Any,
    choice: MachineChoice,
    own: CustomNetworks = CustomNetworks(),
) -> Networks:
    """Build the networks that this objective needs, on the device, and their optimiser.

    T stays in evaluation mode also where it learns: its batch norms keep the statistics of the clean images
    that it was pretrained on (x̂ would move them), its dropout is off, and its answer for an image does not
    depend on the batch.

    Args:
        tasks: The pretrained T by name; they become part of the run (and are changed where they are joint).
        own: The user's own G and D, which are copied; its T is one of ``tasks``.
    """
    generator = _copy(own.generator) or build_generator(recipe)
    discriminator = (_copy(own.discriminator) or build_discriminator(recipe)) if recipe.lambda_gan > 0 else None
    back = _cycle_networks(recipe, choice) if recipe.unpaired else None
    networks = _by_name(generator, discriminator, tasks, back)
    for network in networks.values():
        layout = memory_format(network, choice.channels_last)
        network.to(device=fabric.device, memory_format=layout)  # type: ignore[call-overload]
    for name, task in tasks.items():
        task.eval().requires_grad_(recipe.taught_by[name].training == "joint")
    rates = _rates(recipe)
    weights = {name: [p for p in networks[name].parameters() if p.requires_grad] for name in networks if name in rates}
    optimiser = torch.optim.Adam(
        [{"params": weights[name], "lr": rates[name], "peak": rates[name], "name": name} for name in weights],
        betas=recipe.optimiser.betas,
        fused=choice.precision != "16",  # the fused one unscales by itself, which would hide what is clipped
    )
    restore = _compiled(generator, choice)
    return Networks(generator, restore, discriminator, dict(tasks), optimiser, weights, choice.channels_last, back)


def set_learning_rate(networks: Networks, recipe: Recipe, stages: Stages, step: int) -> float:
    """Set every network's learning rate for a step; gives G's, which is 0 where it does not learn.

    The rate of a network rises and falls over the steps in which it learns.
    """
    learners = stages.stage_at(step).learners
    rates = {"generator": 0.0}
    for group in networks.optimiser.param_groups:
        name = group["name"]
        if name in learners:
            share = rate_factor(recipe.optimiser, stages.steps_learnt(name, step), stages.steps_in_total(name))
            group["lr"] = rates[name] = group["peak"] * share
    return rates["generator"]


def _copy(network: nn.Module | None) -> nn.Module | None:
    return copy.deepcopy(network).train() if network is not None else None


def _pair(name: str, answer: Any) -> tuple[Any, Sequence[Tensor]]:
    """An answer and its features.

    Raises:
        UserError: If that is not what it is.
    """
    if isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], Sequence):
        return answer
    raise UserError(f"your {name} gives {type(answer).__name__}, expected a tuple of its answer and its features")


def _expect(name: str, network: nn.Module, answer: Any, wanted: tuple[int, ...]) -> None:
    shape = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
    if shape != wanted:
        raise UserError(f"your {name} {type(network).__name__} gives {shape}, expected a tensor {wanted}")


def _by_name(
    generator: nn.Module, discriminator: nn.Module | None, tasks: Mapping[str, nn.Module], back: CycleNetworks | None
) -> dict[str, nn.Module]:
    networks = {
        "generator": generator,
        "discriminator": discriminator,
        **tasks,
        "degrader": back.generator if back else None,
        "degraded_discriminator": back.discriminator if back else None,
    }
    return {name: network for name, network in networks.items() if network is not None}


def _rates(recipe: Recipe) -> dict[str, float]:
    """Full learning rate of every network that may learn."""
    settings = recipe.optimiser
    rates = {"generator": settings.lr, "degrader": settings.lr}
    rates |= dict.fromkeys(("discriminator", "degraded_discriminator"), settings.lr_discriminator or settings.lr)
    for name, task in recipe.taught_by.items():
        if task.training == "joint":
            share = _TASK_RATE if task.pretrain.steps else 1.0
            rates[name] = settings.lr_task or share * settings.lr
    return rates


def _cycle_networks(recipe: Recipe, choice: MachineChoice) -> CycleNetworks:
    """F sees one slice at a time, whatever G sees: it has to make a degraded slice of a clean one."""
    alone = {"inputs": ("degraded",), "neighbours": 0, "condition": "", "conditions": ()}
    data = recipe.data.untold.model_copy(update=alone)
    generator = _seeded(recipe, "degrader", lambda: generator_network(recipe.generator, data))
    restored, degraded = (
        ImageBuffer(recipe.cycle.buffer, derive_seed(recipe.seed, "history", name)) for name in ("restored", "degraded")
    )
    discriminator = build_discriminator(recipe, "degraded_discriminator")
    return CycleNetworks(generator, _compiled(generator, choice), discriminator, restored, degraded)


def _seeded(recipe: Recipe, purpose: str, make: Callable[[], _Network]) -> _Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(recipe.seed, purpose))
        return make()


def _compiled(generator: nn.Module, choice: MachineChoice) -> Callable[[Tensor], Tensor]:
    # Only generators are compiled: D's and T's graphs are walked by several backward passes, each for other
    # weights, and a compiled backward pass computes all gradients every time.
    if not choice.compile:
        return generator
    leave_out_of_graphs()
    compiled: Callable[[Tensor], Tensor] = torch.compile(generator)
    return compiled
