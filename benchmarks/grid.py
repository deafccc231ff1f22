"""The pixel grid of restored images by how the generator's decoder doubles the resolution, with L1 and with a GAN.

Trains one run for each on a cohort with brain masks (``taskgan simulate mr``), restores its test subjects and prints
the share of the brain's spectral energy in peaks of a pixel grid (``taskgan.metrics.quality``, per mille) and
the PSNR. Runs and restorations stay in OUT, and are gone on with.

    taskgan simulate mr COHORT --subjects 24
    python benchmarks/grid.py COHORT OUT --set data.condition='' --set data.select.contrast=T2-FLAIR
"""

import argparse
import json
from pathlib import Path

import numpy as np

from taskgan.cohort.pairs import read_pairs
from taskgan.images.volumes import read_volume
from taskgan.metrics.quality import checkerboard, psnr
from taskgan.recipe import read_recipe
from taskgan.restore.run import restore
from taskgan.train.run import train

WAYS = ("transposed", "nearest", "bilinear")


def measure(images: dict[str, Path], cohort: Path) -> tuple[float, float, float]:
    """Grid of restored and of clean images (per mille) and PSNR (dB), means over the cases that were restored."""
    rows = []
    for pair in read_pairs(cohort):
        brain = pair.path("brain")
        if pair.case not in images or pair.clean is None or brain is None:
            continue
        ours, clean = read_volume(images[pair.case]).data, read_volume(pair.clean).data
        inside = read_volume(brain).data > 0
        span = float(clean.max() - clean.min())
        rows.append(
            (1000 * checkerboard(ours, inside), 1000 * checkerboard(clean, inside), psnr(ours, clean, span=span))
        )
    grid, clean_grid, quality = np.nanmean(rows, axis=0)
    return float(grid), float(clean_grid), float(quality)


def main() -> None:
    """Train, restore, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--recipe", default="mr-demo")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--objectives", default="l1,gan")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    results = {}
    for objective in asked.objectives.split(","):
        for way in WAYS:
            name = f"{objective}-{way}"
            chosen = [*asked.overrides, f"objective={objective}", f"generator.upsample={way}"]
            model = train(read_recipe(asked.recipe, chosen), asked.cohort, asked.out / name)
            folder = asked.out / f"{name}-restored"
            restore(model, [asked.cohort / "pairs.csv"], folder, split="test")
            images = {path.name.removesuffix(".nii.gz"): path for path in folder.rglob("*.nii.gz")}
            grid, clean, quality = measure(images, asked.cohort)
            results[name] = {"grid_per_mille": grid, "clean_per_mille": clean, "psnr": quality}
            print(f"{name}: grid {grid:.1f} per mille (clean {clean:.1f}), PSNR {quality:.2f} dB", flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
