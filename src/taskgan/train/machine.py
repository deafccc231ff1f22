"""``auto``: measure once which precision and memory format train this network fastest on this machine.

The measurement is of one G and D step whatever the objective, and is kept in the user's cache folder under the
machine, the torch version, the networks, batch and image size: the objectives of one experiment get the same
choice, and the second of them does not wait.
"""

import time
from pathlib import Path
from typing import Any, Literal

import torch

from taskgan.cohort.dataset import Batch
from taskgan.core.console import say
from taskgan.core.files import read_measured, write_measured
from taskgan.core.tensors import bf16_is_native
from taskgan.core.version import __version__
from taskgan.networks.generator import memory_format
from taskgan.recipe import Recipe
from taskgan.train.devices import MachineChoice, device_name, device_of, start_fabric
from taskgan.train.networks import build_networks
from taskgan.train.step import train_step

_GAIN = 0.95  # another candidate must take less than this share of the plain one's time: timings are noisy
_BUDGET_S = 2.0  # of timed steps per candidate
_LEAST_S_TO_COMPILE = 1800.0  # compiling costs minutes; a shorter run cannot win them back


def choose_machine(recipe: Recipe, size: tuple[int, ...]) -> MachineChoice:
    """Replace every ``auto`` of ``recipe.machine`` by what is faster here.

    Several devices are not measured (processes could come to different answers): bf16 where the GPU has it,
    channels last on a GPU, no compilation.

    Args:
        size: Of its samples, (H, W) or (D, H, W).
    """
    machine = recipe.machine
    fixed = (machine.precision, machine.channels_last, machine.compile)
    if "auto" not in fixed:
        return MachineChoice(str(machine.precision), bool(machine.channels_last), bool(machine.compile))
    device = device_of(machine)
    if machine.devices * machine.nodes > 1:
        gpu = device.type == "cuda"
        fast = "bf16" if gpu and torch.cuda.is_bf16_supported() else "32"
        return MachineChoice(
            fast if machine.precision == "auto" else machine.precision,
            gpu if machine.channels_last == "auto" else machine.channels_last,
            False if machine.compile == "auto" else machine.compile,
        )
    if machine.compile != "auto" and len(tried := candidates(recipe, device)) == 1:
        return tried[0]
    key = _key(recipe, size, device)
    choice = read_measured("machine", key, lambda stored: MachineChoice.of(stored, Path("measurement")))
    if choice is None:
        choice = _measure(recipe, size, device)
        write_measured("machine", key, choice.to_dict())
        description = ", ".join(f"{name} {value}" for name, value in choice.to_dict().items())
        say(f"measured on this machine ({device_name(device)}): {description}")
    return choice


def candidates(recipe: Recipe, device: torch.device) -> list[MachineChoice]:
    """What is worth a try, the plain one first; settings that are not ``auto`` are not varied."""
    machine = recipe.machine
    half: Literal["bf16", "16"] = "16" if device.type == "cuda" and not torch.cuda.is_bf16_supported() else "bf16"
    precisions = ["32", half] if machine.precision == "auto" else [machine.precision]
    if machine.precision == "auto" and not (device.type == "cuda" or (device.type == "cpu" and bf16_is_native())):
        precisions = ["32"]
    layouts = [False, True] if machine.channels_last == "auto" else [bool(machine.channels_last)]
    compiled = machine.compile is True
    return [MachineChoice(p, c, compiled) for p in precisions for c in layouts]


def seconds_per_step(
    recipe: Recipe, size: tuple[int, ...], choice: MachineChoice, *, budget: float = _BUDGET_S
) -> tuple[float, float]:
    """Time G and D steps on random images; draws nothing from torch's global state. Returns seconds of the fastest
    step, and of the first one (which compiles).
    """
    fabric = start_fabric(recipe.machine, choice.precision, alone=True)
    trial = recipe.model_copy(update={"objective": "gan", "loss": recipe.loss.model_copy(update={"lambda_gan": 1.0})})
    # The trial has a D also where the run has none, and D needs room to halve.
    least = 2 ** len(recipe.discriminator.widths)
    size = (*size[:-2], max(size[-2], least), max(size[-1], least))
    with torch.random.fork_rng(devices=[fabric.device] if fabric.device.type == "cuda" else []):
        networks = build_networks(trial, {}, fabric, choice)
        images = torch.rand(recipe.optimiser.batch_size, recipe.data.channels + recipe.data.colours, *size)
        layout = memory_format(images, choice.channels_last)
        batch = Batch(
            images[:, : recipe.data.channels].to(fabric.device, memory_format=layout),
            images[:, recipe.data.channels :].to(fabric.device, memory_format=layout),
            torch.zeros(len(images), device=fabric.device),
        )
        taken: list[float] = []
        while len(taken) < 3 or sum(taken[1:]) < budget:
            began = time.perf_counter()
            outcome = train_step(networks, batch, trial, fabric)
            float(outcome.losses["total"])  # waits for the device
            taken.append(time.perf_counter() - began)
            if sum(taken) > 10 * budget and len(taken) > 1:
                break
    return min(taken[1:]), taken[0]


def _measure(recipe: Recipe, size: tuple[int, ...], device: torch.device) -> MachineChoice:
    tried = candidates(recipe, device)
    times = {choice: seconds_per_step(recipe, size, choice)[0] for choice in tried}
    best = min(tried, key=lambda choice: times[choice])
    if times[best] > _GAIN * times[tried[0]]:
        best = tried[0]
    plain = times[best] * recipe.optimiser.steps
    if recipe.machine.compile != "auto" or plain < _LEAST_S_TO_COMPILE:
        return best
    compiled = MachineChoice(best.precision, best.channels_last, True)
    try:
        each, first = seconds_per_step(recipe, size, compiled)
    except Exception as error:  # no compiler on this machine, or a network that it cannot compile
        say(f"torch.compile does not work here ({type(error).__name__}), going on without it")
        return best
    # The run compiles again (a little faster, from inductor's cache), so the whole first step has to pay.
    return compiled if first + each * recipe.optimiser.steps < _GAIN * plain else best


def _key(recipe: Recipe, size: tuple[int, ...], device: torch.device) -> dict[str, Any]:
    machine = recipe.machine
    return {
        "code": __version__,
        "torch": torch.__version__,
        "device": device_name(device),
        # A projection costs next to nothing.
        "generator": recipe.generator.model_dump(exclude={"projection", "degradation"}),
        "discriminator": recipe.discriminator.model_dump(),
        "channels": recipe.data.channels,
        "batch": recipe.optimiser.batch_size,
        "size": size,
        "settings": [machine.precision, machine.channels_last, machine.compile],
        "steps": recipe.optimiser.steps if machine.compile == "auto" else 0,
    }
