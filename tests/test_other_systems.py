"""macOS and Windows lack modules and functions that Linux has: everything works without them."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys
from pathlib import Path

for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None  # importing it is an ImportError
for name in ("sched_getaffinity", "fork", "forkpty", "getuid", "geteuid", "getpgid", "killpg", "statvfs", "mkfifo"):
    if hasattr(os, name):
        delattr(os, name)

import importlib, pkgutil
import taskgan

for module in pkgutil.walk_packages(taskgan.__path__, "taskgan."):
    if module.name.rpartition(".")[2] not in ("__main__", "mat_child"):
        importlib.import_module(module.name)

import numpy as np
from PIL import Image
from taskgan.cli.entry import main

def taskgan_cli(*arguments):
    sys.argv = ["taskgan", *arguments]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, arguments

rng = np.random.default_rng(0)
for number in range(8):
    for kind, noise in (("low", 40), ("high", 0)):
        Path(kind).mkdir(exist_ok=True)
        smooth = np.linspace(60, 180, 32)[:, None] + 5 * number + noise * rng.normal(size=(32, 32))
        Image.fromarray(np.clip(smooth, 0, 255).astype(np.uint8)).save(f"{kind}/{number}.png")
taskgan_cli("prepare", "pairs", "low", "high", "cohort")
small = ["generator.width=4", "generator.max_width=8", "generator.depth=2", "discriminator.widths=[4,8]",
         "optimiser.steps=4", "optimiser.batch_size=2", "validation.every=2", "validation.save_every=2",
         "data.workers=0", "machine.accelerator=cpu", "machine.compile=false", "machine.precision='32'",
         "machine.channels_last=false", "data.augment.shift=0"]
taskgan_cli("train", "photo", "cohort", "run", *[word for one in small for word in ("--set", one)])
taskgan_cli("restore", "run/model", "cohort", "--split", "test", "-o", "out")
taskgan_cli("restore", "run/model", "cohort", "--split", "test", "-o", "out")
taskgan_cli("info", "--verify", "out")
print("all of it")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="that is one of them")
def test_without_what_only_linux_has(tmp_path: Path) -> None:
    source = Path(__file__).parents[1] / "src"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env={"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1", "HOME": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout.endswith("all of it\n"), done.stdout + done.stderr
