"""What a projection layer does to real faces: back-projection errors and PSNR of one small network, with and without.

    taskgan prepare lfw LFW_FOLDER cohort/ --crop 128
    python experiments/back_projection.py cohort/ work/

Two small networks learn Eq. 1 alone from the same images, one of them with the layer. The table is of test people:
clean and input, both of them projected, both networks, the one without the layer projected after its training, and
finished runs (``--model``) without and with the layer. A finished network is not trained again.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from taskgan.cohort.description import read_description
from taskgan.cohort.images import read_volume
from taskgan.cohort.pairs import REQUIRED, Pair, Pairs, read_pairs
from taskgan.console import progress
from taskgan.degrade.degradation import Degradation
from taskgan.networks.projection import Projection
from taskgan.recipe import Recipe, parse_recipe
from taskgan.restore.model_folder import build_generator, read_model
from taskgan.restore.restorer import Restorer
from taskgan.train.run import train

TRAIN, VALIDATE = 300, 10  # images, evenly picked


def recipe(projection: float, steps: int) -> Recipe:
    """A small U-Net that learns the difference from bicubic."""
    return parse_recipe(
        {
            "objective": "l1",
            "data": {
                "intensity": {"kind": "none", "output": "unit"},
                "augment": {"shift": 0},
                "balanced": False,
            },
            "generator": {
                "width": 8,
                "max_width": 32,
                "depth": 4,
                "norm": "instance",
                "dropout": 0,
                "residual": True,
                "projection": projection,
            },
            "optimiser": {"steps": steps, "batch_size": 4, "lr": 3e-3, "ema": 0.95},
            "validation": {"every": steps, "save_every": steps},
            "machine": {"precision": "32", "channels_last": False, "compile": False},
        },
        "the experiment's recipe",
    )


def picked(rows: list[Pair], count: int) -> list[Pair]:
    """At most so many of them, evenly."""
    return [
        rows[k] for k in np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))
    ]


def before_and_after(model: Path, chain: Degradation) -> dict[str, Restorer]:
    """A model as it is, and with the layer added to what was trained without it."""
    state, card = read_model(model)
    asked = {"projection": 1.0, "degradation": chain.steps}
    late = card.model_copy(update={"generator": card.generator.model_copy(update=asked)})
    title = f"{card.objective}, {card.step} steps"
    return {
        title: Restorer(build_generator(state, card), card.data),
        f"{title}, projected afterwards": Restorer(build_generator(state, late), late.data),
    }


def projected(
    image: NDArray[np.float32], degraded: NDArray[np.float32], chain: Degradation
) -> NDArray[np.float32]:
    """What the layer makes of an image (X, Y, 1), as if a network had given it."""
    restored, known = (torch.from_numpy(one[None, None, :, :, 0]) for one in (image, degraded))
    found = Projection(1.0, chain.steps)(restored, known).clamp(0, 1)
    return np.asarray(found[0, 0, :, :, None].numpy())


def measure(rows: list[Pair], chain: Degradation, methods: dict[str, Restorer]) -> dict[str, Any]:
    """By method: (PSNR in dB, back-projection error) of every row, (rows, 2)."""
    found: dict[str, list[tuple[float, float]]] = {}
    with progress("measure", len(rows), "images") as shown:
        for row in rows:
            assert row.clean is not None
            clean, degraded = read_volume(row.clean).data, read_volume(row.degraded).data
            images = {
                "clean": clean,
                "input": degraded,
                "clean, projected": projected(clean, degraded, chain),
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
    """Train, restore, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--steps", type=int, default=100, help="of both networks; 0 trains none")
    parser.add_argument(
        "--model", type=Path, action="append", default=[], help="a finished run to measure too"
    )
    parser.add_argument("--test", type=int, default=100, help="test images, evenly picked")
    asked = parser.parse_args()
    pairs = read_pairs(asked.cohort, [name for name in REQUIRED if name != "label"])
    chain = Degradation.from_description(read_description(asked.cohort))
    if chain is None:
        raise SystemExit(f"{asked.cohort} does not say how its inputs were made")
    methods: dict[str, Restorer] = {}
    for model in asked.model:
        methods |= before_and_after(model, chain)
    if asked.steps:
        learnt = [*picked(list(pairs.split("train")), TRAIN), *picked(list(pairs.split("val")), VALIDATE)]
        for name, projection in (("without", 0.0), ("with", 1.0)):
            train(recipe(projection, asked.steps), Pairs(pairs.source, tuple(learnt)), asked.work / name)
        methods |= before_and_after(asked.work / "without", chain)
        methods["l1, trained with the layer"] = Restorer.from_folder(asked.work / "with", precision="32")
    found = measure(picked(list(pairs.split("test")), asked.test), chain, methods)
    print("| | PSNR (dB) | back-projection error | largest |\n| --- | --- | --- | --- |")
    for name, values in found.items():
        psnr, error = values.mean(axis=0)
        print(f"| {name} | {psnr:.2f} | {error:.5f} | {values[:, 1].max():.5f} |")


if __name__ == "__main__":
    main()
