"""T that answers once a block, and D that judges blocks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from small_steps import flat, players_of
from taskgan.cohort.dataset import Batch
from taskgan.core.errors import UserError
from taskgan.networks.discriminator import VolumeDiscriminator
from taskgan.recipe import Recipe
from taskgan.train.run import train
from taskgan.train.step import at_level, task_step, train_step

Make = Callable[..., Recipe]
VOLUME: dict[str, Any] = {
    "objective": "task_gan",
    "generator": {"dimensions": 3, "width": 3, "max_width": 4, "residual": 4},
    "data__context": [4],
    "data__patch": [12, 10, 3],
}


def blocks(depth: int, size: int = 16) -> Batch:
    draw = torch.Generator().manual_seed(1)
    images = torch.rand(2, 3, depth, size, size, generator=draw)
    return Batch(images[:, :2], images[:, 2:], torch.tensor([0.0, 1.0]))


def losses(recipe: Recipe, batch: Batch) -> dict[str, torch.Tensor]:
    players, fabric = players_of(recipe)
    return train_step(players, batch, recipe, fabric).losses


@pytest.mark.parametrize("training", ["frozen", "joint"])
def test_a_block_of_one_slice_is_a_slice(recipe: Make, training: str) -> None:
    by_slice, volume = (
        losses(recipe(**VOLUME, task__training=training, task__level=level), blocks(1)) for level in ("slice", "volume")
    )
    assert by_slice.keys() == volume.keys()
    assert all(torch.equal(by_slice[name], volume[name]) for name in by_slice)


def test_eq_3_is_of_the_mean_logit_of_a_block(recipe: Make) -> None:
    wanted = recipe(**VOLUME, task__level="volume")
    players, fabric = players_of(wanted)
    batch, T = blocks(4), players.tasks["task"]
    with torch.no_grad():
        restored = players.restore(batch.inputs)
        logits = torch.stack([T(restored[:, :, k])[0][:, 0] for k in range(4)], dim=1)
    expected = (logits.mean(dim=1).sigmoid() - batch.label).square().mean()
    found = train_step(players, batch, wanted, fabric).losses["task"]
    torch.testing.assert_close(found, expected)
    assert not torch.isclose(found, losses(recipe(**VOLUME), batch)["task"])


def test_the_gradient_of_one_answer_reaches_every_slice(recipe: Make) -> None:
    wanted = recipe(**VOLUME, task__level="volume")
    players, _ = players_of(wanted)
    x = torch.rand(2 * 4, 1, 16, 16, requires_grad=True)
    at_level(wanted.task, players.tasks["task"](x)[0], 2)[0].sum().backward()
    assert x.grad is not None
    reached = x.grad.abs().flatten(1).sum(dim=1) > 0
    assert reached.tolist() == [True] * 4 + [False] * 4  # of the first block, and of no other


def test_a_t_that_learns_alone_learns_by_volumes(recipe: Make) -> None:
    wanted = recipe(**VOLUME, task__level="volume", task__training="joint")
    players, fabric = players_of(wanted)
    batch, T = blocks(4), players.tasks["task"].train()
    logits = T(batch.by_slice().clean)[0][:, 0].unflatten(0, (2, 4)).mean(dim=1).detach()
    again, _ = players_of(wanted)
    found = task_step(again.with_learners(["task"]), batch, wanted, fabric).losses["task"]
    torch.testing.assert_close(found, (logits.sigmoid() - batch.label).square().mean())


@pytest.mark.parametrize("norm", ["none", "batch", "instance", "group"])
@pytest.mark.parametrize("depth", [1, 5])
def test_a_d_of_volumes_judges_patches_whatever_the_number_of_slices(norm: Any, depth: int) -> None:
    network = VolumeDiscriminator(in_channels=1, widths=(4, 8), norm=norm)
    x = torch.rand(2, 1, depth, 16, 12, requires_grad=True)
    logits, features = network(x)
    assert logits.shape == (2, -(-depth // 4) * 4 * 3)
    assert [f.shape[:2] for f in features] == [(2, 4), (2, 8)]
    logits.sum().backward()
    assert x.grad is not None
    assert (x.grad.abs().sum(dim=(0, 1, 3, 4)) > 0).all() or norm in ("batch", "instance")  # whose sums cancel


@pytest.mark.parametrize("conditional", [False, True])
def test_a_d_of_volumes_learns_and_teaches_g(recipe: Make, conditional: bool) -> None:
    wanted = recipe(**VOLUME, discriminator__dimensions=3, discriminator__conditional=conditional)
    players, fabric = players_of(wanted)
    assert isinstance(players.discriminator, VolumeDiscriminator)
    before = [flat(one) for one in (players.discriminator, players.generator)]
    found = train_step(players, blocks(4), wanted, fabric).losses
    after = [flat(one) for one in (players.discriminator, players.generator)]
    assert all(not torch.equal(*pair) for pair in zip(before, after, strict=True))
    assert float(found["adversarial"]) > 0


def test_a_run_at_the_level_of_volumes_ends_with_a_model(recipe: Make, cohort: Path, tmp_path: Path) -> None:
    wanted = recipe(**VOLUME, task__level="volume", discriminator__dimensions=3, optimiser__steps=2)
    model = train(wanted, cohort, tmp_path / "run")
    assert (model / "model.yaml").is_file()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"task__level": "volume"}, "task.level is volume .*expected generator.dimensions 3"),
        ({"discriminator__dimensions": 3}, "discriminator.dimensions is 3, expected 2, or generator.dimensions 3"),
        (
            {**VOLUME, "task__kind": "embedding", "task__labels": ["subject"], "task__level": "volume"},
            "which has no one answer a volume",
        ),
    ],
)
def test_levels_that_do_not_fit_are_refused(recipe: Make, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        recipe(**changes)
