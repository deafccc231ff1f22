"""Tasks on a Dask scheduler: a local one of two worker processes, of which one is killed in the midst."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from taskgan.core.cluster import on_scheduler
from taskgan.core.errors import UserError

distributed = pytest.importorskip("distributed", reason="the extra cluster")
pytestmark = pytest.mark.filterwarnings("default")  # of how a killed worker leaves its sockets


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        yield cluster.scheduler_address


def writer(folder: Path, deadly: int) -> Callable[[int], Any]:
    """Writes down who makes what; the worker of one item waits to be killed, once."""

    def make(item: int) -> Any:
        with (folder / f"{item}").open("a") as file:
            file.write(f"{os.getpid()}\n")
        while item == deadly and len((folder / f"{item}").read_text().split()) == 1:
            time.sleep(0.01)
        return item, os.getpid()

    return make


def failing() -> Callable[[int], Any]:
    def make(item: int) -> Any:
        raise UserError(f"item {item} is no good")

    return make


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_what_a_killed_worker_was_at_is_done_by_another(scheduler: str, tmp_path: Path) -> None:
    """The functions travel by value here, because the workers cannot import a test."""
    import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    made, killed = [], 0
    for item, _ in on_scheduler(scheduler, writer, (tmp_path, 3), range(8)):
        made.append(item)
        if not killed and (tmp_path / "3").is_file():
            killed = int((tmp_path / "3").read_text())
            os.kill(killed, signal.SIGKILL)
    assert sorted(made) == list(range(8))
    first, second = (tmp_path / "3").read_text().split()
    assert int(first) == killed
    assert second != first


def test_an_error_of_a_task_comes_back_as_it_is(scheduler: str) -> None:
    import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with pytest.raises(UserError, match="item 1 is no good"):
        list(on_scheduler(scheduler, failing, (), [1]))


def test_no_scheduler_and_no_library_are_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskgan.core.cluster._TIMEOUT_S", 0.3)
    for address in ("tcp://127.0.0.1:9", "nonsense://x"):
        with pytest.raises(UserError, match="no Dask scheduler answers"):
            list(on_scheduler(address, failing, (), [1]))
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError, match=r"pip install 'taskgan\[cluster\]'"):
        list(on_scheduler("tcp://127.0.0.1:9", failing, (), [1]))
