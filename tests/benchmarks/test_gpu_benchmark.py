"""The GPU's benchmark runs where there is no GPU, and says of what it could not measure that it did not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


@pytest.mark.parametrize("part", ["restoring", "cuda_tests"])
def test_a_part_gives_figures_or_says_that_it_has_none(part: str) -> None:
    words = [sys.executable, str(SCRIPT), "--part", part, "--device", "cpu", "--quick"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    if part == "restoring":
        assert figures["32"] > 0
        assert figures["bf16"] > 0
    else:
        assert figures == {"tests": "not measured: no CUDA"}


@pytest.mark.slow
def test_the_whole_call_runs_on_a_cpu(tmp_path: Path) -> None:
    words = [sys.executable, str(SCRIPT), "--device", "cpu", "--quick", "--json", str(tmp_path / "gpu.json")]
    subprocess.run(words, capture_output=True, check=True, timeout=500)
    figures = json.loads((tmp_path / "gpu.json").read_text())
    assert figures["missing"] == []
    assert figures["train_steps"]["task_gan 32"] > 0
    assert figures["two_processes"] == {"two processes": "works"}
