"""One optimiser step of CycleGAN (Zhu et al. 2017, 10.1109/ICCV.2017.244), to be held against its equations.

G restores, F degrades, and each domain has a D. As in ``taskgan.train.step`` all losses are taken at the same
weights and every backward pass names the weights that it teaches. (The published code updates both generators
first and each D after them.)
"""

from typing import Any

from torch import Tensor, nn

from taskgan.cohort.dataset import Batch
from taskgan.networks.layers import frozen_statistics
from taskgan.objective.adversarial import discriminator_loss, generator_loss
from taskgan.objective.total import WeightedSum, cycle_loss, identity_loss
from taskgan.recipe import Data, Recipe
from taskgan.train.devices import of_all_devices
from taskgan.train.networks import ImageBuffer, Networks
from taskgan.train.step import StepResult, discriminate, update_weights


def cycle_step(networks: Networks, batch: Batch, recipe: Recipe, fabric: Any) -> StepResult:
    """Go round both cycles, take the losses, update G, F and both D.

    Where G sees more than the degraded slice: F makes the degraded slice and its neighbours one by one, each
    from a clean one; further inputs (another contrast) are not made, a cycle keeps those of its real sample.

    Args:
        networks: The networks, with the way back.
        batch: Unpaired: x̃ and x are of different subjects, both with all input channels (``UnpairedSteps``).
        recipe: Weights and form of the losses.
        fabric: Precision, devices, scaler.
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
        networks: With the way back.
        clean: Channels slice by slice, the slice itself first; of each slice, the clean one is the first column.
            Planes of a condition come last.
        data: Its columns and conditions.
    """
    assert networks.cycle is not None
    images = clean.shape[1] - len(data.conditions)
    of_slices = slice(0, images, len(data.inputs))
    slices = clean[:, of_slices]
    generated = networks.cycle.degrade(slices.flatten(0, 1)[:, None]).float().view_as(slices)
    if generated.shape == clean.shape:
        return generated
    whole = clean.clone()
    whole[:, of_slices] = generated
    return whole
