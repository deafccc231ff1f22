"""Every figure of a GPU in one call of under nine minutes, on an offline machine with its own torch.

    PYTHONPATH=src python benchmarks/gpu.py --wheels WHEELS --json gpu.json   # what is missing comes from the folder
    PYTHONPATH=src python benchmarks/gpu.py --device cpu --quick              # how it is tested without one

Python 3.11 or 3.12. Each part runs in a process of its own with a limit of time, so that one that fails takes no
other with it; what was not run, or failed, is called not measured.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NEEDED = ("numpy", "scipy", "pandas", "nibabel", "PIL", "pydantic", "yaml", "typer", "rich", "safetensors")
WHEELS = {"PIL": "pillow", "yaml": "PyYAML"}
LIMIT_S = 520.0
ROOT = Path(__file__).parents[1]


def install_missing(wheels: Path | None) -> list[str]:
    """Install what is missing from a folder of wheels, never torch; what is missing still."""
    missing = [name for name in (*NEEDED, "filelock", "lightning_fabric") if find_spec(name) is None]
    if missing and wheels is not None:
        names = [WHEELS.get(name, name.replace("_", "-")) for name in missing]
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--find-links", str(wheels)]
        subprocess.run([*pip, *names], check=False)
    return [name for name in missing if find_spec(name) is None]


def synchronise(device: str) -> None:
    """Wait for the device."""
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def rate(work: Callable[[], object], device: str, seconds: float) -> float:
    """Calls a second, after two that warm up."""
    for _ in range(2):
        work()
    synchronise(device)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        work()
        synchronise(device)
        count += 1
    return count / (time.perf_counter() - began)


def train_steps(device: str, quick: bool) -> dict[str, Any]:
    """Training steps a second of every objective by precision, against the plain pix2pix loop in float32."""
    import torch

    from taskgan.recipe import read_recipe
    from taskgan.train.devices import MachineChoice, torch_switches
    from train_step import ours, plain

    name, size, seconds = ("pet-demo", 32, 0.2) if quick else ("pet", 256, 4.0)
    base = read_recipe(name, [f"machine.accelerator={device}", "machine.precision=32", "machine.compile=false"])
    figures: dict[str, Any] = {}
    kinds = {"32": ("32", False), "bf16": ("bf16", False)}
    kinds |= {} if quick else {"16": ("16", False), "bf16 compiled": ("bf16", True)}
    place = torch.device(device)
    for objective in ("l1", "gan", "task_gan"):
        recipe = base.model_copy(update={"objective": objective})
        with torch_switches(recipe.machine, place):
            figures[f"{objective} plain"] = rate(plain(recipe, size, place), device, seconds)
            for kind, (precision, compiled) in kinds.items():
                choice = MachineChoice(precision, device == "cuda", compiled)
                try:
                    figures[f"{objective} {kind}"] = rate(ours(recipe, size, choice), device, seconds)
                except Exception as error:
                    figures[f"{objective} {kind}"] = f"not measured: {type(error).__name__}"
    return figures


def restoring(device: str, quick: bool) -> dict[str, Any]:
    """Slices a second of the paper's U-Net, and of CUDA graphs of it."""
    import torch

    from taskgan.model.engines import fold_batch_norms
    from taskgan.networks.generator import UNet

    size, batch, seconds = (32, 2, 0.2) if quick else (256, 16, 3.0)
    torch.manual_seed(0)
    built = UNet(in_channels=1, width=8, depth=4) if quick else UNet(in_channels=1)
    network = fold_batch_norms(built).to(device)
    images = torch.rand(batch, 1, size, size, device=device)
    figures: dict[str, Any] = {}
    with torch.inference_mode():
        figures["32"] = batch * rate(lambda: network(images), device, seconds)
        with torch.autocast(device, dtype=torch.bfloat16):
            figures["bf16"] = batch * rate(lambda: network(images), device, seconds)
        if device == "cuda":
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                network(images)
            figures["32 as a CUDA graph"] = batch * rate(graph.replay, device, seconds)
            figures["peak_mb"] = torch.cuda.max_memory_allocated() / 2**20
    return figures


def cuda_tests(device: str, quick: bool) -> dict[str, Any]:
    """The tests that need CUDA."""
    if device != "cuda":
        return {"tests": "not measured: no CUDA"}
    words = [sys.executable, "-m", "pytest", "-q", "-k", "cuda or gpu", "tests/train", "tests/model"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    return {"tests": (done.stdout.strip().splitlines() or [done.stderr[-200:]])[-1]}


def two_processes(device: str, quick: bool) -> dict[str, Any]:
    """A sum over two processes: NCCL (on one card where it allows that), gloo on the CPU."""
    code = (
        "import torch, torch.distributed as d, sys; d.init_process_group(sys.argv[1]);"
        "x = torch.ones(1, device=sys.argv[2]); d.all_reduce(x); assert float(x) == 2; d.destroy_process_group()"
    )
    script = ["-c", code, "nccl" if device == "cuda" else "gloo", "cuda:0" if device == "cuda" else "cpu"]
    words = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "--no-python"]
    done = subprocess.run([*words, sys.executable, *script], capture_output=True, text=True, timeout=90, check=False)
    return {"two processes": "works" if done.returncode == 0 else f"not measured: exit code {done.returncode}"}


PARTS: dict[str, tuple[Callable[[str, bool], dict[str, Any]], float]] = {
    "train_steps": (train_steps, 240.0),
    "restoring": (restoring, 60.0),
    "cuda_tests": (cuda_tests, 130.0),
    "two_processes": (two_processes, 100.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="small networks, fractions of a second")
    parser.add_argument("--wheels", type=Path, help="folder of wheels for what is missing")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--part", choices=list(PARTS), help="run this one here")
    asked = parser.parse_args()
    if asked.part:
        sys.stdout.write("\n" + json.dumps(PARTS[asked.part][0](asked.device, asked.quick)) + "\n")
        return
    began = time.monotonic()
    missing = install_missing(asked.wheels)
    command = " ".join(["python", "benchmarks/gpu.py", *sys.argv[1:]])
    figures: dict[str, Any] = {"missing": missing, "command": command}
    for name, (_, limit) in PARTS.items():
        left = min(limit, LIMIT_S - (time.monotonic() - began))
        words = [sys.executable, __file__, "--part", name, "--device", asked.device, *["--quick"] * asked.quick]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=max(left, 1), check=False)
            last = done.stdout.strip().splitlines()[-1:] or [""]
            figures[name] = json.loads(last[0]) if done.returncode == 0 else f"not measured: {done.stderr[-300:]}"
        except subprocess.TimeoutExpired:
            figures[name] = f"not measured: over {left:.0f} s"
        print(name, json.dumps(figures[name], ensure_ascii=False), flush=True)
    figures["seconds"] = round(time.monotonic() - began, 1)
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
