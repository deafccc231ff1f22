"""What the projection layer does to real faces: back-projection error and PSNR, added afterwards and learnt with.

    python experiments/lfw_faces.py WORK --data LFW          # or runs of your own
    python experiments/back_projection.py WORK/cohort WORK/runs/task_gan-seed0 WORK/runs/task_gan_projected-seed0

The table is of test people: clean and input, both of them projected, every run as it is, and every run that has no
layer with the layer put at its end after its training.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from experiment import called
from taskgan.cohort.folder import read_description
from taskgan.cohort.pairs import REQUIRED, Pair, read_pairs
from taskgan.core.console import progress
from taskgan.core.errors import UserError
from taskgan.degrade.degradation import Degradation
from taskgan.images.volumes import read_volume
from taskgan.model.folder import build_generator, read_model
from taskgan.model.restorer import Restorer
from taskgan.networks.projection import Projection


def picked(rows: list[Pair], count: int) -> list[Pair]:
    """At most so many of them, evenly."""
    places = np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))
    return [rows[k] for k in places]


def restorers(run: Path, chain: Degradation) -> dict[str, Restorer]:
    """A run as it is and, where it was trained without the layer, with it."""
    state, card = read_model(run)
    name = run.resolve().name
    found = {name: Restorer(build_generator(state, card), card.data)}
    if not card.generator.projection:
        asked = {"projection": 1.0, "degradation": chain.steps}
        late = card.model_copy(update={"generator": card.generator.model_copy(update=asked)})
        found[f"{name}, projected afterwards"] = Restorer(build_generator(state, late), late.data)
    return found


def projected(image: NDArray[np.float32], degraded: NDArray[np.float32], chain: Degradation) -> NDArray[np.float32]:
    """What the layer makes of an image (X, Y, 1), as if a network had given it."""
    restored, known = (torch.from_numpy(one[None, None, :, :, 0]) for one in (image, degraded))
    found = Projection(1.0, chain.steps)(restored, known).clamp(0, 1)
    return np.asarray(found[0, 0, :, :, None].numpy())


def measure(rows: list[Pair], chain: Degradation, methods: dict[str, Restorer]) -> dict[str, NDArray[np.float64]]:
    """By method: (PSNR in dB, back-projection error) of every row, (rows, 2)."""
    found: dict[str, list[tuple[float, float]]] = {}
    with progress("measure", len(rows), "images") as shown:
        for row in rows:
            assert row.clean is not None
            clean, degraded = read_volume(row.clean).data, read_volume(row.degraded).data
            images = {
                "clean": clean,
                "clean, projected": projected(clean, degraded, chain),
                "input": degraded,
                "input, projected": projected(degraded, degraded, chain),
            }
            images |= {name: one.restore_volume(degraded).image for name, one in methods.items()}
            for name, image in images.items():
                error = float(np.mean((image.astype(np.float64) - clean) ** 2))
                value = -10 * np.log10(error) if error else np.inf
                found.setdefault(name, []).append((value, chain.consistency(image, degraded)))
            shown.advance()
    return {name: np.array(values) for name, values in found.items()}


def main() -> None:
    """Restore, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("run", type=Path, nargs="*", help="finished runs, without the layer or with it")
    parser.add_argument("--test", type=int, default=200, help="test images, evenly picked")
    asked = parser.parse_args()
    pairs = read_pairs(asked.cohort, [name for name in REQUIRED if name != "label"])
    chain = Degradation.from_description(read_description(pairs.folder))
    if chain is None:
        raise UserError(f"{pairs.folder} does not say how its inputs were made")
    methods: dict[str, Restorer] = {}
    for run in asked.run:
        methods |= restorers(run, chain)
    found = measure(picked(list(pairs.split("test")), asked.test), chain, methods)
    print("| | PSNR (dB) | back-projection error | largest |\n| --- | --- | --- | --- |")
    for name, values in found.items():
        psnr, error = values.mean(axis=0)
        print(f"| {name} | {psnr:.2f} | {error:.5f} | {values[:, 1].max():.5f} |")


if __name__ == "__main__":
    called(main)
