"""Parts of a call work side by side, exclude whole calls, and the last one joins them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from taskgan.core.errors import LeftOut, UserError
from taskgan.core.lock import locked
from taskgan.core.parts import Part, in_parts, parse_part

_WORK = """
import sys, time
from pathlib import Path
from taskgan.core.parts import in_parts, parse_part

out = Path(sys.argv[1])

def work(part):
    for name in part.of("abcde") if part else "abcde":
        (out / name).write_text(name)
    print("working" if part else "joining", flush=True)
    sys.stdin.readline()
    if not part:
        (out / "table").write_text("".join(sorted(p.name for p in out.iterdir() if len(p.name) == 1)))
    return not part

in_parts(out, "the results", parse_part(sys.argv[2] if len(sys.argv) > 2 else None), work)
"""


class Work:
    """Writes a file for each of five subjects, then a table of them."""

    def __init__(self, out: Path, bad: str = "") -> None:
        self.out, self.bad = out, bad
        self.calls: list[Part | None] = []

    def __call__(self, part: Part | None) -> bool:
        self.calls.append(part)
        own = part.of("abcde") if part else list("abcde")
        for name in own:
            if name != self.bad:
                (self.out / name).write_text(name)
        if not part:
            (self.out / "table").write_text("".join(sorted(p.name for p in self.out.glob("?"))))
        if self.bad in own:
            raise LeftOut("left out", [self.bad])
        return part is None


def started(out: Path, *part: str) -> subprocess.Popen[str]:
    """A process that works on a part, or on all, until a line comes."""
    words = [sys.executable, "-c", _WORK, str(out), *part]
    one = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert one.stdout is not None
    assert one.stdout.readline() in ("working\n", "joining\n")
    return one


def test_parts_are_disjoint_and_whole_by_subject() -> None:
    assert parse_part(None) is None
    assert parse_part("2/8") == Part(2, 8)
    for wrong in ("0/2", "3/2", "2", "a/b", "1/0"):
        with pytest.raises(UserError, match="K from 1 to N"):
            parse_part(wrong)
    cases = ["a1", "b1", "a2", "c1", "b2", "d1"]
    parts = [Part(k, 2).of(cases, subject=lambda case: case[0]) for k in (1, 2)]
    assert parts == [["a1", "a2", "c1"], ["b1", "b2", "d1"]]
    assert [len(Part(k, 4).of("abcde")) for k in (1, 2, 3, 4)] == [2, 1, 1, 1]


def test_the_part_that_ends_last_joins_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work = Work(tmp_path)
    for number in (3, 1):
        in_parts(tmp_path, "the results", Part(number, 3), work)
        assert not (tmp_path / "table").exists()
    assert "part 1/3 is done, 2 not yet" in capsys.readouterr().out
    in_parts(tmp_path, "the results", Part(1, 3), work)  # again: it is not counted twice
    in_parts(tmp_path, "the results", Part(2, 3), work)
    assert work.calls[-1] is None
    assert sorted(p.name for p in tmp_path.iterdir()) == [*"abcde", "table"]
    assert (tmp_path / "table").read_text() == "abcde"


def test_parts_of_another_call_do_not_count_and_a_last_call_joins(tmp_path: Path) -> None:
    work = Work(tmp_path)
    in_parts(tmp_path, "the results", Part(1, 2), work, key="before")
    in_parts(tmp_path, "the results", Part(2, 2), work, key="now")
    assert not (tmp_path / "table").exists()
    in_parts(tmp_path, "the results", None, work)
    assert sorted(p.name for p in tmp_path.iterdir()) == [*"abcde", "table"]


def test_what_was_left_out_is_said_by_its_part_and_by_the_whole(tmp_path: Path) -> None:
    work = Work(tmp_path, bad="b")
    with pytest.raises(LeftOut):
        in_parts(tmp_path, "the results", Part(2, 2), work)
    with pytest.raises(LeftOut):
        in_parts(tmp_path, "the results", Part(1, 2), work)
    assert (tmp_path / "table").read_text() == "acde"


def test_parts_work_side_by_side_and_exclude_whole_calls_and_themselves(tmp_path: Path) -> None:
    out = tmp_path / "out"
    one, two = started(out, "1/2"), started(out, "2/2")
    for part in (None, Part(1, 2)):
        with pytest.raises(UserError, match=rf"in use by process {one.pid}"):
            in_parts(out, "the results", part, Work(out))
    said = one.communicate("\n", timeout=30)[0]
    assert "part 1/2 is done, 2 not yet" in said
    said = two.communicate("\n\n", timeout=30)[0]
    assert "joining" in said
    assert sorted(p.name for p in out.iterdir()) == [*"abcde", "table"]


def test_a_whole_call_excludes_parts(tmp_path: Path) -> None:
    whole = started(tmp_path)
    with pytest.raises(UserError, match=rf"in use by process {whole.pid}"):
        in_parts(tmp_path, "the results", Part(1, 2), Work(tmp_path))
    whole.communicate("\n", timeout=30)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL")
def test_a_killed_part_holds_nobody_up(tmp_path: Path) -> None:
    one = started(tmp_path, "1/2")
    os.kill(one.pid, signal.SIGKILL)
    one.communicate()
    work = Work(tmp_path)
    in_parts(tmp_path, "the results", Part(2, 2), work)
    assert work.calls == [Part(2, 2)]  # the killed one is not done
    with locked(tmp_path):
        pass
    in_parts(tmp_path, "the results", Part(1, 2), work)
    assert (tmp_path / "table").read_text() == "abcde"


def test_a_part_that_fails_leaves_no_folder(tmp_path: Path) -> None:
    def fail(part: Part | None) -> bool:
        raise UserError("no")

    with pytest.raises(UserError, match="no"):
        in_parts(tmp_path / "new" / "out", "the results", Part(1, 2), fail)
    assert not (tmp_path / "new" / "out").exists()
