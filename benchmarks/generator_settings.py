"""One setting of the generator at several values: pixel grid, PSNR, level, and what appears where there is nothing.

Trains one run for each on a cohort, restores its test subjects and prints means over the cases. Runs and restorations
stay in OUT, and are gone on with.

    taskgan simulate mr COHORT --subjects 24
    python benchmarks/generator_settings.py COHORT OUT generator.upsample=transposed,nearest,bilinear \\
        --recipe mr-demo --objectives l1,gan --set data.condition='' --set data.select.contrast=T2-FLAIR
    taskgan simulate pet COHORT --subjects 48
    python benchmarks/generator_settings.py COHORT OUT generator.norm=none,group,batch,instance --recipe pet-demo

``grid`` is the share of the brain's spectral energy in peaks of a pixel grid, per mille (``taskgan.metrics.quality``);
``outside`` the mean of |value| outside the head over the clean image's mean inside, per cent; ``slope`` and ``r`` are
those of the composite SUVR on the clean image's, of cohorts with its regions. With ``--time`` the generators alone run,
in turn, forward and back, on 8 slices of 128×128: how much longer a step takes than with the first value.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from taskgan.cohort.pairs import Pair, read_pairs
from taskgan.images.volumes import read_volume
from taskgan.metrics.quality import checkerboard, psnr
from taskgan.networks.generator import generator_network
from taskgan.recipe import Recipe, read_recipe
from taskgan.restore.run import restore
from taskgan.train.run import train


def measures(pair: Pair, image: np.ndarray, clean: np.ndarray) -> dict[str, float]:
    """Of one case; what its row has no mask for is left out."""
    masks = {name: read_volume(path).data > 0 for name in _MASKS if (path := pair.path(name)) is not None}
    found = {"psnr": psnr(image, clean, span=float(clean.max() - clean.min()))}
    if "brain" in masks:
        found["grid"] = 1000 * checkerboard(image, masks["brain"])
    if "mask" in masks:
        found["outside"] = 100 * float(np.abs(image[~masks["mask"]]).mean() / clean[masks["mask"]].mean())
    if {"cortex", "reference"} <= set(masks):
        found["suvr"] = float(image[masks["cortex"]].mean() / image[masks["reference"]].mean())
    return found


def summary(rows: list[dict[str, float]], clean: list[dict[str, float]]) -> dict[str, float]:
    """Means over the cases, and the line of SUVR on the clean images'."""
    means = {key: float(np.nanmean([row[key] for row in rows])) for key in rows[0] if key != "suvr"}
    if "suvr" in rows[0]:
        truth, ours = (np.array([row["suvr"] for row in some]) for some in (clean, rows))
        means |= {"slope": float(np.polyfit(truth, ours, 1)[0]), "r": float(np.corrcoef(truth, ours)[0, 1])}
    return means


def times(recipes: dict[str, Recipe], rounds: int = 6) -> dict[str, float]:
    """Seconds of a step of each, over those of the first: least of the rounds, which all take in turn."""
    networks = {value: generator_network(one.generator, one.data) for value, one in recipes.items()}
    best: dict[str, float] = {}
    for _ in range(rounds):
        for value, network in networks.items():
            network.to(memory_format=torch.channels_last)
            channels = recipes[value].data.channels
            images = torch.rand(8, channels, 128, 128).to(memory_format=torch.channels_last)
            precise = recipes[value].machine.precision != "bf16"
            began = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
                network(images).sum().backward()
            best[value] = min(best.get(value, np.inf), time.perf_counter() - began)
    first = next(iter(best.values()))
    return {value: seconds / first for value, seconds in best.items()}


_MASKS = ("brain", "mask", "cortex", "reference")


def main() -> None:
    """Train, restore, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("setting", help="key=value,value,…")
    parser.add_argument("--recipe", default="pet-demo")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--objectives", default="l1")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--time", action="store_true", help="times alone")
    options = parser.parse_args()
    key, _, values = options.setting.partition("=")
    if options.time:
        every = {
            value: read_recipe(options.recipe, [*options.overrides, f"{key}={value}"]) for value in values.split(",")
        }
        print("time of a step over the first:", *(f"{value} {ratio:.2f}" for value, ratio in times(every).items()))
        return
    results: dict[str, Any] = {}
    for objective in options.objectives.split(","):
        for value in values.split(","):
            name = f"{objective}-{value}"
            recipe = read_recipe(options.recipe, [*options.overrides, f"objective={objective}", f"{key}={value}"])
            folder = options.out / f"{name}-restored"
            restore(train(recipe, options.cohort, options.out / name), [options.cohort], folder, split="test")
            images = {path.name.removesuffix(".nii.gz"): path for path in folder.rglob("*.nii.gz")}
            rows: list[dict[str, float]] = []
            clean: list[dict[str, float]] = []
            for pair in read_pairs(options.cohort):
                if pair.clean is not None and (path := _image_of(pair, images)) is not None:
                    truth = read_volume(pair.clean).data
                    rows.append(measures(pair, read_volume(path).data, truth))
                    clean.append(measures(pair, truth, truth))
            results.setdefault("clean", {k: v for k, v in summary(clean, clean).items() if k != "psnr"})
            results[name] = summary(rows, clean)
            print(name, *(f"{k} {v:.3g}" for k, v in results[name].items()), flush=True)
    print("clean", *(f"{k} {v:.3g}" for k, v in results["clean"].items()))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def _image_of(pair: Pair, images: dict[str, Path]) -> Path | None:
    """What was restored of a row; a cohort may call files by the image instead of by the case."""
    names = (pair.case, pair.degraded.name.removesuffix(".nii.gz"))
    return next((images[name] for name in names if name in images), None)


if __name__ == "__main__":
    main()
