"""The classes of trials: kills, full disks, several processes, signals, damaged inputs."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from chaos.commands import COMMANDS, Command
from chaos.readers import READERS, inputs
from chaos.trials import LIMIT_S, Bench, Child, command_line, finishes, remove, sentence_problem, wrong_marks

_ENDING = 40  # operations
STOP_S = 3.0  # of the processor, from the signal to the end
Trial = Callable[[Bench, str, int], str | None]
"""Called with a name and a number; gives what is wrong, empty where nothing is, None where it does not count."""

DAMAGED = {name: command for name, command in COMMANDS.items() if command.inputs} | {
    "train on": Command(("train", "tiny.yaml", "cohort", "run"), ("tiny.yaml", "cohort", "run")),
    "restore on": Command(
        ("restore", "run/model", "cohort", "-o", "restored", "--split", "test"), ("run", "cohort", "restored")
    ),
    "evaluate on": Command(
        ("evaluate", "restored", "cohort", "-o", "evaluation"), ("restored", "cohort", "evaluation")
    ),
    "audit an evaluation": Command(("audit", "evaluation", "-o", "out", "--figures", "1"), ("evaluation", "cohort")),
    **{f"info {name}": Command(("info", name), (name,)) for name in ("run", "restored", "evaluation", "cohort")},
    "info --verify": Command(("info", "--verify", "."), ("run", "restored", "evaluation")),
}
"""Commands whose inputs are damaged: those of the table, and those that find something of their own."""


def kill(bench: Bench, name: str, number: int) -> str | None:
    """SIGKILL at a file operation, or at a random time; then the same command again."""
    rng = random.Random(f"kill/{name}/{number}")
    bench.reference(name)
    overwrite = bool(COMMANDS[name].other) and number % 2 == 1
    place = bench.finished(name) if overwrite else bench.place(name)
    try:
        if rng.random() < 0.25:
            child = bench.start(name, place, overwrite=overwrite)
            time.sleep(rng.uniform(0, bench.durations[name]))
            child.signal(signal.SIGKILL)
        else:
            # The marker is written last: what happens around it is a small part of all operations.
            last = bench.operations[name]
            first = max(1, last - _ENDING) if rng.random() < 0.4 else 1
            child = bench.start(name, place, overwrite=overwrite, at=rng.randint(first, last))
        ended = child.wait()
        if ended.code != -signal.SIGKILL:
            return sentence_problem(ended, (0,)) or None
        false = wrong_marks(place)
        if false:
            return f"falsely certified: {false[0]}"
        if overwrite:
            again = bench.start(name, place).wait()
            problem = sentence_problem(again, (0, 2))
            if problem or again.code == 0:
                return problem or finishes(bench, name, place)
        return finishes(bench, name, place, overwrite=overwrite)
    finally:
        remove(place)


def stop(bench: Bench, name: str, number: int) -> str | None:
    """SIGTERM or Ctrl-C at a random time; then the same command again."""
    rng = random.Random(f"stop/{name}/{number}")
    bench.reference(name)
    what, code = ((signal.SIGTERM, 143), (signal.SIGINT, 130))[number % 2]
    place = bench.place(name)
    try:
        child = bench.start(name, place)
        time.sleep(0.1 + rng.uniform(0, bench.durations[name]))
        child.signal(what)
        ended = child.wait()
        problem = sentence_problem(ended, (0, code)) or "\n".join(wrong_marks(place)[:1])
        if not problem and ended.code == code and ended.after_signal > STOP_S:
            problem = f"took {ended.after_signal:.1f} s of the processor to stop"
        return problem or finishes(bench, name, place)
    finally:
        remove(place)


def full_disk(bench: Bench, name: str, number: int) -> str | None:
    """Too little room for the output: a small tmpfs (root), or files that may not grow; then enough of it."""
    rng = random.Random(f"disk/{name}/{number}")
    bench.reference(name)
    place = bench.place(name)
    used = sum(-(-path.stat().st_size // 4096) * 4096 + 4096 for path in place.rglob("*"))
    mounted = os.geteuid() == 0 and number % 3 > 0
    try:
        if mounted:
            held = place.with_name(place.name + "-held")
            place.rename(held)
            place.mkdir()
            size = used + 65536 + rng.randrange(max(4096, bench.sizes[name]))
            mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
            mounted = subprocess.run(mount, check=False).returncode == 0
            shutil.copytree(held, place, dirs_exist_ok=True)
            remove(held)
            ended = bench.start(name, place).wait()
            if mounted:
                subprocess.run(["mount", "-o", "remount,size=1g", str(place)], check=True)
        else:
            ended = bench.start(name, place, before=_no_growth(rng.randrange(1, 60_000))).wait()
        problem = sentence_problem(ended, (0, 3)) or "\n".join(wrong_marks(place)[:1])
        return problem or finishes(bench, name, place)
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(place)], check=False)
        remove(place)


def _no_growth(size: int) -> Callable[[], None]:
    def limit() -> None:
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def together(bench: Bench, name: str, number: int) -> str | None:
    """Two or four processes on one folder, a part of them with other settings."""
    rng = random.Random(f"together/{name}/{number}")
    others = [bool(COMMANDS[name].other) and rng.random() < 0.3 for _ in range(rng.choice((2, 2, 4)))]
    place = bench.place(name)
    try:
        children = []
        for other in others:
            children.append(bench.start(name, place, other=other))
            time.sleep(rng.choice((0.0, 0.0, rng.uniform(0, 1))))
        ended = [child.wait(2 * LIMIT_S) for child in children]
        for one in ended:
            if "Traceback" in one.text or one.code not in (0, 2):
                return f"ended with {one.code}: {one.text[-1500:]}"
        done = {other for other, one in zip(others, ended, strict=True) if one.code == 0}
        if len(done) != 1:
            return f"{len(done)} of the settings are said to be done: {[(o.code, o.text[-300:]) for o in ended]}"
        return "\n".join(wrong_marks(place)[:1]) or finishes(bench, name, place, other=done.pop())
    finally:
        remove(place)


def damaged(bench: Bench, name: str, number: int) -> str | None:
    """A command whose inputs hold one damaged file: success or one sentence."""
    from chaos.mutate import mutate

    rng = random.Random(f"damaged/{name}/{number}")
    command = DAMAGED[name]
    place = bench.copies(name, command)
    try:
        files = [path for path in sorted(place.rglob("*")) if path.is_file() and path.suffix != ".html"]
        kind = rng.choice(sorted({path.suffix for path in files}))
        file = rng.choice([path for path in files if path.suffix == kind])
        file.write_bytes(mutate(kind, file.read_bytes(), rng))
        ended = Child(lambda: command_line(("-v", *command.arguments)), place).wait()
        problem = sentence_problem(ended)
        return f"{file.relative_to(place)}: {problem}" if problem else ""
    finally:
        remove(place)


def read_inputs(bench: Bench, name: str, numbers: range) -> dict[int, str]:
    """Damaged files for one reader, in one child; gives what is wrong, by number.

    A child that dies, or stands still for 60 s, fails at the input that it was reading.
    """
    corpus = bench.folder / "corpus"
    problems: dict[int, str] = {}
    start = numbers.start
    while start < numbers.stop:
        scratch = bench.folder / "trials" / f"inputs-{os.getpid()}-{random.randrange(2**40):x}"
        scratch.mkdir(parents=True)
        told = scratch / "told"
        left = range(start, numbers.stop)

        def work(left: range = left, scratch: Path = scratch, told: Path = told) -> int:
            with told.open("w", buffering=1) as handle:
                for number, problem in inputs(name, corpus, scratch, left):
                    handle.write(f"{number} {problem!r}\n")
            return 0

        ended = Child(work, scratch).wait(progress=told)
        lines = told.read_text().splitlines() if told.exists() else []
        for line in lines:
            number, _, text = line.partition(" ")
            if text != "''":
                problems[int(number)] = text
        start += len(lines)
        if start < numbers.stop:
            problems[start] = f"the process ended with {ended.code} after {ended.seconds:.0f} s: {ended.text[-1500:]}"
            start += 1
        remove(scratch)
    return problems


TRIALS: dict[str, tuple[Trial, tuple[str, ...]]] = {
    "kill": (kill, tuple(COMMANDS)),
    "stop": (stop, tuple(COMMANDS)),
    "full disk": (full_disk, tuple(COMMANDS)),
    "together": (together, tuple(COMMANDS)),
    "damaged input of a command": (damaged, tuple(DAMAGED)),
}
INPUTS = tuple(READERS)
