"""Two processes that share a batch make the step of one that has it all, and stop together."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import yaml

import taskgan
from taskgan.recipe import Recipe, dump_recipe
from taskgan.train.metrics import read_metrics
from taskgan.train.run import train

SCRIPT = """
import sys, torch
from pathlib import Path
from taskgan.recipe import read_recipe
from taskgan.train.run import train
torch.set_num_threads(1)
train(read_recipe(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
"""


def a_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def environment() -> dict[str, str]:
    """Of the first of two processes on a CPU."""
    own = {"OMP_NUM_THREADS": "1", "MASTER_PORT": a_port(), "MASTER_ADDR": "127.0.0.1", "CUDA_VISIBLE_DEVICES": ""}
    return {**os.environ, **own, "PYTHONPATH": str(Path(taskgan.__file__).parents[1])}


@pytest.mark.parametrize(
    "changes",
    [
        {
            "objective": "task_gan",
            "task": [
                {"features": 0.1, "pretrain": {"network": "resnet10", "width": 4, "steps": 10}},
                {"name": "other", "kind": "multi_class", "pretrain": {"network": "patch", "width": 2, "steps": 5}},
            ],
            "discriminator__norm": "instance",
        },
        # The history is full after the second step. Instance norm would blow rounding up here, see below.
        {"objective": "cycle_gan", "cycle": {"buffer": 6}, "discriminator__norm": "group"},
    ],
    ids=["task_gan", "cycle_gan"],
)
def test_two_ranks_equal_one(
    recipe: Callable[..., Recipe], cohort: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    asked = recipe(
        **changes,
        # Near-constant first outputs would go through D's instance norm, which blows rounding up 300-fold.
        generator__residual=True,
        generator__norm="group",
        generator__dropout=0.0,  # each device draws its own z
        loss__lambda_gan=1.0,
        optimiser__steps=6,
        validation__every=3,
        validation__save_every=3,
    )
    train(asked, cohort, tmp_path / "one")
    pair = asked.model_copy(update={"machine": asked.machine.model_copy(update={"devices": 2})})
    written = tmp_path / "recipe.yaml"
    written.write_text(yaml.safe_dump(dump_recipe(pair)))
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), str(written), str(cohort), str(tmp_path / "two")],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = (torch.load(tmp_path / name / "last.ckpt", weights_only=True) for name in ("one", "two"))
    assert two["standing"]["done"] == 6
    assert one["networks"].keys() == two["networks"].keys() >= {"generator", "discriminator"}
    for network, weights in one["networks"].items():
        for name, value in weights.items():
            torch.testing.assert_close(two["networks"][network][name], value, rtol=0, atol=1e-5)
    for name, history in one["histories"].items():  # that of the whole batch, on every device
        assert history["seen"] == two["histories"][name]["seen"] == 24
        torch.testing.assert_close(two["histories"][name]["kept"], history["kept"], rtol=0, atol=1e-5)
    rows = [read_metrics(tmp_path / name / "metrics.csv") for name in ("one", "two")]
    assert len(rows[0]) == len(rows[1]) == 2
    for ours, theirs in zip(*rows, strict=True):
        for column in set(ours) - {"spread"}:  # a standard deviation of half a batch is another figure
            a, b = ours[column], theirs[column]
            assert (a == b == "") or float(a) == pytest.approx(float(b), rel=1e-3, abs=1e-5), column
    assert done.stdout.count("is finished") == 1


def _start(recipe: Path, cohort: Path, run: Path) -> subprocess.Popen[str]:
    """``taskgan train`` in a process group of its own."""
    command = [sys.executable, "-m", "taskgan", "train", str(recipe), str(cohort), str(run)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=run.parent, env=environment(), start_new_session=True, **pipes)


def _group(first: int) -> dict[int, str]:
    """The processes of a group that are alive: their command lines by number."""
    alive = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == first and fields[0] != "Z":
                alive[int(path.name)] = (path / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return alive


def _when(true: Callable[[], object]) -> None:
    end = time.monotonic() + 120
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    assert true()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize(
    ("whom", "when"),
    [
        ("first", "steps"),
        pytest.param("all", "steps", marks=pytest.mark.slow),
        pytest.param("second", "steps", marks=pytest.mark.slow),
        pytest.param("first", "start", marks=pytest.mark.slow),
        pytest.param("all", "start", marks=pytest.mark.slow),
    ],
)
def test_two_ranks_stop_together_and_go_on_to_the_same_bytes(
    recipe: Callable[..., Recipe], cohort: Path, tmp_path: Path, whom: str, when: str
) -> None:
    asked = recipe(optimiser__steps=60, validation__every=30, validation__save_every=10, task__training="joint")
    pair = asked.model_copy(update={"machine": asked.machine.model_copy(update={"devices": 2})})
    written = tmp_path / "recipe.yaml"
    written.write_text(yaml.safe_dump(dump_recipe(pair)))
    whole, run = tmp_path / "whole", tmp_path / "run"
    said, _ = _start(written, cohort, whole).communicate(timeout=300)
    assert "is finished after 60 steps" in said

    process = _start(written, cohort, run)
    _when(lambda: (run / "last.ckpt").exists() if when == "steps" else len(_group(process.pid)) > 1)
    others = [number for number in _group(process.pid) if number != process.pid]
    for number in {"first": [process.pid], "second": others[:1], "all": [process.pid, *others]}[whom]:
        os.kill(number, signal.SIGTERM)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 143, said[-2000:]
    assert said.count("ended by SIGTERM") == 1
    assert "Traceback" not in said
    assert ("is saved, the same command goes on" in said) == (when == "steps")
    _when(lambda: not _group(process.pid))
    assert not list(tmp_path.rglob("taskgan-crash-*"))

    said, _ = _start(written, cohort, run).communicate(timeout=300)
    assert "is finished after 60 steps" in said
    for name in ("model/generator.safetensors", "model/model.yaml", "metrics.csv"):
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.mark.slow
def test_four_ranks_equal_one_also_after_one_of_them_was_killed(
    recipe: Callable[..., Recipe], cohort: Path, tmp_path: Path
) -> None:
    asked = recipe(
        objective="l1",
        generator__residual=True,
        generator__norm="group",
        generator__dropout=0.0,
        optimiser__steps=40,
        optimiser__batch_size=4,
        validation__every=20,
        validation__save_every=4,
    )
    train(asked, cohort, tmp_path / "one")
    several = asked.model_copy(update={"machine": asked.machine.model_copy(update={"devices": 4})})
    written = tmp_path / "recipe.yaml"
    written.write_text(yaml.safe_dump(dump_recipe(several)))
    (tmp_path / "script.py").write_text(SCRIPT)
    out = tmp_path / "four"
    words = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "4", "--master-port", a_port()]
    words += [str(tmp_path / "script.py"), str(written), str(cohort), str(out)]
    began = subprocess.Popen(words, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not (out / "last.ckpt").is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    ranks = psutil.Process(began.pid).children(recursive=True)
    last = next(one for one in ranks if one.environ().get("RANK") == "3")
    last.kill()
    assert began.wait(120) != 0  # torchrun ends the others
    assert torch.load(out / "last.ckpt", weights_only=True)["standing"]["done"] < 40
    subprocess.run(words, env=environment(), check=True, capture_output=True, timeout=600)
    one, four = (torch.load(place / "last.ckpt", weights_only=True) for place in (tmp_path / "one", out))
    assert four["standing"]["done"] == 40
    for name, value in one["networks"]["generator"].items():
        torch.testing.assert_close(four["networks"]["generator"][name], value, rtol=0, atol=1e-4)
