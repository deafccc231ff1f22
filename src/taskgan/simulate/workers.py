"""Subjects on every core, each made whole by one worker; the plan and the frame of a cohort, whatever its kind."""

import functools
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taskgan.cohort.folder import complete, is_complete, write_dataset_files, write_description
from taskgan.cohort.pairs import SPLITS
from taskgan.core.cluster import on_scheduler
from taskgan.core.console import progress, say
from taskgan.core.errors import UserError, signals_held
from taskgan.core.files import usable_cores, versions
from taskgan.core.parse import parse_json, read_text
from taskgan.core.parts import Part, in_parts, parse_part
from taskgan.core.version import __version__
from taskgan.simulate.anatomy import Anatomy, brainweb_anatomy, brainweb_files, mni_anatomy

Record = dict[str, Any]


def _worker(
    make: Callable[..., Record],
    tools: Callable[[Any], tuple[Any, ...]] | None,
    detailed: bool,
    settings: Any,
    sources: Sequence[Path],
    template: Anatomy | None,
    step: float,
    out: Path,
) -> Callable[[Any], Record]:
    """What makes one subject after another; it keeps its tools, and of BrainWeb's heads the one used last.

    Args:
        make: Writes a subject's files and gives its record, from subject, settings, anatomy, the tools and ``out``.
        tools: Of the settings; None where there are none.
        detailed: Tissues of ``anatomy.DETAILED``.
        sources: BrainWeb files; empty for the template.
        template: The MNI template; None makes it where there are no sources.
        step: Resolution of BrainWeb heads, mm.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    own = tools(settings) if tools else ()
    template = template or (None if sources else mni_anatomy(step, detailed=detailed))
    load = functools.lru_cache(maxsize=1)(functools.partial(brainweb_anatomy, detailed=detailed))

    def _simulate(subject: Any) -> Record:
        # One thread: cores are for subjects, and sums do not depend on how BLAS shares the work.
        with threadpool_limits(1):
            return make(subject, settings, template or load(sources[subject.anatomy], step), *own, out)

    return _simulate


_make_subject: Callable[[Any], Record] | None = None  # of this process, where it is a worker


def _start_worker(*setup: Any) -> None:
    global _make_subject
    parent = multiprocessing.parent_process()
    if parent is not None:  # killed, it cannot tell its workers to end: they would wait for ever
        threading.Thread(target=_exit_with_parent, args=(parent,), daemon=True).start()
    _make_subject = _worker(*setup)


def _exit_with_parent(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _simulate_one(subject: Any) -> Record:
    assert _make_subject is not None
    return _make_subject(subject)


def simulate_subjects(waiting: Sequence[Any], setup: tuple[Any, ...], workers: int, out: Path) -> Iterator[Record]:
    """Records as they come, in any order.

    Args:
        waiting: Subjects to make; each says the number of its ``anatomy``.
        setup: Of a :func:`_worker`; functions of modules, because they travel to other processes.
        workers: Processes; 1 stays in this one.

    Raises:
        UserError: If a worker was killed.
    """
    if not waiting:
        return
    ordered = sorted(waiting, key=lambda subject: subject.anatomy)  # a head is read once for all its subjects
    if workers == 1:
        yield from map(_worker(*setup), ordered)
        return
    # Spawned, not forked: BLAS threads of the parent do not survive a fork.
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=setup) as pool:
        with signals_held(signal.SIGINT):  # workers never get Ctrl-C
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


def _description(kind: "CohortKind", settings: Any, sources: Sequence[Path]) -> dict[str, Any]:
    """What ``cohort.yaml`` says before the cohort is measured; settings that are ``later`` go unsaid at defaults."""
    values = settings.model_dump(mode="json")
    for name in getattr(settings, "later", ()):
        if values[name] == type(settings).model_fields[name].default:
            del values[name]
    # Anatomies go by file name: the folder that they lie in makes no difference to the cohort.
    values["anatomy"] = [path.name for path in sources] or None
    anatomies = "BrainWeb heads, each of them in one split only, deformed per subject"
    if settings.one_template:
        anatomies = (
            f"one template ({sources[0].name if sources else 'MNI ICBM152 2009a'}) deformed per subject; "
            "the anatomy of a subject is its own deformation"
        )
    return {
        "kind": kind.name,
        "made_by": f"taskgan simulate {kind.name}",
        "seed": settings.seed,
        "anatomies": anatomies,
        **kind.further(settings),
        "settings": values,
        kind.device: getattr(settings, kind.device).model_dump(mode="json"),
        "versions": versions(),
    }


@dataclass(frozen=True)
class CohortKind:
    """What one kind of simulated cohort does its own way.

    Attributes:
        name: ``pet`` or ``mr``.
        plan: Settings and number of heads (None: one template) to subjects.
        make: See :func:`_worker`.
        readme: Text of its README, with a place for the ``version``.
        write_tables: The tables of ``out`` by settings and records.
        measure: What the cohort turned out to be, by settings and records.
        sentence: Of the last line, after the number of subjects, by settings and records.
        further: What only this kind says in ``cohort.yaml``, by settings.
        tools: See :func:`_worker`.
        detailed: Tissues of ``anatomy.DETAILED``.
    """

    name: str
    plan: Callable[[Any, int | None], Sequence[Any]]
    make: Callable[..., Record]
    title: str
    truth: str
    readme: str
    write_tables: Callable[[Path, Any, Sequence[Record]], None]
    measure: Callable[[Any, Sequence[Record]], dict[str, Any]]
    sentence: Callable[[Any, Sequence[Record]], str]
    device: str
    further: Callable[[Any], Mapping[str, Any]] = lambda _: {}
    tools: Callable[[Any], tuple[Any, ...]] | None = None
    detailed: bool = False
    max_workers: int | None = None


def simulate_cohort(
    out: Path, settings: Any, kind: CohortKind, *, workers: int, part: str | None = None, scheduler: str | None = None
) -> Path:
    """Make a cohort, or go on with one that was interrupted.

    The same settings give the same bytes, whatever the number of workers: every subject has its own generators
    and every worker computes on one thread.

    Args:
        out: Cohort folder; absent, empty, or begun with the same settings.
        workers: Processes; 0 takes every core, at full scale at most those of the kind.
        part: ``K/N``: only every N-th subject from the K-th on; the part that ends last writes the tables.
        scheduler: Address of a Dask scheduler, whose workers make the subjects in place of processes of this machine.

    Raises:
        UserError: If ``out``, which is returned, holds something else or was begun with other settings.
    """
    work = functools.partial(_simulate_part, out, settings, kind, workers, scheduler)
    in_parts(out, "the cohort", parse_part(part), work)
    return out


def _simulate_part(
    out: Path, settings: Any, kind: CohortKind, workers: int, scheduler: str | None, part: Part | None
) -> bool:
    """Make the subjects of a part that are missing; of all, tables and marker too. Says whether the cohort is whole."""
    sources = brainweb_files(settings.anatomy) if settings.anatomy else []
    subjects = kind.plan(settings, None if settings.one_template else len(sources))
    description = _description(kind, settings, sources)
    if is_complete(out, description, ("settings", kind.device)):
        say(f"{out} is complete: {len(subjects)} subjects; nothing to do")
        return True
    write_description(out, {**description, "complete": False})
    write_dataset_files(
        out,
        name=kind.title,
        readme=kind.readme.format(version=__version__),
        derivative=TRUTH_FOLDER,
        derivative_name=kind.truth,
        metadata={"License": "CC0", "Authors": ["taskgan", f"simulate {kind.name}"]},
    )
    own = part.of(subjects) if part else subjects
    waiting = [s for s in own if not (out / record_path(s.name)).is_file()]
    full = settings.scale == "full"
    most = kind.max_workers if full and kind.max_workers else usable_cores()
    count = min(workers or min(usable_cores(), most), max(1, len(waiting)))
    step = 1.0 if full else 2.0  # mm
    template = mni_anatomy(step, detailed=kind.detailed) if waiting and not sources and not scheduler else None
    places = tuple(path.resolve() for path in sources) if scheduler else tuple(sources)
    folder = out.resolve() if scheduler else out  # workers stand elsewhere
    setup = (kind.make, kind.tools, kind.detailed, settings, places, template, step, folder)
    with progress("simulate", len(own), "subjects", start=len(own) - len(waiting)) as bar:
        made = on_scheduler(scheduler, _worker, setup, waiting) if scheduler else None
        for record in made or simulate_subjects(waiting, setup, count, out):
            bar.advance(subject=record["subject"])
    if part:
        return False
    records = [read_record(out / record_path(s.name)) for s in subjects]
    kind.write_tables(out, settings, records)
    complete(out, {**description, "measured": kind.measure(settings, records)})
    say(f"{out}: {len(records)} subjects, {kind.sentence(settings, records)}")
    return True


def read_record(path: Path) -> dict[str, Any]:
    """What was written of a subject.

    Raises:
        UserError: If it is missing or damaged.
    """
    record = parse_json(read_text(path), str(path))
    if not isinstance(record, dict):
        raise UserError(f"{path} holds a {type(record).__name__}, expected the record of a subject")
    return record
