"""One optimiser step of G, D and T, to be held against Eq. 1 to 4, and one of CycleGAN.

All losses are taken at the same weights: x̂ is computed once, D and T look at x and x̂ once, and each backward
pass names the weights that it teaches, so that no gradient of G's objective reaches D and none of D's reaches
G. (pix2pix updates D first and runs it again on both images for G; the features that Eq. 2 then matches are
one small update younger, for half of D's cost.)
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from taskgan.cohort.dataset import Batch, slices_of
from taskgan.images.photos import LUMINANCE
from taskgan.networks.layers import frozen_statistics
from taskgan.objective.kinds import loss_kind
from taskgan.objective.task import feature_distance, task_loss
from taskgan.objective.total import (
    Weighted,
    WeightedSum,
    coarse_loss,
    cycle_loss,
    discriminator_loss,
    feature_matching,
    generator_loss,
    identity_loss,
    pixel_loss,
)
from taskgan.recipe import Data, Recipe, Task
from taskgan.train.devices import average_gradients, average_statistics, of_all_devices, over_all_devices
from taskgan.train.metrics import task_column
from taskgan.train.networks import ImageBuffer, Networks

OneOrNone = TypeVar("OneOrNone", Tensor, Tensor | None)


@dataclass(frozen=True)
class StepResult:
    """What a step gave.

    Attributes:
        losses: Scalars, cut off the graph, by their columns of ``metrics.csv``: the terms of the objective,
            its ``total``, and the losses of the discriminators, those that there are.
        restored: x̂ (B, 1, H, W), or (B, 3, H, W) of colours, slices also of volumes, cut off the graph; None where
            none was made.
    """

    losses: dict[str, Tensor]
    restored: Tensor | None


def train_step(networks: Networks, batch: Batch, recipe: Recipe, fabric: Any) -> StepResult:
    """Draw x̂, take the losses, update G, D and T, or those of them that learn.

    A volume is restored as one; from there on it is its slices, which are what T and a D of 2 dimensions know.

    Args:
        networks: The networks; those that the objective does without are None. Who has weights learns.
        batch: x̃, x and y on the device.
    """
    D, weights, loss = networks.discriminator, networks.weights, recipe.loss
    volumes, batch = batch, batch.by_slice()
    x, labels = batch.clean, batch.labels(networks.tasks)
    judged = None
    tasks: dict[str, Tensor] = {}

    with fabric.autocast():
        with nullcontext() if "generator" in weights else frozen_statistics(networks.generator):
            whole = networks.restore(volumes.inputs).float()  # x̂ = G(x̃, z)
        restored = slices_of(whole)
        terms: list[Weighted] = [("pixel", pixel_loss(restored, x).mean(), 1.0)]  # Eq. 1
        if loss.coarse:  # and over windows
            terms.append(("coarse", coarse_loss(whole, volumes.clean, loss.coarse).mean(), loss.coarse_weight))
        if D is not None:
            real, made = _seen_by(D, volumes, whole, recipe)
            (logit, features), (logit_restored, features_restored) = discriminate(D, real, made, recipe)
            adversarial = feature_matching(  # Eq. 2
                over_all_devices(features_restored, fabric), over_all_devices(features, fabric), loss.feature_layers
            )
            terms.append(("adversarial", adversarial, recipe.lambda_gan))
            judged = discriminator_loss(  # D(x) = 1, D(x̂) = 0
                logit, logit_restored, loss.discriminator, loss.label_smoothing
            ).mean()
        for name, T in networks.tasks.items():
            task = recipe.taught_by[name]
            kind, nu = loss_kind(task), task.features
            answer_restored, inner_restored = _full(T(as_read(restored)))
            # A frozen T learns nothing from x, and G has no part in it: then that term is left out.
            answer, inner = _full(T(as_read(x))) if name in weights or nu or kind.label_from_clean else (None, [])
            y = kind.y(labels[name], answer)
            read, read_clean = at_level(task, answer_restored, len(whole)), at_level(task, answer, len(whole))
            tasks[name] = task_loss(kind, read, read_clean, at_level(task, y, len(whole))).mean()  # Eq. 3
            terms.append((name, tasks[name], recipe.mu_task * task.weight))
            if nu:
                terms.append((task_column("task_features", name), feature_distance(inner_restored, inner).mean(), nu))

    objective = WeightedSum(terms)  # Eq. 4
    networks.optimiser.zero_grad(set_to_none=True)
    if judged is not None and "discriminator" in weights:
        fabric.backward(judged, inputs=weights["discriminator"], retain_graph=True)
    for name, own in tasks.items():
        if name in weights:  # T learns by its own Eq. 3 alone, at its own rate
            fabric.backward(own, inputs=weights[name], retain_graph=True)
    if "generator" in weights:
        fabric.backward(objective.total, inputs=weights["generator"])
    update_weights(networks, recipe.optimiser.clip, fabric)

    losses = objective.detached()
    if judged is not None:
        losses["discriminator"] = judged.detach()
    return StepResult(losses, restored.detach())


def as_read(images: Tensor) -> Tensor:
    """What T reads of x or x̂ (B, C, H, W): the luminance of colours."""
    if images.shape[1] == 1:
        return images
    return (images * images.new_tensor(LUMINANCE)[:, None, None]).sum(dim=1, keepdim=True)


def at_level(task: Task, values: OneOrNone, volumes: int) -> OneOrNone:
    """T's answers for slices (S, n), or their y, as Eq. 3 counts them.

    Of a task of level ``volume`` the S slices are those of some blocks, one after the other, and the answer for a block
    (``volumes``, n) is the mean of its slices' logits.
    """
    if values is None or task.level == "slice":
        return values
    return values.reshape(volumes, -1, *values.shape[1:]).mean(dim=1)


def _seen_by(D: nn.Module, samples: Batch, restored: Tensor, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Clean and restored samples as D sees them: slices, or blocks; with the degraded ones where it is conditional."""
    images = [samples.clean, restored, samples.inputs]
    real, made, degraded = images if getattr(D, "volumes", False) else [slices_of(one) for one in images]
    if not recipe.discriminator.conditional:
        return real, made
    degraded = degraded[:, : real.shape[1]]
    return torch.cat([real, degraded], dim=1), torch.cat([made, degraded], dim=1)


def discriminate(
    D: nn.Module, real: Tensor, generated: Tensor, recipe: Recipe
) -> tuple[tuple[Tensor, list[Tensor]], tuple[Tensor, list[Tensor]]]:
    """Logits (B,), of a D of volumes (B, patches), and features of real and of generated images.

    Where D has batch norm both go through in one pass, with one set of statistics: with a set of its own each,
    batch norm would remove the difference of means that Eq. 2 measures.
    """
    if recipe.discriminator.norm != "batch":
        return _full(D(real)), _full(D(generated))
    logit, features = _full(D(torch.cat([real, generated])))
    size = len(real)
    return (logit[:size], [f[:size] for f in features]), (logit[size:], [f[size:] for f in features])


def _full(output: tuple[Tensor, Sequence[Tensor]]) -> tuple[Tensor, list[Tensor]]:
    """In full precision: differences of means are small."""
    logit, features = output
    return logit.float(), [f.float() for f in features]


def update_weights(networks: Networks, clip: float, fabric: Any) -> None:
    """Clip each network's gradient by its own norm and make the optimiser's step."""
    average_gradients(networks.weights, fabric)
    if clip:
        fabric.strategy.precision.unscale_gradients(networks.optimiser)
        for parameters in networks.weights.values():
            torch.nn.utils.clip_grad_norm_(parameters, clip)
    fabric.strategy.optimizer_step(networks.optimiser)


def task_step(networks: Networks, batch: Batch, recipe: Recipe, fabric: Any) -> StepResult:
    """Take the second term of Eq. 3, (T(x) − y)², and update T; of several tasks, each that learns by its own.

    x̂ is not made: that of a G that has learnt nothing says nothing of y. T is in training here, so that its batch
    norms get the statistics of clean images, and in evaluation again afterwards, as in every other step.

    Args:
        networks: The networks; only task networks learn.
        batch: x and y on the device; unpaired ones too.
    """
    volumes, batch = len(batch.inputs), batch.by_slice()
    labels, losses = batch.labels(networks.tasks), {}
    networks.optimiser.zero_grad(set_to_none=True)
    for name in networks.weights:
        T, kind = networks.tasks[name], loss_kind(recipe.taught_by[name])
        with fabric.autocast(), _in_training(T):
            answer = T(as_read(batch.clean) if recipe.data.colour == "rgb" else batch.clean[:, :1])[0].float()
            y = kind.y(labels[name], answer)
            answer, y = (at_level(recipe.taught_by[name], one, volumes) for one in (answer, y))
            losses[name] = kind.loss(answer, y).mean()
        fabric.backward(losses[name], inputs=networks.weights[name])
    update_weights(networks, recipe.optimiser.clip, fabric)
    for name in networks.weights:
        average_statistics(networks.tasks[name], fabric)
    return StepResult({name: task.detach() for name, task in losses.items()}, None)


@contextmanager
def _in_training(network: nn.Module) -> Iterator[None]:
    network.train()
    try:
        yield
    finally:
        network.eval()


def cycle_step(networks: Networks, batch: Batch, recipe: Recipe, fabric: Any) -> StepResult:
    """Go round both cycles of CycleGAN (Zhu et al. 2017, 10.1109/ICCV.2017.244), update G, F and both D.

    G restores, F degrades, and each domain has a D. As in :func:`train_step` all losses are taken at the same weights
    and every backward pass names the weights that it teaches. (The published code updates both generators first and
    each D after them.)

    Where G sees more than the degraded slice: F makes the degraded slice and its neighbours one by one, each
    from a clean one; further inputs (another contrast) are not made, a cycle keeps those of its real sample.

    Args:
        batch: Unpaired: x̃ and x are of different subjects, both with all input channels (``UnpairedSteps``).
    """
    G, D, back, weights = networks.restore, networks.discriminator, networks.cycle, networks.weights
    if D is None or back is None:
        raise AssertionError("cycle_gan needs a discriminator and the way back")
    F, settings = back.degrade, recipe.cycle
    x_degraded, x = batch.inputs[:, :1], batch.clean[:, :1]
    identity = None

    with fabric.autocast():
        restored = G(batch.inputs).float()  # x̂ = G(x̃)
        degraded = _degraded(networks, batch.clean, recipe.data)  # F(x), as an input of G
        # G restores degraded images: what else it is shown leaves the statistics of its batch norms alone.
        with frozen_statistics(networks.generator):
            returned_clean = G(degraded).float()  # G(F(x))
            if settings.identity:
                identity = identity_loss(
                    G(batch.clean).float(), x, F(x_degraded).float(), x_degraded
                ).mean()  # G(x) = x, F(x̃) = x̃
        returned_degraded = F(restored).float()  # F(G(x̃))
        cycle = cycle_loss(returned_degraded, x_degraded, returned_clean, x).mean()
        adversarial, judged = _adversarial_losses(D, x, restored, back.restored_buffer, recipe, fabric)
        adversarial_degraded, judged_degraded = _adversarial_losses(
            back.discriminator, x_degraded, degraded[:, :1], back.degraded_buffer, recipe, fabric
        )

    objective = WeightedSum(
        [
            ("adversarial", adversarial, 1.0),
            ("adversarial_degraded", adversarial_degraded, 1.0),
            ("cycle", cycle, settings.weight),
            ("identity", identity, settings.identity),
        ]
    )
    networks.optimiser.zero_grad(set_to_none=True)
    fabric.backward(judged, inputs=weights["discriminator"])
    fabric.backward(judged_degraded, inputs=weights["degraded_discriminator"])
    fabric.backward(objective.total, inputs=[*weights["generator"], *weights["degrader"]])
    update_weights(networks, recipe.optimiser.clip, fabric)

    judgements = {"discriminator": judged.detach(), "discriminator_degraded": judged_degraded.detach()}
    return StepResult(objective.detached() | judgements, restored.detach())


def _adversarial_losses(
    D: nn.Module, real: Tensor, generated: Tensor, history: ImageBuffer, recipe: Recipe, fabric: Any
) -> tuple[Tensor, Tensor]:
    """One domain: the generator's loss on its newest images, D's on earlier ones; scalars."""
    form = recipe.loss.discriminator
    batch_norm = recipe.discriminator.norm == "batch"  # then D has to see what it always sees: both kinds
    fooled = discriminate(D, real, generated, recipe)[1][0] if batch_norm else D(generated)[0].float()
    earlier = of_all_devices(generated.detach(), fabric, history.exchange)
    (logit, _), (logit_earlier, _) = discriminate(D, real, earlier, recipe)
    judged = discriminator_loss(logit, logit_earlier, form, recipe.loss.label_smoothing)
    return generator_loss(fooled, form).mean(), judged.mean()


def _degraded(networks: Networks, clean: Tensor, data: Data) -> Tensor:
    """G's input made of a clean one (B, I, H, W): F on the clean slice and its neighbours, the rest as it is.

    Args:
        clean: Channels slice by slice, the slice itself first; of each slice, the clean one is the first column.
            Planes of a condition come last.
    """
    assert networks.cycle is not None
    images = clean.shape[1] - data.planes
    of_slices = slice(0, images, len(data.inputs))
    slices = clean[:, of_slices]
    generated = networks.cycle.degrade(slices.flatten(0, 1)[:, None]).float().view_as(slices)
    if generated.shape == clean.shape:
        return generated
    whole = clean.clone()
    whole[:, of_slices] = generated
    return whole
