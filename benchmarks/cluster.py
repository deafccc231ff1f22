"""Seconds to restore N subjects on a Dask scheduler with two local workers: what a subject costs must not grow with N.

    python benchmarks/cluster.py                 # wanted: at 8 times the subjects at most 1.5 times the cost of each
    python benchmarks/cluster.py --subjects 25 50

Images are tiny, so that the time is that of tables, tasks, sidecars and checksums and not that of the network.
"""

import argparse
import sys
import tempfile
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import torch
from distributed import LocalCluster

from taskgan.cohort.pairs import write_pairs
from taskgan.images.volumes import write_volume
from taskgan.model.folder import ModelCard, TrainingDomain, write_model
from taskgan.networks.generator import generator_network
from taskgan.recipe import Data, Generator, Recipe
from taskgan.restore.run import restore

MOST = 1.5
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


def make_model(folder: Path) -> Path:
    """An untrained small U-Net: what it makes does not matter here."""
    torch.manual_seed(0)
    shape, recipe = Generator(width=4, max_width=8, depth=2), Recipe()
    seen = TrainingDomain(
        cohort="none", fingerprint="", subjects=1, voxel_size=((2, 2),) * 3, plane=((16, 16),) * 2, scale=(0.1, 9)
    )
    card = ModelCard(
        name="small", objective="l1", seed=0, step=0, generator=shape, data=Data(), task=recipe.task,
        judge=recipe.judge, seen=seen,
    )  # fmt: skip
    write_model(folder, generator_network(shape, Data()).state_dict(), card)
    return folder


def make_cohort(folder: Path, subjects: int) -> Path:
    """Images of 16×16×4 noise."""
    rng, rows = np.random.default_rng(0), []
    for k in range(subjects):
        name = f"s{k:04d}"
        write_volume(folder / f"{name}.nii.gz", rng.random((16, 16, 4), dtype=np.float32), AFFINE)
        rows.append(
            {"case": name, "subject": name, "split": "test", "degraded": f"{name}.nii.gz", "clean": "", "label": ""}
        )
    write_pairs(folder / "pairs.csv", rows)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, nargs="+", default=[25, 50, 100, 200])
    counts = sorted(parser.parse_args().subjects)
    each = []
    with (
        tempfile.TemporaryDirectory() as place,
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
    ):
        model = make_model(Path(place) / "model")
        with redirect_stdout(StringIO()):
            warm = make_cohort(Path(place) / "warm", 2)
            restore(model, warm, Path(place) / "out", precision="32", scheduler=cluster.scheduler_address)
        for count in counts:
            cohort = make_cohort(Path(place) / f"cohort{count}", count)
            began = time.perf_counter()
            out = Path(place) / f"out{count}"
            with redirect_stdout(StringIO()):  # which says what it does
                restore(model, cohort, out, precision="32", scheduler=cluster.scheduler_address)
            each.append((time.perf_counter() - began) / count)
            print(f"{count} subjects: {each[-1] * count:.1f} s, {1e3 * each[-1]:.0f} ms each")
    ratio = each[-1] / each[0]
    print(f"{counts[-1]} subjects cost {ratio:.2f} times as much each as {counts[0]} (wanted: at most {MOST})")
    sys.exit(ratio > MOST)


if __name__ == "__main__":
    main()
