"""Calling commands in forked children, killed, signalled or without room, and comparing what they leave."""

import hashlib
import os
import random
import re
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from chaos.commands import COMMANDS, MATERIAL, Command
from chaos.faults import Faults
from chaos.material import make, small_presets
from chaos.readers import make_corpus

LIMIT_S = 60.0  # of the processor: on a busy machine the clock says nothing of a command
_PATIENCE = 10  # times as much by the clock, for what waits and computes nothing
LIMIT_BYTES = 2 * 2**30
_VOLATILE = re.compile(r"events\.out\.tfevents|(^|/)\.")
# A request names the times of its inputs; a command that is interrupted may have said --overwrite.
_RUN_ONLY = re.compile(r"^(seconds|request|  seconds): .*$|(?<= )--overwrite$", re.MULTILINE)


@dataclass
class Ended:
    """How a child ended.

    Attributes:
        code: Exit code; minus the signal that ended it.
        seconds: How long it took by the clock.
        text: What it said.
        peak: Of its memory, bytes.
        cpu: Seconds of the processor, with the processes that it started and waited for.
        after_signal: Those after :meth:`Child.signal`; all of them where none was sent.
    """

    code: int
    seconds: float
    text: str
    peak: int
    cpu: float = 0.0
    after_signal: float = 0.0


class Child:
    """A forked process that works in a folder of its own, with a process group of its own.

    Args:
        work: What it does; gives the exit code.
        place: Its working folder.
    """

    def __init__(self, work: Callable[[], int], place: Path) -> None:
        self._log = place.parent / f".said-{os.getpid()}-{random.randrange(2**40):x}"
        self._began = time.monotonic()
        self._cpu_at_signal = 0.0
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _work(work, place, self._log)

    def signal(self, number: int) -> None:
        """Send a signal to the child alone, as a batch system does; SIGKILL goes to its whole group."""
        self._cpu_at_signal = _cpu_of_group(self.pid)
        try:
            if number == signal.SIGKILL:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)
        except ProcessLookupError:
            pass

    def wait(self, limit: float = LIMIT_S, progress: Path | None = None) -> Ended:
        """Wait for its end.

        It ends itself after ``limit`` seconds of the processor; it is killed after ten times as many by the clock, or
        where ``progress`` was not written for so long.
        """
        while True:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            spent = time.monotonic() - self._began
            if pid:
                code = os.waitstatus_to_exitcode(status)
                text = self._log.read_text(errors="replace") if self._log.exists() else ""
                self._log.unlink(missing_ok=True)
                cpu = usage.ru_utime + usage.ru_stime
                return Ended(code, spent, text, usage.ru_maxrss * 1024, cpu, cpu - self._cpu_at_signal)
            if progress is not None and progress.exists():
                still = time.time() - progress.stat().st_mtime
                if still > _PATIENCE * limit:
                    self.signal(signal.SIGKILL)
            elif spent > _PATIENCE * limit:
                self.signal(signal.SIGKILL)
            time.sleep(0.005)


def _cpu_of_group(group: int) -> float:
    """Seconds of the processor of a process group until now, with what ended in it and was waited for."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15])) if int(fields[2]) == group else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def _work(work: Callable[[], int], place: Path, log: Path) -> NoReturn:
    code = 99
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        os.chdir(place)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + LIMIT_BYTES,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (int(LIMIT_S), int(LIMIT_S) + 5))
        code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def command_line(arguments: Sequence[str]) -> int:
    """Run the command line in this process; gives its exit code."""
    from taskgan.cli import main

    sys.argv = ["taskgan", *arguments]
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def warm_up() -> None:
    """Import what commands import, so that a forked child begins at once; nothing is computed here."""
    import importlib
    import pkgutil

    import taskgan

    for module in pkgutil.walk_packages(taskgan.__path__, "taskgan."):
        if not module.name.endswith(("__main__", "mat_child")):
            importlib.import_module(module.name)
    for name in ("nilearn", "matplotlib.pyplot", "PIL.Image", "pydicom", "scipy.io", "skimage.metrics", "jinja2"):
        importlib.import_module(name)
    import torch

    torch.set_num_threads(1)
    small_presets()


def contents(folder: Path) -> dict[str, str]:
    """SHA-256 of every file, without how long things took and without TensorBoard's files, named by time."""
    from taskgan.core.tensors import load_torch

    sums = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or _VOLATILE.search(name):
            continue
        raw = path.read_bytes()
        if path.suffix in (".yaml", ".json"):
            text = _RUN_ONLY.sub("", raw.decode("utf-8", "replace"))
            raw = re.sub(r" +$", "", text, flags=re.MULTILINE).encode()
        if path.suffix == ".ckpt":
            raw = repr(_plain(load_torch(path))).encode()
        if path.name == "sweep.csv":
            raw = re.sub(rb"[\d.]*,finished", b"finished", raw)
        sums[name] = hashlib.sha256(raw).hexdigest()
    return sums


def _plain(value: Any) -> Any:
    """A checkpoint with the bytes of its tensors: how torch lays it out in a file is not the same every time."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.dtype, tuple(value.shape), hashlib.sha256(value.contiguous().numpy().tobytes()).hexdigest()
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Names of files that are absent or differ."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


class Bench:
    """Material, references and folders for trials.

    Args:
        folder: Where all of it lies; what is there is used again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.material = self.folder / "material"
        self._references: dict[tuple[str, bool], dict[str, str]] = {}
        self.operations: dict[str, int] = {}
        self.durations: dict[str, float] = {}
        self.sizes: dict[str, int] = {}

    def prepare(self) -> None:
        """Make the material, where it is not there."""
        done = self.folder / "material.done"
        if done.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._do(lambda: make(self.material), self.folder)
        for arguments in MATERIAL.values():
            self._do(lambda a=arguments: command_line(a), self.material)  # type: ignore[misc]
        self._do(lambda: make_corpus(self.folder / "corpus", self.material), self.folder)
        done.touch()

    @staticmethod
    def _do(work: Callable[[], int | None], place: Path) -> None:
        ended = Child(lambda: work() or 0, place).wait(300)
        if ended.code:
            raise RuntimeError(ended.text)

    def place(self, name: str) -> Path:
        """A new folder with copies of a command's inputs."""
        return self.copies(name, COMMANDS[name])

    def copies(self, name: str, command: Command) -> Path:
        """Likewise, of a command that need not stand in the table."""
        place = self.folder / "trials" / f"{name.replace(' ', '-')}-{os.getpid()}-{random.randrange(2**40):x}"
        place.mkdir(parents=True)
        for one in command.inputs:
            source = self.material / one
            if source.is_dir():
                shutil.copytree(source, place / one)
            else:
                shutil.copy2(source, place / one)
        return place

    def finished(self, name: str) -> Path:
        """A new folder in which the command has ended with its other arguments."""
        kept = self.folder / "finished" / name.replace(" ", "-")
        if not kept.exists():
            place = self.place(name)
            ended = self.start(name, place, other=True).wait(300)
            assert ended.code == 0, (name, ended.text)
            kept.parent.mkdir(exist_ok=True)
            place.rename(kept)
        place = self.folder / "trials" / f"{kept.name}-{os.getpid()}-{random.randrange(2**40):x}"
        return Path(shutil.copytree(kept, place))

    def reference(self, name: str, *, other: bool = False) -> dict[str, str]:
        """What an uninterrupted run leaves; counts its file operations too."""
        if (name, other) not in self._references:
            place = self.place(name)
            report = self.folder / f"operations-{os.getpid()}"
            ended = self.start(name, place, other=other, report=report).wait(300)
            assert ended.code == 0, (name, ended.text)
            self._references[name, other] = contents(place)
            if not other:
                self.operations[name] = int(report.read_text() or 0)
                self.durations[name] = ended.seconds
                self.sizes[name] = sum(path.stat().st_size for path in (place / "out").rglob("*"))
            report.unlink()
            shutil.rmtree(place)
        return self._references[name, other]

    def start(
        self,
        name: str,
        place: Path,
        *,
        other: bool = False,
        overwrite: bool = False,
        at: int = 0,
        report: Path | None = None,
        before: Callable[[], None] | None = None,
    ) -> Child:
        """Start a command in a folder.

        Args:
            name: Of the table.
            place: From :meth:`place`.
            other: With the arguments that make another result.
            overwrite: With ``--overwrite``.
            at: Kill it at this file operation.
            report: Where its operations are counted.
            before: Called in the child first.
        """
        command = COMMANDS[name]
        arguments = [*command.arguments, *command.other * other, *["--overwrite"] * overwrite]

        def work() -> int:
            if before is not None:
                before()
            if at or report is not None:
                Faults(place, at, report).install()
            return command_line(arguments)

        return Child(work, place)


def wrong_marks(place: Path) -> list[str]:
    """What is certified and not so: files that a marker vouches for and that are missing or changed."""
    from taskgan.core.artefact import verify
    from taskgan.core.errors import UserError

    try:
        return verify(place)[1] if place.is_dir() else []
    except UserError:
        return []


def litter(place: Path) -> list[str]:
    """Temporary files, locks and crash reports that nobody needs any more."""
    return [
        path.relative_to(place).as_posix()
        for path in place.rglob("*")
        if path.name.startswith(("taskgan-crash-", ".partial-", ".taskgan.lock")) or path.name.endswith(".previous")
    ]


def sentence_problem(ended: Ended, codes: Sequence[int] = (0, 2, 3)) -> str:
    """What is wrong with how a command ended; empty where nothing is."""
    if ended.cpu >= LIMIT_S or ended.seconds >= _PATIENCE * LIMIT_S:
        return f"took {ended.cpu:.0f} s of the processor, {ended.seconds:.0f} s by the clock"
    if "Traceback" in ended.text or ended.code not in codes:
        return f"ended with {ended.code}: {ended.text[-1500:]}"
    if ended.peak > LIMIT_BYTES:
        return f"took {ended.peak / 2**30:.1f} GiB"
    return ""


def finishes(bench: Bench, name: str, place: Path, *, other: bool = False, overwrite: bool = False) -> str:
    """Call the same command again and compare with the uninterrupted run; gives what is wrong."""
    expected = bench.reference(name, other=other)
    ended = bench.start(name, place, other=other, overwrite=overwrite).wait()
    problem = sentence_problem(ended, (0,))
    if problem:
        return f"the same command again {problem}"
    # Beside the output an earlier result's recognisers may have stayed in the cohort.
    found = {key: value for key, value in contents(place).items() if key in expected or key.startswith("out/")}
    differing = differences(found, expected)
    if differing:
        return f"differs from the uninterrupted run in {', '.join(differing[:4])}"
    left = litter(place)
    return f"leaves {left[0]}" if left else ""


def remove(place: Path) -> None:
    """Remove a trial's folder."""
    shutil.rmtree(place, ignore_errors=True)
