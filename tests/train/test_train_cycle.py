"""CycleGAN's step against its equations, written out by hand."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from small_steps import a_batch, flat, gradients, one_step, players_of
from taskgan.cohort.dataset import Batch
from taskgan.recipe import Recipe
from taskgan.train.devices import MachineChoice, start_fabric
from taskgan.train.networks import Networks, build_networks
from taskgan.train.step import cycle_step

Make = Callable[..., Recipe]
NAMES = {"generator", "discriminator", "degrader", "degraded_discriminator"}


def networks(players: Networks) -> tuple[nn.Module, ...]:
    assert players.cycle is not None
    assert players.discriminator is not None
    return players.generator, players.cycle.generator, players.discriminator, players.cycle.discriminator


@pytest.mark.parametrize("identity", [0.0, 2.5])
@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_gradients_are_those_of_the_equations(recipe: Make, identity: float, norm: str) -> None:
    asked = recipe(
        objective="cycle_gan",
        cycle={"weight": 7.0, "identity": identity},
        loss__discriminator="least_squares",
        generator__dropout=0.0,
        discriminator__norm=norm,
    )
    found, before, losses = gradients(asked)
    x_degraded, x, _ = a_batch()[:3]
    G, F, D_clean, D_degraded = networks(before)

    def seen(D: nn.Module, real: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
        """With batch norm, real and generated images share their statistics."""
        if norm == "batch":
            both: Tensor = D(torch.cat([real, made]))[0]
            return both[: len(real)], both[len(real) :]
        return D(real)[0], D(made)[0]

    restored, degraded = G(x_degraded), F(x)
    cycle = (F(restored) - x_degraded).abs().mean() + (G(degraded) - x).abs().mean()
    same = (G(x) - x).abs().mean() + (F(x_degraded) - x_degraded).abs().mean()
    adversarial = ((seen(D_clean, x, restored)[1] - 1) ** 2).mean()
    adversarial_degraded = ((seen(D_degraded, x_degraded, degraded)[1] - 1) ** 2).mean()
    whole = adversarial + adversarial_degraded + 7 * cycle + identity * same

    def judged(D: nn.Module, real: Tensor, made: Tensor) -> Tensor:
        one, other = seen(D, real, made.detach())
        return 0.5 * ((one - 1) ** 2 + other**2).mean()

    by_clean, by_degraded = judged(D_clean, x, restored), judged(D_degraded, x_degraded, degraded)
    wanted = {
        "adversarial": adversarial, "adversarial_degraded": adversarial_degraded, "cycle": cycle, "total": whole,
        "discriminator": by_clean, "discriminator_degraded": by_degraded, **({"identity": same} if identity else {}),
    }  # fmt: skip
    assert losses.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(losses[name], value.detach(), msg=lambda text, name=name: f"{name}: {text}")
    expected = {
        "generator": torch.autograd.grad(whole, list(G.parameters()), retain_graph=True),
        "degrader": torch.autograd.grad(whole, list(F.parameters())),
        "discriminator": torch.autograd.grad(by_clean, list(D_clean.parameters())),
        "degraded_discriminator": torch.autograd.grad(by_degraded, list(D_degraded.parameters())),
    }
    assert found.keys() == expected.keys() == NAMES
    for name, theirs in expected.items():
        for ours, by_hand in zip(found[name], theirs, strict=True):
            torch.testing.assert_close(ours, by_hand, rtol=1e-4, atol=1e-6)


def test_no_gradient_of_the_generators_reaches_a_d(recipe: Make) -> None:
    """However much the cycle weighs, both D make the same step."""
    first, other = (
        networks(one_step(recipe(objective="cycle_gan", cycle={"weight": weight}))[1]) for weight in (1, 50)
    )
    assert not torch.equal(flat(first[0]), flat(other[0]))
    assert torch.equal(flat(first[2]), flat(other[2]))
    assert torch.equal(flat(first[3]), flat(other[3]))


def test_no_gradient_of_a_d_reaches_the_generators(recipe: Make) -> None:
    """Label smoothing is a matter of D's loss alone."""
    first, other = (
        networks(one_step(recipe(objective="cycle_gan", loss__label_smoothing=smoothing))[1])
        for smoothing in (0.0, 0.4)
    )
    assert torch.equal(flat(first[0]), flat(other[0]))
    assert torch.equal(flat(first[1]), flat(other[1]))
    assert not torch.equal(flat(first[2]), flat(other[2]))
    assert not torch.equal(flat(first[3]), flat(other[3]))


def test_g_starts_as_that_of_l1_and_the_others_are_not_its_copies(recipe: Make) -> None:
    ours, _ = players_of(recipe(objective="cycle_gan"))
    alone, _ = players_of(recipe(objective="l1"))
    rival, _ = players_of(recipe(objective="gan"))
    G, F, D_clean, D_degraded = networks(ours)
    assert torch.equal(flat(G), flat(alone.generator))
    assert torch.equal(flat(D_clean), flat(rival.discriminator))
    assert not torch.equal(flat(G), flat(F))
    assert not torch.equal(flat(D_clean), flat(D_degraded))
    assert set(ours.by_name()) == set(ours.weights) == NAMES
    assert [group["name"] for group in rival.optimiser.param_groups] == ["generator", "discriminator"]


def test_lambda_mu_and_t_play_no_part(recipe: Make) -> None:
    asked = recipe(objective="cycle_gan", loss__lambda_gan=0.0, loss__mu_task=3.0, task__features=1.0)
    assert not asked.taught_by
    one, other = (one_step(r)[1] for r in (asked, recipe(objective="cycle_gan")))
    assert torch.equal(flat(one.generator), flat(other.generator))


def test_d_learns_from_earlier_images_once_there_are_some(recipe: Make) -> None:
    asked = recipe(objective="cycle_gan", cycle={"buffer": 4})
    players, fabric = players_of(asked)
    seen: list[Tensor] = []
    assert players.discriminator is not None
    players.discriminator.register_forward_pre_hook(lambda module, images: seen.append(images[0]))
    made: list[Tensor] = []
    for _ in range(4):
        seen.clear()
        made.append(cycle_step(players, a_batch(), asked, fabric).restored)
        newest, real, judged = seen
        assert torch.equal(newest, made[-1])
        assert torch.equal(real, a_batch().clean)
        earlier = torch.cat(made[:-1]) if made[:-1] else judged[:0]
        known = torch.cat([earlier, made[-1]])
        assert all(any(torch.equal(image, one) for one in known) for image in judged)
    assert any(not torch.equal(image, new) for image, new in zip(judged, made[-1], strict=True))
    assert all(len(history.state_dict()["kept"]) == 4 for history in players.image_buffers().values())


def test_neighbours_are_degraded_one_by_one_and_further_inputs_stay(recipe: Make) -> None:
    asked = recipe(objective="cycle_gan", data={"inputs": ["degraded", "t1"], "neighbours": 1}, generator__dropout=0.0)
    players, fabric = players_of(asked)
    before = copy.deepcopy(players)
    draw = torch.Generator().manual_seed(0)
    inputs, clean = (torch.rand(2, 6, 16, 16, generator=draw) for _ in range(2))
    shown: list[Tensor] = []
    players.generator.register_forward_pre_hook(lambda module, images: shown.append(images[0].detach()))
    cycle_step(players, Batch(inputs, clean, torch.zeros(2)), asked, fabric)
    forward, returning, same = shown
    assert torch.equal(forward, inputs)
    assert torch.equal(same, clean)
    assert torch.equal(returning[:, 1::2], clean[:, 1::2])  # the T1 images of the clean samples
    assert before.cycle is not None
    for channel in (0, 2, 4):
        wanted = before.cycle.generator(clean[:, channel : channel + 1])
        torch.testing.assert_close(returning[:, channel : channel + 1], wanted)


def test_statistics_of_gs_batch_norms_are_those_of_degraded_images_alone(recipe: Make) -> None:
    """They are what restores: neither clean images nor F's may move them."""
    asked = recipe(objective="cycle_gan", generator__norm="batch")
    batch = a_batch()
    brighter = batch._replace(clean=5 * batch.clean)
    buffers = []
    for one in (batch, brighter):
        players, fabric = players_of(asked)
        start = copy.deepcopy(dict(players.generator.named_buffers()))
        torch.manual_seed(0)
        cycle_step(players, one, asked, fabric)
        buffers.append(dict(players.generator.named_buffers()))
    assert start
    assert all(torch.equal(buffers[0][name], buffers[1][name]) for name in start)
    assert any(not torch.equal(buffers[0][name], start[name]) for name in start)
    assert all(m.track_running_stats for m in players.generator.modules() if isinstance(m, nn.BatchNorm2d))


def test_gradients_are_clipped_network_by_network(recipe: Make) -> None:
    asked = recipe(objective="cycle_gan", optimiser__clip=1e-4)
    players, fabric = players_of(asked)
    cycle_step(players, a_batch(), asked, fabric)
    for weights in players.weights.values():
        norm = torch.cat([p.grad.flatten() for p in weights if p.grad is not None]).norm()
        assert 0 < norm <= 1.01e-4


@pytest.mark.parametrize("form", ["bce", "hinge", "least_squares"])
@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_some_steps_lower_the_cycle_loss(recipe: Make, precision: str, form: str) -> None:
    asked = recipe(objective="cycle_gan", optimiser__lr=1e-2, generator__dropout=0.0, loss__discriminator=form)
    fabric = start_fabric(asked.machine, precision)
    players = build_networks(asked, {}, fabric, MachineChoice(precision, True, False))
    losses = [float(cycle_step(players, a_batch(), asked, fabric).losses["cycle"]) for _ in range(40)]
    assert losses[-1] < 0.7 * losses[0]


def test_a_conditional_d_has_no_pairs_to_see(recipe: Make) -> None:
    from taskgan.core.errors import Problems

    with pytest.raises(Problems, match="cycle_gan has no such pairs, expected false"):
        recipe(objective="cycle_gan", discriminator__conditional=True)
    assert recipe(objective="gan", discriminator__conditional=True).discriminator.conditional
