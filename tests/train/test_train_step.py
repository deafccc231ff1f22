"""The step against Eq. 1 to 4, written out by hand."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from small_steps import a_batch, flat, gradients, one_step, players_of
from taskgan.cohort.dataset import Batch
from taskgan.recipe import Recipe
from taskgan.train.devices import MachineChoice, start_fabric
from taskgan.train.networks import build_networks
from taskgan.train.step import train_step

Make = Callable[..., Recipe]


def test_no_gradient_of_g_reaches_d(recipe: Make) -> None:
    """However much G's objective weighs, D's step is the same: it learns by its own loss alone."""
    moved = [flat(one_step(recipe(objective="gan", loss__lambda_gan=weight))[1].discriminator) for weight in (0.1, 50)]
    assert torch.equal(*moved)


def test_no_gradient_of_d_reaches_g(recipe: Make) -> None:
    moved = [
        flat(one_step(recipe(objective="gan", loss__discriminator=form))[1].generator)
        for form in ("bce", "least_squares")
    ]
    assert torch.equal(*moved)


@pytest.mark.parametrize("training", ["frozen", "joint"])
def test_gradients_are_those_of_eq_1_to_4(recipe: Make, training: str) -> None:
    asked = recipe(
        objective="task_gan", task__training=training, loss__lambda_gan=0.3, loss__mu_task=0.7, task__features=0.2
    )
    found, before, losses = gradients(asked)
    x_degraded, x, y = a_batch()[:3]
    G, D, T = before.generator, before.discriminator, before.tasks["task"]
    assert D is not None
    torch.manual_seed(0)
    restored = G(x_degraded)
    _, f_x = D(x)
    logit_x, logit_restored = D(x)[0], D(restored.detach())[0]
    (answer, inner), (answer_x, inner_x) = T(restored), T(x)
    pixel = (restored - x).abs().mean()
    gan = (D(restored)[1][1].mean(0) - f_x[1].mean(0).detach()).square().mean()
    squared = ((answer.sigmoid()[:, 0] - y) ** 2).mean() + ((answer_x.sigmoid()[:, 0] - y) ** 2).mean()
    distance = torch.stack(
        [
            (a - b.detach()).square().flatten(1).mean(1) / b.detach().square().flatten(1).mean(1)
            for a, b in zip(inner, inner_x, strict=True)
        ]
    ).mean()
    whole = pixel + 0.3 * gan + 0.7 * squared + 0.2 * distance
    judged = 0.5 * (-logit_x.sigmoid().log() - (1 - logit_restored.sigmoid()).log()).mean()
    torch.testing.assert_close(losses["total"], whole.detach())
    torch.testing.assert_close(losses["discriminator"], judged.detach())
    expected = {
        "generator": torch.autograd.grad(whole, list(G.parameters()), retain_graph=True),
        "discriminator": torch.autograd.grad(judged, list(D.parameters())),
    }
    if training == "joint":  # by Eq. 3 alone: T must not learn to look away from the difference of its features
        expected["task"] = torch.autograd.grad(squared, list(T.parameters()))
    assert found.keys() == expected.keys()
    for name, theirs in expected.items():
        for ours, wanted in zip(found[name], theirs, strict=True):
            torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-7)


def test_l1_builds_neither_d_nor_t_and_gan_no_t(recipe: Make) -> None:
    for objective, there in {"l1": {"generator"}, "gan": {"generator", "discriminator"}}.items():
        players, _ = players_of(recipe(objective=objective))
        assert set(players.by_name()) == set(players.weights) == there


def test_all_objectives_start_from_the_same_weights_and_draw_the_same_z(recipe: Make) -> None:
    pixel = []
    for objective in ("l1", "gan", "task_gan"):
        players, fabric = players_of(recipe(objective=objective, generator__dropout=0.5))
        torch.manual_seed(3)
        pixel.append(train_step(players, a_batch(), recipe(objective=objective), fabric).losses["pixel"])
    assert pixel[0] == pixel[1] == pixel[2]


def test_a_frozen_t_stays_and_a_joint_t_keeps_its_batch_statistics(recipe: Make) -> None:
    for training in ("frozen", "joint"):
        before, after = one_step(recipe(objective="task_gan", task__training=training))
        assert torch.equal(flat(before.tasks["task"]), flat(after.tasks["task"])) == (training == "frozen")
        statistics = [dict(network.named_buffers()) for network in (before.tasks["task"], after.tasks["task"])]
        assert statistics[0]
        assert all(torch.equal(statistics[0][name], statistics[1][name]) for name in statistics[0])
        assert not after.tasks["task"].training


def test_batch_norm_in_d_does_not_remove_what_eq_2_measures(recipe: Make) -> None:
    """Twice as bright images have other features, also where every layer of D is normalised."""
    asked = recipe(objective="gan", discriminator__norm="batch", generator__residual=True)
    players, fabric = players_of(asked)
    x = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    nn.init.zeros_(players.generator.last.weight)
    same = train_step(players, Batch(x, x, torch.zeros(4)), asked, fabric).losses["adversarial"]
    players, fabric = players_of(asked)
    nn.init.zeros_(players.generator.last.weight)
    brighter = train_step(players, Batch(2 * x, x, torch.zeros(4)), asked, fabric).losses["adversarial"]
    assert same < 1e-10
    assert brighter > 1e-3


def test_a_conditional_d_sees_the_degraded_image(recipe: Make) -> None:
    asked = recipe(objective="gan", discriminator__conditional=True)
    players, fabric = players_of(asked)
    seen: list[Tensor] = []
    assert players.discriminator is not None
    players.discriminator.register_forward_pre_hook(lambda module, images: seen.append(images[0]))
    batch = a_batch()
    train_step(players, batch, asked, fabric)
    assert all(torch.equal(images[:, 1:], batch.inputs) for images in seen)
    assert torch.equal(seen[0][:, :1], batch.clean)


def test_gradients_are_clipped_network_by_network(recipe: Make) -> None:
    asked = recipe(objective="gan", optimiser__clip=1e-4)
    players, fabric = players_of(asked)
    train_step(players, a_batch(), asked, fabric)
    for weights in players.weights.values():
        norm = torch.cat([p.grad.flatten() for p in weights if p.grad is not None]).norm()
        assert norm <= 1.01e-4


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_a_step_lowers_the_loss_in_either_precision(recipe: Make, precision: str) -> None:
    asked = recipe(objective="l1", optimiser__lr=1e-2, generator__dropout=0.0)
    fabric = start_fabric(asked.machine, precision)
    players = build_networks(asked, {}, fabric, MachineChoice(precision, True, False))
    losses = [float(train_step(players, a_batch(), asked, fabric).losses["pixel"]) for _ in range(30)]
    assert losses[-1] < 0.7 * losses[0]
