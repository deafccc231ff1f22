"""One optimiser step of T alone: it learns the property from clean images, before G learns anything."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from taskgan.cohort.dataset import Batch
from taskgan.objective.kinds import task_kind
from taskgan.recipe import Recipe
from taskgan.train.parallel import average_statistics
from taskgan.train.players import Networks
from taskgan.train.step import StepResult, update_weights


def task_step(networks: Networks, batch: Batch, recipe: Recipe, fabric: Any) -> StepResult:
    """Take the second term of Eq. 3, (T(x) − y)², and update T.

    x̂ is not made: that of a G that has learnt nothing says nothing of y. T is in training here, so that its batch
    norms get the statistics of clean images, and in evaluation again afterwards, as in every other step.

    Args:
        networks: The networks; only T learns.
        batch: x and y on the device; unpaired ones too.
        recipe: The property and the form of its loss.
        fabric: Precision, devices, scaler.
    """
    T = networks.task
    if T is None:
        raise AssertionError("there is no task network to train alone")
    kind = task_kind(recipe.task, recipe.task.loss)
    with fabric.autocast(), _in_training(T):
        answer = T(batch.clean[:, :1])[0].float()
        task = kind.loss(answer, kind.y(batch.label, answer)).mean()
    networks.optimiser.zero_grad(set_to_none=True)
    fabric.backward(task, inputs=networks.weights["task"])
    update_weights(networks, recipe.optimiser.clip, fabric)
    average_statistics(T, fabric)
    return StepResult({"task": task.detach()}, None)


@contextmanager
def _in_training(network: nn.Module) -> Iterator[None]:
    network.train()
    try:
        yield
    finally:
        network.eval()
