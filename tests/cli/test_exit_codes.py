import sys

import pytest
import torch

from taskgan.cli import main
from taskgan.core.errors import Diverged, Failed


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
    error: BaseException,
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ends(error, monkeypatch) == code
    assert capsys.readouterr().err.startswith(message)


def test_ctrl_c_says_that_one_can_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The parser answers Ctrl-C with its own exit code."""
    assert ends(None, monkeypatch, gives=130) == 130
    assert "interrupted; nothing half-written is left" in capsys.readouterr().err


def test_a_bug_is_no_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        ends(RuntimeError("a bug"), monkeypatch)


@pytest.mark.parametrize(("failed", "code"), [(0, 0), (2, 3)])
def test_a_sweep_with_failed_runs_ends_with_3(
    failed: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from taskgan.sweep import run

    asked = []

    def sweep(one: run.Asked) -> run.Swept:
        asked.append(one)
        return run.Swept(one.out, failed)

    monkeypatch.setattr(run, "run_sweep", sweep)
    words = ["sweep", "pet", "cohort", "out", "--grid", "loss.mu_task=1", "--retry"]
    monkeypatch.setattr(sys, "argv", ["taskgan", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert (end.value.code or 0) == code
    assert asked[0].retry
