"""Restoring a 256×256×89 volume with the paper's U-Net: time against a plain loop, peak memory, accuracy.

The plain loop is the same network as PyTorch runs it: float32, one slice at a time. Blocks of slices are timed
in turn by every method, so that other work on the machine slows all of them alike; the ratio is that of the
whole volume. Peak memory is that of ``taskgan restore --engine auto`` in a process of its own, file to file; its
first call measures the engines, the second is the one that is reported. The 3D restorer (recipe pet-volume-demo) goes
through the same volume likewise.

    python benchmarks/restore.py --json results.json
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SHAPE = (256, 256, 89)
MOST_MEMORY_MB = 1500
LEAST_SPEEDUP = 2.5
MOST_OF_LOOP = 0.6  # whole command, NIfTI to NIfTI, over the plain loop alone
MOST_OF_2D = 4.0  # the 3D restorer's command over the 2D network's
MOST_MEMORY_3D_MB = 3000

_CHILD = """
import sys, time
from pathlib import Path
began = time.monotonic()
from taskgan.restore.run import restore
restore(Path(sys.argv[1]), [Path(sys.argv[2])], Path(sys.argv[3]), threads=int(sys.argv[4]), engine=sys.argv[5],
        overwrite=True)
print("seconds", time.monotonic() - began)
lines = Path("/proc/self/status").read_text().splitlines()
print("peak_mb", int(next(l for l in lines if l.startswith("VmHWM")).split()[1]) / 1024)
"""


def phantom() -> tuple[np.ndarray, np.ndarray]:
    """An ellipsoid of activity with folds in it, in Bq/ml, empty outside: with noise, and without."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij", sparse=True)
    inside = (x / 0.7) ** 2 + (y / 0.85) ** 2 + (z / 0.95) ** 2 < 1
    clean = inside * 5000 * (1 + 0.4 * np.sin(25 * x) * np.sin(21 * y) * np.cos(9 * z))
    counts = np.random.default_rng(0).poisson(clean / 500)
    return (counts * 500).astype(np.float32), clean.astype(np.float32)


def write_paper_model(folder: Path, noisy: np.ndarray, clean: np.ndarray, steps: int) -> None:
    """The paper's U-Net from random weights, after a few steps so that its output is an image.

    Time does not depend on the weights, but the error of bfloat16 does: random weights give noise, in which it
    is several times larger than in a restored image.
    """
    import torch

    from taskgan.images.intensity import fit_intensity
    from taskgan.networks.generator import generator_network
    from taskgan.recipe import Data, Generator, Recipe

    recipe = Recipe()
    scale = fit_intensity(recipe.data.intensity, noisy).scale
    torch.manual_seed(0)
    network = generator_network(Generator(), Data()).train()
    network = network.to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(network.parameters(), 2e-4, betas=(0.5, 0.999))
    slices = np.random.default_rng(1).integers(15, 75, (steps, 2))
    for chosen in slices:
        x, y = (
            torch.from_numpy(np.moveaxis(image[64:192, 64:192, chosen], 2, 0)[:, None] / np.float32(scale))
            for image in (noisy, clean)
        )
        loss = (network(x) - y).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    write_card(folder, network, recipe, scale)


def write_card(folder: Path, network: Any, recipe: Any, scale: float) -> None:
    """A model folder that the verb restores with."""
    from taskgan.model.folder import ModelCard, TrainingDomain, write_model

    card = ModelCard(
        name=folder.name,
        objective="task_gan",
        seed=0,
        step=0,
        generator=recipe.generator,
        data=recipe.data,
        task=recipe.task,
        judge=recipe.judge,
        seen=TrainingDomain(
            cohort="none",
            fingerprint="none",
            subjects=1,
            voxel_size=((1.17, 1.17), (1.17, 1.17), (2.78, 2.78)),
            plane=((256, 256), (256, 256)),
            scale=(scale, scale),
        ),
    )
    write_model(folder, network.state_dict(), card)


def write_volume_model(folder: Path, noisy: np.ndarray) -> None:
    """The 3D restorer of ``pet-volume-demo``, untrained: its time does not depend on the weights."""
    import torch

    from taskgan.images.intensity import fit_intensity
    from taskgan.networks.generator import generator_network
    from taskgan.recipe import read_recipe

    recipe = read_recipe("pet-volume-demo")
    torch.manual_seed(0)
    network = generator_network(recipe.generator, recipe.data)
    write_card(folder, network, recipe, fit_intensity(recipe.data.intensity, noisy).scale)


def from_file_to_file(work: Path, model: str, image: np.ndarray, threads: int) -> dict[str, Any]:
    """Seconds (imports included), peak memory, and what ``auto`` took, of the verb called once more."""
    from taskgan.images.volumes import read_sidecar, write_volume

    write_volume(work / "pet.nii.gz", image, np.diag([1.17, 1.17, 2.78, 1]))
    arguments = [str(work / model), str(work / "pet.nii.gz"), str(work / "restored.nii.gz"), str(threads), "auto"]
    cache = os.environ | {"XDG_CACHE_HOME": str(work / "cache")}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, *arguments], check=True, capture_output=True, text=True, env=cache
        )
    used = read_sidecar(work / "restored.nii.gz")["GeneratedBy"][-1]["Settings"]
    return {k: float(v) for k, v in (s.split() for s in done.stdout.splitlines()[-2:])} | {
        "precision": used["precision_used"],
        "engine": used["engine_used"],
        "bf16_error_of_brightest_slice": used.get("bf16_error"),
    }


def time_blocks(work: Path, image: np.ndarray, block: int) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Seconds a volume and the restored slices that hold anything, by method; the methods take turns block by block."""
    import torch

    from taskgan.cohort.slices import to_slices
    from taskgan.model.engines import is_installed
    from taskgan.model.folder import build_generator, read_model
    from taskgan.model.restorer import Restorer

    state, card = read_model(work / "model")
    plain = build_generator(state, card)
    kinds: list[tuple[Any, Any]] = [("torch", "32"), ("torch", "bf16")]
    kinds += [("onnxruntime", "32")] if is_installed("onnxruntime") else []
    kinds += [("openvino", "32"), ("openvino", "bf16")] if is_installed("openvino") else []
    restorers = {
        f"{engine} {precision}": Restorer.from_folder(work / "model", precision=precision, engine=engine)
        for engine, precision in kinds
    }
    inputs = to_slices(image / np.float32(card.seen.scale[0]))[:, None]

    def loop(slices: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return np.concatenate([plain(torch.from_numpy(one[None]))[:, 0].numpy() for one in slices])

    methods = {"plain loop": loop, **{name: each.restore_slices for name, each in restorers.items()}}
    seconds = dict.fromkeys(methods, 0.0)
    results: dict[str, list[np.ndarray]] = {name: [] for name in methods}
    for method in methods.values():
        method(inputs[:2])
    for start in range(0, len(inputs), block):
        for name, method in methods.items():
            began = time.perf_counter()
            restored = method(inputs[start : start + block])
            seconds[name] += time.perf_counter() - began
            results[name].append(restored)
    measured = inputs.any(axis=(1, 2, 3))  # where nothing was, restoring gives zero, and the bare network something
    return seconds, {name: np.concatenate(parts)[measured] for name, parts in results.items()}


def differences(results: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """How far each method is from the plain loop, relative to the loop's range and size."""
    exact = results["plain loop"].astype(np.float64)
    found = {}
    for name, restored in results.items():
        off = restored - exact
        found[name] = {
            "max_of_range": float(np.abs(off).max() / exact.max()),
            "relative_rms": float(np.sqrt((off**2).mean() / (exact**2).mean())),
            "bias_of_mean": float(off.mean() / exact.mean()),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the results here")
    parser.add_argument("--slices", type=int, default=SHAPE[2], help="time only this many")
    parser.add_argument("--block", type=int, default=8, help="slices that a method takes at a turn")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--steps", type=int, default=15, help="training steps before, see write_paper_model")
    options = parser.parse_args()
    noisy, clean = phantom()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_paper_model(work / "model", noisy, clean, options.steps)
        write_volume_model(work / "volume", noisy)
        whole = from_file_to_file(work, "model", noisy, options.threads)
        volume = from_file_to_file(work, "volume", noisy, options.threads)
        import torch

        torch.set_num_threads(options.threads)
        first = (SHAPE[2] - options.slices) // 2
        middle = noisy[..., first : first + options.slices]
        seconds, results = time_blocks(work, middle, options.block)
    per_slice = {name: 1000 * value / options.slices for name, value in seconds.items()}
    speedup = {name: seconds["plain loop"] / value for name, value in seconds.items()}
    loop_s = per_slice["plain loop"] * SHAPE[2] / 1000
    off = differences(results)
    taken = f"{whole['engine']} {whole['precision']}"
    report = {
        "shape": [*SHAPE[:2], options.slices],
        "threads": options.threads,
        "machine": platform.machine(),
        "torch": torch.__version__,
        "ms_per_slice": {k: round(v, 1) for k, v in per_slice.items()},
        "speedup": {k: round(v, 2) for k, v in speedup.items()},
        "difference": off,
        "file_to_file": whole | {"plain_loop_seconds": loop_s},
        "volume_file_to_file": volume,
        "auto_speedup": speedup[taken],
        "wanted": {
            "speedup": LEAST_SPEEDUP,
            "peak_mb": MOST_MEMORY_MB,
            "of_loop": MOST_OF_LOOP,
            "volume_of_2d": MOST_OF_2D,
            "volume_peak_mb": MOST_MEMORY_3D_MB,
        },
        "met": {
            "speedup": speedup[taken] >= LEAST_SPEEDUP,
            "peak_mb": whole["peak_mb"] < MOST_MEMORY_MB,
            "of_loop": whole["seconds"] < MOST_OF_LOOP * loop_s,
            "volume_of_2d": volume["seconds"] < MOST_OF_2D * whole["seconds"],
            "volume_peak_mb": volume["peak_mb"] < MOST_MEMORY_3D_MB,
        },
    }
    for name, value in per_slice.items():
        mark = "  <- auto" if name == taken else ""
        print(
            f"{name:<14} {value:7.1f} ms/slice  {speedup[name]:5.2f} × the plain loop  off by at most "
            f"{off[name]['max_of_range']:.1e} of the range, {off[name]['relative_rms']:.1e} rms{mark}"
        )
    print(
        f"taskgan restore, file to file: {whole['seconds']:.1f} s, {whole['seconds'] / loop_s:.2f} of the plain loop "
        f"alone ({loop_s:.1f} s; wanted: under {MOST_OF_LOOP}); {whole['engine']} {whole['precision']}"
    )
    print(f"peak memory {whole['peak_mb']:.0f} MB (wanted: under {MOST_MEMORY_MB})")
    print(
        f"3D restorer, file to file: {volume['seconds']:.1f} s, {volume['seconds'] / whole['seconds']:.2f} × the 2D "
        f"network's (wanted: under {MOST_OF_2D:g}), peak {volume['peak_mb']:.0f} MB (wanted: under "
        f"{MOST_MEMORY_3D_MB}); {volume['engine']} {volume['precision']}"
    )
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    if missed := [name for name, met in report["met"].items() if not met]:
        sys.exit(f"not met: {', '.join(missed)}")


if __name__ == "__main__":
    main()
