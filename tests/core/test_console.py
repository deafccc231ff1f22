import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from taskgan.core import console


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(console, "time", found)
    return found


def lines(
    clock: Clock, capsys: pytest.CaptureFixture[str], seconds: Sequence[float], total: int, start: int = 0
) -> list[str]:
    """What is shown where each unit takes so long."""
    with console.progress("train gan", total, "steps", start) as shown:
        for taken in seconds:
            clock.now += taken
            shown.advance(1, pixel=0.25)
    return capsys.readouterr().err.splitlines()


def test_a_slow_first_unit_does_not_count(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """A minute of compilation, then one step a second."""
    found = lines(clock, capsys, [60.0, *[1.0] * 400], 1000)
    assert found[0] == "train gan  1/1000 steps  pixel 0.25"
    told = [line for line in found if "left" in line]
    assert told[0] == "train gan  61/1000 steps  1.0 steps/s  15:39 left  pixel 0.25"
    assert told == found[-len(told) :]


def test_the_first_units_of_a_pool_come_together_and_say_nothing(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    found = lines(clock, capsys, [60.0, 0.1, 0.1, 0.1, 59.7, 0.1, 0.1, 0.1], 100)
    assert "left" not in found[0]
    told = [line for line in found if "left" in line]
    assert told[0].startswith("train gan  5/100 steps  15.0 s each  23:45 left")


def test_the_rate_is_that_of_the_last_minutes(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    found = lines(clock, capsys, [*[10.0] * 100, *[1.0] * 200], 1000)
    assert "1.0 steps/s  11:40 left" in found[-1]


def test_units_that_were_there_before_do_not_count(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    found = lines(clock, capsys, [5.0] * 10, 1000, start=900)
    assert found[0].startswith("train gan  901/1000 steps  pixel")
    assert "5.0 s each  7:35 left" in next(line for line in found if "909/" in line)


def test_the_end_says_how_long_it_took(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    assert lines(clock, capsys, [30.0, *[5.0] * 9], 10)[-1] == (
        "train gan  10/10 steps  5.0 s each  in 1:15  pixel 0.25"
    )
    assert lines(clock, capsys, [3.0], 1) == ["train gan  1/1 steps  in 0:03  pixel 0.25"]


def test_a_live_line_is_drawn_in_place_and_closed(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with console.progress("restore", 2, "images") as shown:
        shown.advance(case="a-long-name")
        shown.advance(case="[b]\x1b[31m")
    drawn = capsys.readouterr().err
    assert "restore" in drawn
    assert "1/2 images  case a-long-name" in drawn
    assert "case [b]\\x1b[31m" in drawn  # neither markup nor a command for the terminal
    assert drawn.rstrip("\x1b[?25h").endswith("\n")


def test_an_error_learns_how_far_the_work_was() -> None:
    with pytest.raises(RuntimeError) as caught, console.progress("restore", 3, "images") as shown:
        shown.advance()
        raise RuntimeError
    assert caught.value.doing == "restore: 1 of 3 images"  # type: ignore[attr-defined]


@pytest.mark.parametrize("redirect", ["| true", ">&-"])
def test_a_closed_output_does_not_stop_the_work(redirect: str, tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from taskgan.core import console\n"
        "console.tolerate_ascii_consoles(); time.sleep(0.2)\n"
        "for _ in range(9): console.say('x' * 9999)\n"
        "Path(sys.argv[1]).touch()"
    )
    command = f"exec 3>&2; ('{sys.executable}' -c \"{code}\" '{tmp_path / 'end'}'; echo $? >&3) {redirect}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == "0\n"
    assert (tmp_path / "end").exists()


def test_a_latin_1_console_gets_every_character() -> None:
    code = "from taskgan.core import console; console.tolerate_ascii_consoles(); console.say('−1 dB, µ, 名')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env={**os.environ, "PYTHONIOENCODING": "latin-1"}, check=True
    )
    assert done.stdout.decode("latin-1") == "-1 dB, µ, \\u540d\n"


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (75, "1:15"), (3700, "1:01:40"), (-3, "0:00")])
def test_durations(seconds: float, shown: str) -> None:
    assert console.duration(seconds) == shown
