import errno
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from taskgan.cli import main
from taskgan.cli.entry import error_message
from taskgan.core.console import progress
from taskgan.core.errors import Diverged, Failed, Terminated
from taskgan.core.lock import locked


def ends(error: BaseException | None, monkeypatch: pytest.MonkeyPatch, *, gives: object = None) -> int:
    """The exit code where a verb raises something or gives something."""

    def verb(*_: object, **__: object) -> object:
        if error is not None:
            raise error
        return gives

    monkeypatch.setattr("taskgan.cli.entry.app", verb)
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (Diverged("training diverged at step 3"), 3, "taskgan: training diverged at step 3\n"),
        (Failed("every setting failed"), 3, "taskgan: every setting failed\n"),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has"),
            3,
            "taskgan: out of memory (tried to allocate 20.00 GiB); a smaller batch",
        ),
        (MemoryError(), 3, "taskgan: out of memory; a smaller batch"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_work_that_failed_is_a_sentence_and_exit_code_3(
    error: BaseException, code: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(error, monkeypatch) == code
    assert capsys.readouterr().err.startswith(message)


def test_ctrl_c_says_that_one_can_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The parser answers Ctrl-C with its own exit code."""
    assert ends(None, monkeypatch, gives=130) == 130
    assert "interrupted; nothing half-written is left" in capsys.readouterr().err


def test_a_bug_leaves_a_report_without_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Beside the output; of the message only words of the code stay."""
    name = "htimS"[::-1]  # a word that the code does not hold
    monkeypatch.setattr(sys, "argv", ["taskgan", "restore", f"{name}.nii.gz", "-o", str(tmp_path / "out")])

    def verb(*_: object, **__: object) -> None:
        with locked(tmp_path / "out"), progress("restore", 2, "images") as shown:
            shown.advance()
            values = {"case": 1}
            values[f"{name}_{name} {1970}{101:04d} /data/{name}.nii.gz"]

    monkeypatch.setattr("taskgan.cli.entry.app", verb)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 70
    (path,) = tmp_path.glob("taskgan-crash-*.txt")
    said = capsys.readouterr().err
    assert said.endswith(
        "\ntaskgan: taskgan restore failed (restore: 1 of 2 images), by an error of taskgan itself (KeyError); "
        f"please report it with {path}, which holds no names\n"
    )
    text = path.read_text(encoding="utf-8")
    assert "test_exit_codes.py" in text
    assert "KeyError: '[…]_[…] […] [path]'" in text
    assert not any(word in text for word in (name, "1970" + "0101", str(tmp_path)))


def test_a_full_disk_is_exit_code_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    error = OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), str(tmp_path / "run" / "last.ckpt"))
    assert ends(error, monkeypatch) == 3
    assert "last.ckpt cannot be written: Disk quota exceeded (" in capsys.readouterr().err


def test_sigterm_ends_in_words(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def verb(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    monkeypatch.setattr("taskgan.cli.entry.app", verb)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 143
    assert "ended by SIGTERM; nothing half-written is left, call it again" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_in_a_destructor_is_not_lost(
    number: signal.Signals, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python prints an exception that is raised there, and goes on."""

    class Dying:
        def __del__(self) -> None:
            os.kill(os.getpid(), number)
            time.sleep(0.1)

    def verb(*_: object, **__: object) -> int:
        try:
            Dying()
            time.sleep(5)
        except KeyboardInterrupt:
            return 130  # as the parser of the command line does
        return 0

    monkeypatch.setattr("taskgan.cli.entry.app", verb)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets its background jobs ignore it
    try:
        with pytest.raises(SystemExit) as end:
            main()
    finally:
        signal.signal(signal.SIGINT, before)
    assert end.value.code == code
    assert "Traceback" not in capsys.readouterr().err


def test_the_codes_are_in_the_help_and_on_one_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "exit-codes.md").read_text()
    shown = subprocess.run(
        [sys.executable, "-m", "taskgan", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for code in (0, 1, 2, 3, 70, 130, 143):
        assert f"| {code} |" in page
        assert re.search(rf"[:;] {code}\s", " ".join(shown.split()))


def test_help_that_nobody_reads_is_no_error() -> None:
    command = f"'{sys.executable}' -m taskgan --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("failed", "code"), [(0, 0), (2, 3)])
def test_a_sweep_with_failed_runs_ends_with_3(failed: int, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from taskgan.sweep import run

    asked = []

    def sweep(one: run.SweepOptions) -> run.SweepResult:
        asked.append(one)
        return run.SweepResult(one.out, failed)

    monkeypatch.setattr(run, "run_sweep", sweep)
    words = ["sweep", "pet", "cohort", "out", "--grid", "loss.mu_task=1", "--retry"]
    monkeypatch.setattr(sys, "argv", ["taskgan", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert (end.value.code or 0) == code
    assert asked[0].retry


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt(), 130), (Terminated("ended by SIGTERM"), 143)])
def test_a_signal_that_a_library_took_for_an_error_is_a_signal(stop: BaseException, code: int) -> None:
    try:
        try:
            raise stop
        except BaseException as error:
            raise ValueError("cannot be serialised") from error
    except ValueError as error:
        said, found = error_message(error)
    assert found == code
    assert said.endswith("nothing half-written is left, call it again to go on")
