"""Killed at any moment and called again, a run ends as if it had never stopped."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from run_contents import contents, same
from taskgan.core.artefact import verify
from taskgan.core.errors import UserError
from taskgan.core.lock import locked
from taskgan.recipe import Recipe, dump_recipe
from taskgan.train.run import train

Make = Callable[..., Recipe]

TWO = [
    {"training": "joint", "pretrain": {"network": "resnet10", "width": 4, "steps": 10}},
    {"name": "grade", "kind": "multi_class", "features": 0.1, "pretrain": {"network": "patch", "width": 2, "steps": 5}},
]
SCRIPT = """
import sys
from pathlib import Path
from taskgan.recipe import read_recipe
from taskgan.train.run import train
train(read_recipe(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
"""


def start(recipe: Path, cohort: Path, run: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(recipe), str(cohort), str(run)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def rows(run: Path) -> int:
    path = run / "metrics.csv"
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.mark.parametrize(
    "changes",
    [
        {"objective": "task_gan", "task__training": "joint"},
        {"objective": "cycle_gan", "cycle": {"buffer": 10}},  # full before the first kill
        {"objective": "task_gan", "task": TWO, "loss__coarse": [4], "generator__upsample": "bilinear"},
    ],
    ids=["task_gan", "cycle_gan", "two tasks"],
)
def test_killed_twice_at_random_moments_equals_uninterrupted(
    recipe: Make, cohort: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    asked = recipe(
        **changes,
        generator__norm="batch",
        discriminator__norm="batch",
        optimiser__steps=60,
        optimiser__warmup=10,
        validation__every=10,
        validation__save_every=7,
    )
    train(asked, cohort, tmp_path / "whole")
    written = tmp_path / "recipe.yaml"
    written.write_text(yaml.safe_dump(dump_recipe(asked)))
    killed = tmp_path / "killed"
    chance = random.Random()  # a real one: any moment must do
    moments = []
    for goal in (3, 12):
        process = start(written, cohort, killed)
        while process.poll() is None and rows(killed) < goal:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
        moments.append(rows(killed))
    assert start(written, cohort, killed).wait(timeout=600) == 0
    assert same(contents(tmp_path / "whole"), contents(killed)), f"killed after {moments} rows"
    assert not list(killed.glob(".*"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_a_checkpoint_and_the_run_ends_as_if_it_had_not_come(
    recipe: Make, cohort: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """Also in the middle of a row of ``metrics.csv``, whose first steps go with the checkpoint."""
    asked = recipe(objective="gan", optimiser__steps=200, validation__every=200, validation__save_every=200)
    train(asked, cohort, tmp_path / "whole")
    written = tmp_path / "recipe.yaml"
    written.write_text(yaml.safe_dump(dump_recipe(asked)))
    run = tmp_path / "run"
    words = [sys.executable, "-m", "taskgan", "train", str(written), str(cohort), str(run)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while process.poll() is None and rows(run) < 4:
        time.sleep(0.002)
    process.send_signal(number)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == code, said
    assert f"of 200; {run / 'last.ckpt'} is saved, the same command goes on from there" in said
    train(asked, cohort, run)
    assert same(contents(tmp_path / "whole"), contents(run))


def test_a_second_process_is_refused_and_a_finished_run_is_checked(recipe: Make, cohort: Path, tmp_path: Path) -> None:
    asked, other = recipe(), recipe(seed=5)
    with locked(tmp_path / "held"):
        words = [sys.executable, "-m", "taskgan", "train", "pet-demo", str(cohort), str(tmp_path / "held")]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"is in use by process {os.getpid()} on" in done.stderr
    train(asked, cohort, tmp_path / "run")
    assert verify(tmp_path / "run") == (2, [])  # the run's record and the model's card
    with (tmp_path / "run" / "metrics.csv").open("a") as handle:
        handle.write("99\n")
    with pytest.raises(UserError, match=r"metrics\.csv was changed since the run finished"):
        train(asked, cohort, tmp_path / "run")
    with pytest.raises(UserError, match="another recipe"):
        train(other, cohort, tmp_path / "run")


@pytest.mark.parametrize("when", ["before the model", "after the model", "after the row", "in the checkpoint"])
def test_a_kill_between_any_two_writes_of_a_look_does_no_harm(
    recipe: Make, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """The moments that a random kill rarely hits: between model, row and checkpoint of one look."""
    asked = recipe(objective="gan")
    train(asked, cohort, tmp_path / "whole")
    places = {
        "before the model": ("taskgan.train.loop.write_model", False),
        "after the model": ("taskgan.train.loop.write_model", True),
        "after the row": ("taskgan.train.metrics.MetricsLogger.log_row", True),
        "in the checkpoint": ("torch.save", False),
    }
    target, afterwards = places[when]
    module, _, name = target.rpartition(".")
    owner = __import__("importlib").import_module(module) if "MetricsLogger" not in module else None
    if owner is None:
        from taskgan.train.metrics import MetricsLogger

        owner = MetricsLogger
    real, calls = getattr(owner, name), 0

    def killed(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls != 2:
            return real(*arguments, **named)
        if afterwards:
            real(*arguments, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, killed)
        with pytest.raises(KeyboardInterrupt):
            train(asked, cohort, tmp_path / "run")
    assert torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["standing"]["done"] == 5
    train(asked, cohort, tmp_path / "run")
    assert same(contents(tmp_path / "whole"), contents(tmp_path / "run"))


def test_workers_and_tensorboard_do_not_change_a_bit(
    recipe: Make, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(recipe(objective="gan"), cohort, tmp_path / "alone")
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    train(recipe(objective="gan", data__workers=2), cohort, tmp_path / "helped")
    alone, helped = contents(tmp_path / "alone"), contents(tmp_path / "helped")
    assert same(alone["checkpoint"], helped["checkpoint"])
    assert alone["weights"] == helped["weights"]


def test_objectives_see_the_same_slices_and_start_alike(recipe: Make, cohort: Path, tmp_path: Path) -> None:
    """With λ = μ = 0 in effect, gan and task_gan walk the very path of l1 (cycle_gan: tests/cohort)."""
    pixels = []
    for objective in ("l1", "gan", "task_gan"):
        asked = recipe(objective=objective, loss__lambda_gan=1e-30, loss__mu_task=1e-30)
        train(asked, cohort, tmp_path / objective)
        lines = (tmp_path / objective / "metrics.csv").read_text().splitlines()
        pixels.append([line.split(",")[2] for line in lines])
    assert pixels[0] == pixels[1] == pixels[2]
