"""A task network that does not learn is no part of a checkpoint; that it is the same one is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from taskgan.core.errors import UserError
from taskgan.judges.recogniser import build
from taskgan.recipe import Recipe
from taskgan.train import run as room
from taskgan.train import session
from taskgan.train.folder import CHECKPOINT, weights_checksum
from taskgan.train.run import train

Make = Callable[..., Recipe]


class Killed(BaseException):
    """Nobody catches it."""


@pytest.fixture
def begun(recipe: Make, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Recipe, Path]:
    """A run that was killed right after its first checkpoint."""
    save = session.save_checkpoint

    def dying(folder: Path, state: dict[str, Any]) -> None:
        save(folder, state)
        raise Killed

    asked = recipe(objective="task_gan")
    with monkeypatch.context() as patched:
        patched.setattr(session, "save_checkpoint", dying)
        with pytest.raises(Killed):
            train(asked, cohort, tmp_path / "run")
    return asked, tmp_path / "run"


def test_a_frozen_t_is_kept_by_its_checksum_and_a_joint_one_whole(
    begun: tuple[Recipe, Path], recipe: Make, cohort: Path, tmp_path: Path
) -> None:
    state = torch.load(begun[1] / CHECKPOINT, weights_only=True)
    assert set(state["networks"]) == {"generator", "discriminator"}
    assert set(state["frozen"]) == {"task"}
    train(recipe(objective="task_gan", task__training="joint"), cohort, tmp_path / "joint")
    state = torch.load(tmp_path / "joint" / CHECKPOINT, weights_only=True)
    assert set(state["networks"]) == {"generator", "discriminator", "task"}
    assert state["frozen"] == {}


def test_another_t_is_refused_and_nothing_is_lost(
    begun: tuple[Recipe, Path], cohort: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, run = begun
    before = (run / CHECKPOINT).read_bytes()
    monkeypatch.setattr(room, "_task_networks", lambda *_: {"task": build(asked.task.pretrain)})
    with pytest.raises(UserError, match="the task network is another than the one that .*run began with"):
        train(asked, cohort, run)
    assert (run / CHECKPOINT).read_bytes() == before


def test_a_mark_is_of_the_weights_alone() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    mark = weights_checksum(network)
    assert weights_checksum(network.to(memory_format=torch.channels_last)) == mark  # type: ignore[call-overload]
    with torch.no_grad():
        network[0].weight[0, 0, 0, 0] += 1e-6
    assert weights_checksum(network) != mark
