"""Subjects on every core: each worker keeps a bench, and every subject is made whole by one of them."""

import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from taskgan.cohort import folder as bids
from taskgan.cohort.folder import is_complete, write_description
from taskgan.cohort.pairs import SPLITS
from taskgan.core.console import progress, say
from taskgan.core.errors import UserError
from taskgan.core.files import usable_cores, versions
from taskgan.core.parse import parse_json, read_text
from taskgan.core.parts import Part
from taskgan.core.settings import Settings
from taskgan.core.version import __version__
from taskgan.simulate.anatomy import Anatomy, brainweb_anatomy, mni_anatomy

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
    cores = usable_cores()
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


Shares = tuple[float, float, float]


def split_sizes(count: int, shares: Shares) -> list[int]:
    """Whole numbers near the shares, at least one each: largest remainder, ties to the test split."""
    exact = [share * count for share in shares]
    counts = [max(1, int(w)) for w in exact]
    while sum(counts) < count:
        counts[max(range(3), key=lambda i: (exact[i] - counts[i], i))] += 1
    while sum(counts) > count:
        counts[max((i for i in range(3) if counts[i] > 1), key=lambda i: counts[i] - exact[i])] -= 1
    return counts


def interleaved_splits(count: int, shares: Shares, rng: np.random.Generator) -> list[str]:
    """Splits in an order that spreads each of them evenly, so that whoever is at the front is spread too."""
    keys = [
        ((k + rng.uniform(0.05, 0.95)) / size, name)
        for name, size in zip(SPLITS, split_sizes(count, shares), strict=True)
        for k in range(size)
    ]
    return [name for _, name in sorted(keys)]


def anatomies_by_split(count: int | None, shares: Shares, rng: np.random.Generator) -> dict[str, list[int]]:
    """Which anatomies the subjects of a split are made from.

    Args:
        count: How many heads; None is the one template whose deformed subjects are the anatomies.
        shares: Of train, val and test.
        rng: Of the plan.

    Raises:
        UserError: If there are fewer heads than splits.
    """
    if count is None:
        return {name: [0] for name in SPLITS}
    if count < len(SPLITS):
        raise UserError(
            f"{count} BrainWeb {'anatomy was' if count == 1 else 'anatomies were'} found, expected at least 3: "
            "an anatomy is in one split only"
        )
    order = [int(i) for i in rng.permutation(count)]
    parts = split_sizes(count, shares)
    ends = np.cumsum(parts)
    return {name: order[end - size : end] for name, size, end in zip(SPLITS, parts, ends, strict=True)}


def in_turn(splits: Sequence[str], owners: Mapping[str, Sequence[int]]) -> list[int]:
    """The anatomy of every subject, in the order of their splits: those of a split one after another, over again."""
    turn = {name: itertools.cycle(anatomies) for name, anatomies in owners.items()}
    return [next(turn[name]) for name in splits]


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A subject before it is simulated.

    Attributes:
        number: From 1.
        split: train, val or test.
        anatomy: Index into the cohort's anatomies.
    """

    number: int
    split: str
    anatomy: int

    @property
    def name(self) -> str:
        """BIDS participant, e.g. ``sub-001``."""
        return f"sub-{self.number:03d}"


TRUTH_FOLDER = Path("derivatives") / "truth"


def record_path(subject: str) -> Path:
    """The subject's figures; written last, so it marks the subject as complete."""
    return TRUTH_FOLDER / subject / f"{subject}_desc-truth_figures.json"


def describe_cohort(
    kind: str, settings: Any, sources: Sequence[Path], further: Mapping[str, Any], **device: Settings
) -> dict[str, Any]:
    """What ``cohort.yaml`` says of a simulated cohort before it is measured.

    Args:
        kind: ``pet`` or ``mr``.
        settings: Of the simulation.
        sources: BrainWeb files.
        further: What only this kind says.
        device: Its section about the scanner.
    """
    values = settings.model_dump(mode="json")
    # Anatomies go by file name: the folder that they lie in makes no difference to the cohort.
    values["anatomy"] = [path.name for path in sources] or None
    anatomies = "BrainWeb heads, each of them in one split only, deformed per subject"
    if settings.one_template:
        anatomies = (
            f"one template ({sources[0].name if sources else 'MNI ICBM152 2009a'}) deformed per subject; "
            "the anatomy of a subject is its own deformation"
        )
    return {
        "kind": kind,
        "made_by": f"taskgan simulate {kind}",
        "seed": settings.seed,
        "anatomies": anatomies,
        **further,
        "settings": values,
        **{name: section.model_dump(mode="json") for name, section in device.items()},
        "versions": versions(),
    }


def simulate_missing(
    out: Path,
    subjects: Sequence[Any],
    simulator: Callable[..., SubjectSimulator],
    settings: Any,
    sources: Sequence[Path],
    *,
    description: Mapping[str, Any],
    sections: tuple[str, str],
    dataset_files: Mapping[str, str],
    workers: int,
    max_workers: int | None = None,
    detailed: bool = False,
    part: Part | None = None,
) -> list[Record] | None:
    """Make the subjects that are not there.

    Args:
        out: The cohort folder.
        subjects: All of the plan.
        simulator: Makes a worker's bench from the settings, the sources, the template, its resolution and ``out``.
        settings: Of the simulation.
        sources: BrainWeb files; empty takes the MNI template.
        description: Of the cohort, see :func:`describe_cohort`.
        sections: Its sections that must be those that the folder was begun with.
        dataset_files: See :func:`write_dataset_files`.
        workers: Processes; 0 takes every core, at most ``most``.
        max_workers: See ``workers``.
        detailed: Tissues of ``anatomy.DETAILED``.
        part: Only these subjects.

    Returns:
        The records of all subjects in order; None where the cohort is complete already, or for a part.

    Raises:
        UserError: If ``out`` holds something else or was begun with other settings.
    """
    if is_complete(out, description, sections):
        say(f"{out} is complete: {len(subjects)} subjects; nothing to do")
        return None
    write_description(out, {**description, "complete": False})
    write_dataset_files(out, **dataset_files)
    mine = part.of(subjects, lambda subject: subject.name) if part else subjects
    waiting = [s for s in mine if not (out / record_path(s.name)).is_file()]
    count = min(workers or default_workers(max_workers), max(1, len(waiting)))
    step = 1.0 if settings.scale == "full" else 2.0
    template: Anatomy | None = mni_anatomy(step, detailed=detailed) if waiting and not sources else None
    with progress("simulate", len(mine), "subjects", start=len(mine) - len(waiting)) as bar:
        for record in simulate_subjects(
            waiting, simulator, (settings, tuple(sources), template, step, out), count, out
        ):
            bar.advance(subject=record["subject"])
    if part:
        say(f"{out}: part {part.number} of {part.count} is there; the same command without --part joins all parts")
        return None
    return [read_record(out / record_path(s.name)) for s in subjects]


def read_record(path: Path) -> dict[str, Any]:
    """What was written of a subject.

    Raises:
        UserError: If it is missing or damaged.
    """
    record = parse_json(read_text(path), str(path))
    if not isinstance(record, dict):
        raise UserError(f"{path} holds a {type(record).__name__}, expected the record of a subject")
    return record


def write_dataset_files(folder: Path, *, name: str, truth: str, command: str, readme: str) -> None:
    """The files of the folder that do not depend on the subjects.

    Args:
        folder: The cohort.
        name: Of the data set.
        truth: Name of the truth that goes with it.
        command: Which made it, e.g. ``simulate pet``.
        readme: Text of its README, with a place for the ``version``.
    """
    bids.write_dataset_files(
        folder,
        name=name,
        readme=readme.format(version=__version__),
        derivative=TRUTH_FOLDER,
        derivative_name=truth,
        metadata={"License": "CC0", "Authors": ["taskgan", command]},
    )
