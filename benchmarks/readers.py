"""A reader study's server: 20 readers at once on the loopback, each a thread of this process.

Every reader does what the page does: gets the case and its voxels, saves answers, goes on. Before an answer they pause
for one second, less than people do. What is timed is an answer from the request to the reply, which comes
when it is on the disk.

    python benchmarks/readers.py
"""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "experiments"), str(ROOT / "tests" / "helpers")]

from readers_demo import Visitor, start_server  # noqa: E402

MOST_MS = 200.0


def visit(link: str, seconds: float, pause: float) -> tuple[list[float], int]:
    """Milliseconds of each answer of one reader, and how many cases were read."""
    spent, cases, end = [], 0, time.monotonic() + seconds
    with Visitor(link) as visitor:
        item = visitor.get("/api/state")["item"]
        while item and time.monotonic() < end:
            visitor.voxels(item)
            for question, value in (("decision", {"decision": cases % 2, "confidence": 3}), ("quality", 4)):
                time.sleep(pause)
                began = time.perf_counter()
                visitor.get("/api/answer", {"id": item["id"], "question": question, "value": value, "seconds": pause})
                spent.append(1000 * (time.perf_counter() - began))
            item = visitor.get("/api/next", {"id": item["id"], "seconds": 0.0})["item"]
            cases += 1
    return spent, cases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds before an answer")
    options = parser.parse_args()
    from small_study import small_study
    from taskgan.readers.answers import read_answers
    from taskgan.readers.study import read_study

    with tempfile.TemporaryDirectory() as folder:
        names = tuple(f"reader-{k + 1}" for k in range(options.readers))
        study = small_study(Path(folder), test=40, training=0, readers=names)
        process, links = start_server(study)
        try:
            with ThreadPoolExecutor(options.readers) as pool:
                found = list(pool.map(lambda link: visit(link, options.seconds, options.pause), links))
        finally:
            process.terminate()
            process.wait()
        kept = len(read_answers(read_study(study)))
    spent = np.concatenate([times for times, _ in found])
    cases = sum(count for _, count in found)
    middle, most = np.percentile(spent, [50, 95])
    print(f"{options.readers} readers at once, {len(spent)} answers and {cases} cases in {options.seconds:.0f} s")
    print(f"an answer, on the disk when it is confirmed: median {middle:.1f} ms, 95th percentile {most:.1f} ms")
    print(f"95th percentile {most:.1f} ms (wanted: under {MOST_MS:.0f} ms); {kept} of {cases} closed cases are kept")
    if most >= MOST_MS or kept != cases:
        sys.exit("the benchmark's aims were not met")


if __name__ == "__main__":
    main()
