"""One process at a time, and the second is told who the first is."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taskgan.core.errors import UserError
from taskgan.core.files import LOCK, previous_folder
from taskgan.core.lock import exclusive, locked

_HOLDER = """
import sys, time
from pathlib import Path
from taskgan.core.lock import locked
with locked(Path(sys.argv[1])):
    (Path(sys.argv[1]) / "work").write_text("")
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(folder: Path, how: str = "") -> subprocess.Popen[str]:
    """Another process that holds the lock of a folder until its input is closed."""
    script = _HOLDER.replace("(Path(sys.argv[1]))", f"(Path(sys.argv[1]), {how})", 1)
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    return other


def test_the_second_is_told_who_holds_it_and_the_dead_hold_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    other = hold(out)
    said = rf"out is in use by process {other.pid} on {platform.node()} since .*; wait until"
    with pytest.raises(UserError, match=said), locked(out):
        pass
    other.kill()
    other.communicate()
    assert (out / LOCK).is_file()  # what a killed process leaves
    with locked(out):
        assert json.loads((out / LOCK).read_text())["pid"] == os.getpid()
    assert [p.name for p in out.iterdir()] == ["work"]


def test_who_waits_gets_it_afterwards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = hold(tmp_path)
    script = _HOLDER.replace("(Path(sys.argv[1]))", "(Path(sys.argv[1]), wait=True)", 1)
    waiting = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    assert waiting.stdout is not None
    assert "waiting for" in waiting.stdout.readline()
    other.communicate()
    assert waiting.communicate()[0] == "held\n"
    assert waiting.returncode == 0


def test_a_process_may_take_its_own_lock_again_and_litter_is_removed_under_it(tmp_path: Path) -> None:
    old = tmp_path / "deep" / ".partial-abcdefgh.nii.gz"
    living = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    ours = _named_by(living.pid)
    old.parent.mkdir()
    for name in (old, tmp_path / ours):
        name.write_text("")
    replaced, moved = tmp_path / "run" / ".model.previous", tmp_path / "run" / ".other.previous"
    for place in (replaced, moved, tmp_path / "run" / "model"):
        place.mkdir(parents=True)
    with locked(tmp_path), locked(tmp_path):
        assert not old.exists()
        assert not replaced.exists()
        assert moved.exists()  # killed between the two moves: it is the only one
        assert (tmp_path / ours).exists()  # a living neighbour's
    living.communicate(b"\n")
    with locked(tmp_path):
        assert not (tmp_path / ours).exists()
    with locked(moved, beside=True):
        assert moved.exists()
    aside = previous_folder(tmp_path / "run" / "model")
    aside.mkdir()
    with locked(tmp_path / "run" / "model", beside=True):
        assert not aside.exists()


def _named_by(pid: int) -> str:
    from taskgan.core.files import _host

    return f".partial-{_host()}-{pid}-0a1b2c3d.csv"


def test_a_lock_leaves_no_folder_behind_where_nothing_was_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no"), locked(tmp_path / "a" / "b"):
        raise UserError("no")
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path / "c" / "file.nii.gz", beside=True):
        assert [p.name for p in (tmp_path / "c").iterdir()] == [".file.nii.gz.lock"]
    assert list(tmp_path.iterdir()) == []


def test_a_verb_holds_the_lock_of_its_output(tmp_path: Path) -> None:
    @exclusive("out", "the work")
    def verb(source: str, out: Path, *, more: int = 0) -> int:
        assert (out / LOCK).is_file()
        return more

    assert verb("x", tmp_path / "y", more=3) == 3
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file is a file, expected a folder to write the work to"):
        verb("x", out=tmp_path / "file")


def verbs() -> dict[str, Callable[[Path], object]]:
    """What writes, each with the least that brings it to its lock."""
    from taskgan.audit.run import audit
    from taskgan.demo.driver import run_demo
    from taskgan.evaluate.run import evaluate
    from taskgan.prepare.folder import prepare_folder
    from taskgan.prepare.lfw import prepare_lfw
    from taskgan.recipe import Recipe
    from taskgan.report.run import compare
    from taskgan.simulate.mr.cohort import simulate_mr
    from taskgan.simulate.pet.cohort import simulate_pet
    from taskgan.train.run import train

    none: Any = None
    return {
        "train": lambda out: train(Recipe(), out / "no cohort", out),
        "evaluate": lambda out: evaluate(out, out, out),
        "compare": lambda out: compare([], out),
        "audit": lambda out: audit(none, out),
        "demo": lambda out: run_demo(out, none),
        "simulate pet": lambda out: simulate_pet(out, none),
        "simulate mr": lambda out: simulate_mr(out, none),
        "prepare lfw": lambda out: prepare_lfw(out, out, none),
        "prepare folder": lambda out: prepare_folder(out, out, none),
    }


def test_every_verb_that_writes_refuses_a_folder_that_is_in_use(tmp_path: Path) -> None:
    """``restore``, ``sweep`` and ``prepare mr`` look at their arguments first; their own tests hold them to it."""
    out = tmp_path / "out"
    inside, beside = hold(out), hold(out, "beside=True")
    for name, verb in verbs().items():
        with pytest.raises(UserError, match="out is in use by process") as caught:
            verb(out)
        assert str(caught.value), name
    for other in (inside, beside):
        other.communicate()


def test_a_forked_process_is_another_one(tmp_path: Path) -> None:
    with locked(tmp_path / "out"):
        pid = os.fork()
        if pid == 0:
            try:
                with locked(tmp_path / "out"):
                    os._exit(0)
            except UserError:
                os._exit(2)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 2
