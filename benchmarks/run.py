"""Run every benchmark, one after the other, and keep what each printed under ``results/benchmarks``.

python benchmarks/run.py            # all of them, about a quarter of an hour on two idle cores
python benchmarks/run.py restore    # one
"""

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from taskgan.core.files import versions, write_text

ROOT = Path(__file__).parents[1]
COMMANDS = {
    "projector": ["benchmarks/projector.py"],
    "simulate_pet": ["benchmarks/simulate_pet.py", "--subjects", "40"],
    "simulate_pet_full_scale": ["benchmarks/simulate_pet.py", "--full-scale"],
    "train_step": ["benchmarks/train_step.py"],
    "train_step_bf16": ["benchmarks/train_step.py", "--set", "machine.precision=bf16"],
    "restore": ["benchmarks/restore.py"],
    "audit": ["benchmarks/audit.py"],
    "relaxometry": ["benchmarks/relaxometry.py"],
    "dicom": ["benchmarks/dicom.py"],
    "readers": ["benchmarks/readers.py"],
    "cluster": ["benchmarks/cluster.py"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(COMMANDS))
    names = parser.parse_args().names or list(COMMANDS)
    unknown = [name for name in names if name not in COMMANDS]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(COMMANDS)}")
    failed = [name for name in names if not run(name)]
    if failed:
        sys.exit(f"missed what it is held to: {', '.join(failed)}")


def run(name: str) -> bool:
    """Run one, show it as it goes, keep it; whether it exited with 0."""
    shown = " ".join(["python", *COMMANDS[name]])
    print(f"$ {shown}", flush=True)
    lines = []
    command = [sys.executable, "-u", *COMMANDS[name]]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout or ():
            line = re.sub(rf"{re.escape(tempfile.gettempdir())}/[^/\s]*/?", "", line)
            print(line, end="", flush=True)
            lines.append(line)
    head = f"$ {shown}\n{device()}\n{', '.join(f'{k} {v}' for k, v in versions().items())}\n\n"
    write_text(ROOT / "results" / "benchmarks" / f"{name}.txt", head + "".join(lines))
    return process.returncode == 0


def device() -> str:
    """The processor in words, and how many cores there are."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    model = named[0] if named else platform.processor() or platform.machine()
    return f"{model}, {os.cpu_count()} cores"


if __name__ == "__main__":
    main()
