"""``python -m chaos``: run the suite, one line a class; counts are kept, and a later call goes on."""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from chaos.classes import INPUTS, TRIALS, read_inputs
from chaos.trials import Bench, warm_up

BATCH = 100  # damaged files for one reader in one child
SHORT = {"kill": 30, "stop": 15, "full disk": 15, "together": 8, "damaged input of a command": 30, "inputs": 2300}
LONG = {
    "kill": 1000,
    "stop": 200,
    "full disk": 150,
    "together": 80,
    "damaged input of a command": 400,
    "inputs": 100_000,
}
_SLOW = ("compare", "audit", "sweep", "node serve")  # a fifth of the others' trials
_BATCHES = dict.fromkeys(INPUTS, 6)  # of a round, which has a hundred: readers of 0.6 to 4 ms an input
_BATCHES |= dict.fromkeys(("pairs.csv", "model card", "safetensors", "recogniser", "PyTorch"), 3)  # to 9 ms
_BATCHES |= dict.fromkeys(("MATLAB", "run", "restored", "evaluation"), 1)  # 19 to 103 ms
_ROUND = [name for turn in range(6) for name in INPUTS if turn < _BATCHES[name]]


class Counts:
    """What was tried and what failed, in a file.

    Args:
        folder: Holds ``counts.json`` and ``failures.jsonl``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "counts.json"
        stored = json.loads(path.read_text()) if path.is_file() else {}
        self.tried: dict[str, dict[str, int]] = stored.get("tried", {})
        self.failed: dict[str, dict[str, int]] = stored.get("failed", {})
        self.seeds: dict[str, int] = stored.get("seeds", {})
        self.seconds: float = stored.get("seconds", 0.0)

    def add(self, kind: str, name: str, problems: dict[int, str], tried: int) -> None:
        """Count trials of a kind; problems by their number."""
        for table, count in ((self.tried, tried), (self.failed, len(problems))):
            part = table.setdefault(kind, {})
            part[name] = part.get(name, 0) + count
        with (self._folder / "failures.jsonl").open("a") as handle:
            for number, problem in problems.items():
                handle.write(json.dumps({"kind": kind, "name": name, "number": number, "problem": problem}) + "\n")

    def save(self) -> None:
        """Write the counts."""
        partial = self._folder / "counts.json.partial"
        values = {"tried": self.tried, "failed": self.failed, "seeds": self.seeds, "seconds": round(self.seconds)}
        partial.write_text(json.dumps(values, indent=1))
        partial.replace(self._folder / "counts.json")

    def total(self, kind: str) -> tuple[int, int]:
        """Tried and failed."""
        return sum(self.tried.get(kind, {}).values()), sum(self.failed.get(kind, {}).values())


def plan(counts: Counts, goals: dict[str, int]) -> Iterator[tuple[str, str, int]]:
    """What to do next, classes in turn and names in turn; a later call goes on where the last one stopped."""
    while True:
        left = [kind for kind, goal in goals.items() if counts.total(kind)[0] < goal]
        if not left:
            return
        for kind in left:
            names = _ROUND if kind == "inputs" else TRIALS[kind][1]
            turn = counts.seeds.get(f"{kind} turn", 0)
            counts.seeds[f"{kind} turn"] = turn + 1
            name = names[turn % len(names)]
            if name in _SLOW and turn >= len(names) and (turn // len(names)) % 5:
                continue
            number = counts.seeds.get(f"{kind}/{name}", 0)
            counts.seeds[f"{kind}/{name}"] = number + (BATCH if kind == "inputs" else 1)
            yield kind, name, number


_BENCH: Bench


def one(task: tuple[str, str, int]) -> tuple[str, str, int, dict[int, str]]:
    """Do one task of the plan; gives how many trials it was and what is wrong."""
    kind, name, number = task
    if kind == "inputs":
        return kind, name, BATCH, read_inputs(_BENCH, name, range(number, number + BATCH))
    try:
        problem = TRIALS[kind][0](_BENCH, name, number)
    except Exception as error:
        problem = f"the suite itself: {type(error).__name__}: {error}"
    return kind, name, int(problem is not None), {number: problem} if problem else {}


def run(folder: Path, goals: dict[str, int], workers: int) -> Counts:
    """Try until the goals are reached."""
    global _BENCH
    counts = Counts(folder)
    warm_up()
    _BENCH = Bench(folder)
    _BENCH.prepare()
    began, before = time.monotonic(), counts.seconds
    with get_context("fork").Pool(workers) as pool:
        tasks = plan(counts, goals)
        # No chunks, and little ahead: what is planned and not yet done is lost when this process is killed.
        waiting = [pool.apply_async(one, (task,)) for task, _ in zip(tasks, range(workers), strict=False)]
        while waiting:
            ready = next((w for w in waiting if w.ready()), None)
            if ready is None:
                time.sleep(0.01)
                continue
            waiting.remove(ready)
            kind, name, tried, problems = ready.get()
            counts.add(kind, name, problems, tried)
            for problem in problems.values():
                sys.stderr.write(f"{kind}, {name}: {problem[-600:]}\n")
            counts.seconds = before + time.monotonic() - began
            counts.save()
            following = next(tasks, None)
            if following is not None:
                waiting.append(pool.apply_async(one, (following,)))
    return counts


def publish(counts: Counts, target: Path, command: str) -> None:
    """Write the counts with command, machine, versions and date."""
    from taskgan.core.files import versions, write_json

    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "")
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    kinds = [*TRIALS, "inputs"]
    totals = {kind: dict(zip(("tried", "failed"), counts.total(kind), strict=True)) for kind in kinds}
    write_json(
        target,
        {
            "command": command,
            "commit": commit,
            "date": time.strftime("%Y-%m-%d"),
            "device": f"{cpu.partition(': ')[2] or platform.machine()}, {os.cpu_count()} cores, no GPU",
            "versions": versions(),
            "seconds": round(counts.seconds),
            "totals": totals,
            "by_name": {
                kind: {"tried": counts.tried.get(kind), "failed": counts.failed.get(kind, {})} for kind in kinds
            },
        },
    )


def sentence(published: dict[str, Any]) -> str:
    """What the README says of published counts."""
    words = dict(zip(published["totals"], _WORDS, strict=True))
    tried = [f"{one['tried']:,} {words[kind]}" for kind, one in published["totals"].items()]
    failed = sum(one["failed"] for one in published["totals"].values())
    return f"Tried so far: {', '.join(tried)}; {failed} failed ({published['date']})."


_WORDS = (
    "kills",
    "stops",
    "full disks",
    "times several processes on one folder",
    "commands with a damaged input",
    "damaged files",
)


def main() -> int:
    """Exit code 1 where something failed."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--long", action="store_true", help="1,000 kills and 100,000 inputs; resumes in FOLDER")
    parser.add_argument("--folder", type=Path, help="state and trials; a fresh temporary one where it is not given")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scale", type=float, default=1.0, help="multiply the counts")
    parser.add_argument("--only", help="one class of trials")
    parser.add_argument("--publish", type=Path, help="write the counts of FOLDER to this file, and try nothing")
    options = parser.parse_args()
    if options.publish:
        publish(Counts(options.folder), options.publish, "make chaos-long")
        return 0
    goals = {kind: round(n * options.scale) for kind, n in (LONG if options.long else SHORT).items()}
    goals = {kind: n for kind, n in goals.items() if options.only in (None, kind)}
    random.seed()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as fresh:
        counts = run(options.folder or Path(fresh), goals, options.workers)
    for kind in goals:
        tried, failed = counts.total(kind)
        sys.stdout.write(f"{kind}: {tried} tried, {failed} failed\n")
    return int(any(counts.total(kind)[1] for kind in goals))


if __name__ == "__main__":
    sys.exit(main())
