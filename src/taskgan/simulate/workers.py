"""Subjects on every core: each worker keeps a bench, and every subject is made whole by one of them."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from taskgan.core.errors import UserError
from taskgan.simulate.anatomy import Anatomy, brainweb_anatomy

Record = dict[str, Any]


class SubjectSimulator(Protocol):
    """What a worker keeps between subjects."""

    def simulate(self, subject: Any) -> Record:
        """Simulate one subject, write its files, give its record."""
        ...


class Anatomies:
    """The heads of a cohort; of BrainWeb's the one used last is held.

    Args:
        sources: BrainWeb files; empty for the template.
        template: The MNI template, or None.
        step: Resolution of BrainWeb heads, mm.
        detailed: Tissues of ``anatomy.DETAILED``.
    """

    def __init__(
        self, sources: Sequence[Path], template: Anatomy | None, step: float, *, detailed: bool = False
    ) -> None:
        self._sources, self._template, self._step = sources, template, step
        self._detailed = detailed
        self._loaded: tuple[int, Anatomy] | None = None

    def __getitem__(self, number: int) -> Anatomy:
        if self._template is not None:
            return self._template
        if self._loaded is None or self._loaded[0] != number:
            head = brainweb_anatomy(self._sources[number], self._step, detailed=self._detailed)
            self._loaded = (number, head)
        return self._loaded[1]


def default_workers(limit: int | None = None) -> int:
    """Every core that this process may use, at most ``limit``."""
    cores = len(os.sched_getaffinity(0))
    return cores if limit is None else min(cores, limit)


def simulate_subjects(
    waiting: Sequence[Any],
    simulator: Callable[..., SubjectSimulator],
    setup: tuple[Any, ...],
    workers: int,
    out: Path,
) -> Iterator[Record]:
    """Records as they come, in any order.

    Args:
        waiting: Subjects to make; each says the number of its ``anatomy``.
        simulator: Makes a worker's bench from ``setup``; a class or function of a module, because it travels to
            other processes.
        setup: Its arguments.
        workers: Processes; 1 stays in this one.
        out: The cohort, for messages.

    Raises:
        UserError: If a worker was killed.
    """
    if not waiting:
        return
    ordered = sorted(waiting, key=lambda subject: subject.anatomy)  # a head is read once for all its subjects
    if workers == 1:
        one = simulator(*setup)
        for subject in ordered:
            yield _simulate_single_threaded(one, subject)
        return
    # Spawned, not forked: BLAS threads of the parent do not survive a fork.
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(simulator, setup)
    ) as pool:
        with _without_interrupts():
            jobs = [pool.submit(_simulate_one, subject) for subject in ordered]
        try:
            for job in as_completed(jobs):
                yield job.result()
        except BrokenProcessPool:
            raise UserError(
                f"a worker was killed, probably for want of memory; call again with --workers {workers // 2 or 1}: "
                f"{out} goes on where it is"
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in set(multiprocessing.active_children()) - others:
                worker.kill()  # a subject takes many seconds, and is made anew
            raise


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes that begin in the block never get Ctrl-C; the one that waits for them gets it after the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _simulate_single_threaded(simulator: SubjectSimulator, subject: Any) -> Record:
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    # One thread: cores are for subjects, and sums do not depend on how BLAS shares the work.
    with threadpool_limits(1):
        return simulator.simulate(subject)


_bench: SubjectSimulator | None = None


def _start_worker(simulator: Callable[..., SubjectSimulator], setup: tuple[Any, ...]) -> None:
    global _bench
    parent = multiprocessing.parent_process()
    if parent is not None:  # killed, it cannot tell its workers to end: they would wait for ever
        threading.Thread(target=_exit_with_parent, args=(parent,), daemon=True).start()
    _bench = simulator(*setup)


def _exit_with_parent(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _simulate_one(subject: Any) -> Record:
    if _bench is None:
        raise RuntimeError("a worker was given a subject before it was set up")
    return _simulate_single_threaded(_bench, subject)
