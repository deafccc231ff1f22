"""A folder that is whole or absent, also after a call that was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from taskgan.prepare.output import whole_folder

# Writes half of a cohort, says so, and waits to be killed.
BEGUN = """
import sys, time
from pathlib import Path
from taskgan.prepare.output import whole_folder
with whole_folder(Path(sys.argv[1])) as folder:
    (folder / "half.nii.gz").write_text("half")
    print("begun", flush=True)
    time.sleep(600)
"""


def rooms(out: Path) -> list[Path]:
    return list(out.parent.glob(".partial-*"))


def make(out: Path, text: str) -> None:
    with whole_folder(out) as folder:
        (folder / "pairs.csv").write_text(text)


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "cohort"
    make(out, "old")

    def fail() -> None:
        with whole_folder(out) as folder:
            (folder / "pairs.csv").write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (out / "pairs.csv").read_text() == "old"
    assert rooms(out) == []
    make(out, "new")
    assert [path.name for path in out.iterdir()] == ["pairs.csv"]
    assert (out / "pairs.csv").read_text() == "new"
    assert rooms(out) == []


def test_what_a_killed_call_left_goes_with_the_next_one_and_what_another_builds_stays(tmp_path: Path) -> None:
    out = tmp_path / "cohort [1]"  # a name that a pattern would read otherwise
    command = [sys.executable, "-c", BEGUN, str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as begun:
        assert begun.stdout is not None
        assert begun.stdout.readline() == b"begun\n"
        make(out, "meanwhile")
        [room] = rooms(out)
        assert (room / "made" / "half.nii.gz").is_file()
        os.kill(begun.pid, signal.SIGKILL)
    make(out, "after")
    assert rooms(out) == []
    assert (out / "pairs.csv").read_text() == "after"


def test_a_call_that_died_between_two_renames_gives_back_what_it_had_taken(tmp_path: Path) -> None:
    out, room = tmp_path / "cohort", tmp_path / ".partial-cohort-abcd_123"
    (room / "replaced").mkdir(parents=True)
    (room / "replaced" / "pairs.csv").write_text("old")
    (room / "lock").touch()
    foreign = tmp_path / ".partial-cohort-2-abcd_123"
    (foreign / "replaced").mkdir(parents=True)
    (foreign / "lock").touch()

    def fail() -> None:
        with whole_folder(out):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (out / "pairs.csv").read_text() == "old"
    assert rooms(out) == [foreign]
