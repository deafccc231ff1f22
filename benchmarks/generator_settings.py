"""One setting of the generator at several values: pixel grid, PSNR, level, and what appears where there is nothing.

Trains one run for each on a cohort, restores its test subjects and prints means over the cases. Runs and restorations
stay in OUT, and are gone on with.

    taskgan simulate mr COHORT --subjects 24
    python benchmarks/generator_settings.py generator.upsample=transposed,nearest,bilinear COHORT OUT \\
        --recipe mr-demo --objectives l1,gan --set data.condition='' --set data.select.contrast=T2-FLAIR
    taskgan simulate pet COHORT --subjects 48
    python benchmarks/generator_settings.py generator.norm=none,group,batch,instance COHORT OUT --recipe pet-demo

``grid`` is the share of the brain's spectral energy in peaks of a pixel grid, per mille (``taskgan evaluate``);
``outside`` the mean of |value| outside the head over the clean image's mean inside, per cent; ``slope`` and ``r`` are
those of the composite SUVR on the clean image's, of cohorts with its regions. Without a cohort the generators
alone run, in turn, forward and back, on 8 slices of 128×128: how much longer a step takes than with the first value.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from taskgan.cohort.pairs import Pair, read_pairs
from taskgan.core.errors import UserError
from taskgan.evaluate.cases import read_case_table
from taskgan.evaluate.run import evaluate
from taskgan.images.volumes import read_volume
from taskgan.networks.generator import generator_network
from taskgan.recipe import Recipe, read_recipe
from taskgan.restore.run import restore
from taskgan.train.run import train


def summary(cases: pd.DataFrame, pairs: dict[str, Pair], folder: Path) -> dict[str, float]:
    """Means over the cases of a method, and the line of its SUVR; what the cohort has no masks for is left out."""
    found = {"psnr": cases["psnr"].mean(), "grid": 1000 * cases["checkerboard"].mean()}
    if cases["suvr_restored"].notna().all():
        truth, ours = cases["suvr_reference"], cases["suvr_restored"]
        found |= {"slope": np.polyfit(truth, ours, 1)[0], "r": truth.corr(ours)}
    shares = []
    for row in cases.to_dict("records"):
        if (mask := pairs[row["case"]].path("mask")) is not None:
            head, image, clean = (
                read_volume(path).data for path in (mask, folder / row["restored"], folder / row["clean"])
            )
            shares.append(100 * np.abs(image[head == 0]).mean() / clean[head > 0].mean())
    found |= {"outside": np.mean(shares)} if shares else {}
    return {key: float(value) for key, value in found.items() if np.isfinite(value)}


def times(recipes: dict[str, Recipe], rounds: int = 6) -> dict[str, float]:
    """Seconds of a step of each, over those of the first: least of the rounds, which all take in turn."""
    networks = {value: generator_network(one.generator, one.data) for value, one in recipes.items()}
    for network in networks.values():
        network.to(memory_format=torch.channels_last)
    best: dict[str, float] = {}
    for _ in range(rounds):
        for value, network in networks.items():
            channels = recipes[value].data.channels
            images = torch.rand(8, channels, 128, 128).to(memory_format=torch.channels_last)
            precise = recipes[value].machine.precision != "bf16"
            began = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
                network(images).sum().backward()
            best[value] = min(best.get(value, np.inf), time.perf_counter() - began)
    first = next(iter(best.values()))
    return {value: seconds / first for value, seconds in best.items()}


def main() -> None:
    """Train, restore, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("setting", help="key=value,value,…")
    parser.add_argument("cohort", type=Path, nargs="?", help="without one, times alone")
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--recipe", default="pet-demo")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--objectives", default="l1")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    key, _, values = options.setting.partition("=")

    def _recipe(value: str, *further: str) -> Recipe:
        return read_recipe(options.recipe, [*options.overrides, f"{key}={value}", *further])

    if options.cohort is None or options.out is None:
        ratios = times({value: _recipe(value) for value in values.split(",")})
        print("time of a step over the first:", *(f"{value} {ratio:.2f}" for value, ratio in ratios.items()))
        return
    results: dict[str, dict[str, float]] = {}
    pairs = {pair.case: pair for pair in read_pairs(options.cohort)}
    for objective in options.objectives.split(","):
        for value in values.split(","):
            name = f"{objective}-{value}"
            model = train(_recipe(value, f"objective={objective}"), options.cohort, options.out / name)
            restored = restore(model, [options.cohort], options.out / f"{name}-restored", split="test")
            evaluation = evaluate(restored, options.cohort, options.out / f"{name}-evaluation", readers={})
            cases = read_case_table(evaluation)
            if not results:
                clean = cases[cases["method"] == "clean"]
                results["clean"] = summary(clean.assign(restored=clean["clean"]), pairs, evaluation)
            own = cases[~cases["method"].isin(("clean", "input"))]
            results[name] = summary(own, pairs, evaluation)
    for name, found in results.items():
        print(name, *(f"{k} {v:.3g}" for k, v in found.items()))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(str(error)) from None
