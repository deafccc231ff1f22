"""A model, a PET series of nine images, a PACS, and a node that works when it is told to."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicom_files import write_pet
from made_up_pacs import Pacs, until, write_settings
from small_models import write
from taskgan.node.child import UNFIT
from taskgan.node.queue import Queue, SeriesJob
from taskgan.node.receive import Listener
from taskgan.node.settings import read_settings
from taskgan.node.work import Node


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """pynetdicom leaves the socket of a connection that was refused to the garbage collector."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


IMAGES = 9
AFFINE = np.diag([-2.0, -2.0, 2.5, 1.0])


def restore_here(node: Node, key: str, job: SeriesJob) -> int:
    """In place of the child process: this one has torch loaded."""
    from taskgan.core.errors import UserError
    from taskgan.restore.run import restore

    place = node.queue.place("restoring", key)
    try:
        restore(node.settings.path(job.route.model), [place / "in"], place / "out", pdf=job.route.pdf)
    except UserError:
        return UNFIT
    return 0


class InProcess(Node):
    """A node that restores in this process, which has torch loaded; a test of its own has the child process."""

    restored = 0

    def _run_child(self, key: str, job: SeriesJob) -> int:
        code = restore_here(self, key, job)
        self.restored += code == 0
        return code


class Bench:
    """A node that listens; its other half works when :meth:`work` is called."""

    def __init__(self, place: Path) -> None:
        self.settings = read_settings(place)
        self.queue = Queue(self.settings.path(self.settings.queue), self.settings.free_gb)
        self.node = InProcess(self.settings, self.queue)
        self.listener = Listener(self.settings, self.queue)
        self.port = self.listener.port

    def rest(self) -> None:
        """Wait until all associations have ended."""
        until(lambda: not self.listener._open and not self.listener._entity.active_associations)

    def work(self) -> None:
        self.node.poll()
        while self.node.restore() or self.node.send():
            pass

    def states(self) -> dict[str, int]:
        from taskgan.node.queue import STATES

        return {s: len(self.queue.keys(s)) for s in STATES if self.queue.keys(s)}


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("node") / "model")


@pytest.fixture(scope="session")
def pet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    stored = np.random.default_rng(0).gamma(2.0, 900, (16, 16, IMAGES)).clip(1, 4095).astype(np.uint16)
    return write_pet(tmp_path_factory.mktemp("series") / "pet", stored, AFFINE, SeriesDescription="FDG low")


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    pacs = Pacs()
    yield pacs
    pacs.close()


@pytest.fixture
def start(tmp_path: Path, model: Path, pacs: Pacs) -> Iterator[Callable[..., Bench]]:
    """Starts a node on ``tmp_path``; called again, the old one is gone and the new one finds its queue."""
    running: list[Bench] = []

    def begin(**changes: Any) -> Bench:
        while running:
            running.pop().listener.close()
        running.append(Bench(write_settings(tmp_path, model, pacs.port, **changes)))
        return running[0]

    yield begin
    while running:
        running.pop().listener.close()
    gc.collect()


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on every node restores in this process."""
    return lambda: monkeypatch.setattr(Node, "_run_child", restore_here)
