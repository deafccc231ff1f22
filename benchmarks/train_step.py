"""Training speed, images a second on this machine, against a plain step of the same networks.

The plain step is the one that most pix2pix-like code makes: float32 in the default memory format, the
generator's image judged once for D and once more for G, D's weights given gradients in G's step too, no
subnormal flushing, one plain optimiser a network. For ``cycle_gan`` it is the step of Zhu et al. 2017 in the
same manner: one Adam for both generators and then one for both discriminators, images one after the other
through a history.

    python benchmarks/train_step.py [--recipe pet-demo] [--size 112] [--seconds 8] [--threads 0]
"""

import argparse
import itertools
import random
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taskgan.cohort.dataset import Batch
from taskgan.core.errors import UserError
from taskgan.judges.recogniser import build
from taskgan.recipe import Recipe, read_recipe
from taskgan.train.devices import MachineChoice, device_name, device_of, start_fabric, torch_switches
from taskgan.train.machine import choose_machine
from taskgan.train.networks import Networks, build_discriminator, build_generator, build_networks
from taskgan.train.step import cycle_step, train_step


def batch_of(recipe: Recipe, size: int, device: torch.device, layout: torch.memory_format) -> Batch:
    generator = torch.Generator().manual_seed(0)
    shape = (recipe.optimiser.batch_size, recipe.data.channels, size, size)
    clean_channels = shape[1] if recipe.unpaired else 1
    inputs, clean = (
        torch.rand(shape, generator=generator),
        torch.rand((*shape[:1], clean_channels, size, size), generator=generator),
    )
    label = torch.arange(shape[0]) % 2
    return Batch(
        inputs.to(device, memory_format=layout), clean.to(device, memory_format=layout), label.float().to(device)
    )


def ours(recipe: Recipe, size: int, choice: MachineChoice) -> Callable[[], float]:
    fabric = start_fabric(recipe.machine, choice.precision, alone=True)
    task = build(recipe.task.pretrain) if recipe.objective == "task_gan" else None
    players: Networks = build_networks(recipe, {"task": task} if task else {}, fabric, choice)
    layout = torch.channels_last if choice.channels_last else torch.contiguous_format
    batch = batch_of(recipe, size, fabric.device, layout)
    advance = cycle_step if recipe.unpaired else train_step
    return lambda: float(advance(players, batch, recipe, fabric).losses["total"])


def plain(recipe: Recipe, size: int, device: torch.device) -> Callable[[], float]:
    """The naive step of the same objective."""
    generator = build_generator(recipe).to(device)
    discriminator: nn.Module | None = build_discriminator(recipe).to(device) if recipe.lambda_gan else None
    task = build(recipe.task.pretrain).to(device).eval() if recipe.objective == "task_gan" else None
    players = [n for n in (generator, discriminator) if n is not None]
    if task is not None and recipe.task.training == "joint":
        players.append(task)
    optimisers = [torch.optim.Adam(n.parameters(), lr=2e-4, betas=(0.5, 0.999)) for n in players]
    batch = batch_of(recipe, size, device, torch.contiguous_format)

    def features(images: Tensor) -> tuple[Tensor, list[Tensor]]:
        assert discriminator is not None
        seen = torch.cat([images, batch.inputs[:, :1]], 1) if recipe.discriminator.conditional else images
        logit, inner = discriminator(seen)
        return logit, inner

    def once() -> float:
        restored = generator(batch.inputs)
        if discriminator is not None:
            optimisers[1].zero_grad()
            real, fake = features(batch.clean)[0], features(restored.detach())[0]
            judged = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
            (judged + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))).backward()
            optimisers[1].step()
        optimisers[0].zero_grad()
        loss = (restored - batch.clean).abs().mean()
        if discriminator is not None:
            pairs = zip(features(restored)[1][1:], features(batch.clean)[1][1:], strict=True)
            loss = loss + 0.1 * sum((a.mean(0) - b.mean(0)).square().mean() for a, b in pairs)
        if task is not None:
            optimisers[-1].zero_grad()
            answers = [task(image)[0].squeeze(1).sigmoid() for image in (restored, batch.clean)]
            loss = loss + 0.1 * sum((answer - batch.label).square().mean() for answer in answers)
        loss.backward()
        optimisers[0].step()
        if len(optimisers) > 2:
            optimisers[2].step()
        return float(loss.detach())

    return once


def plain_cycle(recipe: Recipe, size: int, device: torch.device) -> Callable[[], float]:
    """The naive CycleGAN step (least squares), for inputs of one channel."""
    if recipe.data.channels > 1:
        raise SystemExit(f"{recipe.data.channels} input channels: the plain CycleGAN step has one")
    restore, degrade = (build_generator(recipe).to(device) for _ in range(2))
    judges = [build_discriminator(recipe).to(device) for _ in range(2)]  # of clean, of degraded images
    first, second = (
        torch.optim.Adam(itertools.chain(*(n.parameters() for n in pair)), lr=2e-4, betas=(0.5, 0.999))
        for pair in ((restore, degrade), judges)
    )
    batch = batch_of(recipe, size, device, torch.contiguous_format)
    real = (batch.clean, batch.inputs)
    histories: tuple[list[Tensor], list[Tensor]] = ([], [])

    def earlier(images: Tensor, history: list[Tensor]) -> Tensor:
        given = []
        for image in images.detach().split(1):
            if len(history) < recipe.cycle.buffer:
                history.append(image.clone())
            elif history and random.random() < 0.5:
                place = random.randrange(len(history))
                image, history[place] = history[place], image.clone()
            given.append(image)
        return torch.cat(given)

    def once() -> float:
        made = (restore(batch.inputs), degrade(batch.clean))
        first.zero_grad()
        returned = (restore(made[1]), degrade(made[0]))
        same = (restore(batch.clean), degrade(batch.inputs))
        loss = torch.zeros((), device=device)
        for judge, fake, back, copy, truth in zip(judges, made, returned, same, real, strict=True):
            cycle, identity = (back - truth).abs().mean(), (copy - truth).abs().mean()
            loss = loss + (judge(fake)[0] - 1).square().mean() + 10 * cycle + 5 * identity
        loss.backward()
        first.step()
        second.zero_grad()
        for judge, fake, truth, history in zip(judges, made, real, histories, strict=True):
            wrong = judge(earlier(fake, history))[0].square().mean()
            (0.5 * ((judge(truth)[0] - 1).square().mean() + wrong)).backward()
        second.step()
        return float(loss.detach())

    return once


def rate(steps: dict[str, Callable[[], float]], seconds: float, batch: int) -> dict[str, float]:
    """Images a second of each, in turns, so that a busy machine is busy for all; the fastest turn counts."""
    best = {name: float("inf") for name in steps}
    for once in steps.values():
        once()
    began = time.perf_counter()
    while time.perf_counter() - began < seconds * len(steps):
        for name, once in steps.items():
            start = time.perf_counter()
            once()
            best[name] = min(best[name], time.perf_counter() - start)
    return {name: batch / taken for name, taken in best.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="pet-demo")
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    asked = parser.parse_args()
    base = read_recipe(asked.recipe, [*asked.overrides, f"machine.threads={asked.threads}"])
    device = device_of(base.machine)
    if asked.threads:
        torch.set_num_threads(asked.threads)
    batch = base.optimiser.batch_size
    print(f"{asked.recipe}, {asked.size}×{asked.size}, batch {batch}, {device_name(device)}")
    choice = choose_machine(base, (asked.size, asked.size))
    print(f"precision {choice.precision}, channels_last {choice.channels_last}, compile {choice.compile}")
    for objective in ("l1", "gan", "task_gan", "cycle_gan"):
        recipe = base.model_copy(update={"objective": objective})
        with torch_switches(recipe.machine, device):
            naive = plain_cycle if recipe.unpaired else plain
            steps = {"ours": ours(recipe, asked.size, choice), "plain": naive(recipe, asked.size, device)}
            found = rate(steps, asked.seconds, batch)
        print(
            f"{objective:9} {found['ours']:7.1f} img/s   plain {found['plain']:7.1f} img/s   "
            f"ratio {found['ours'] / found['plain']:.2f}"
        )


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(str(error)) from None
