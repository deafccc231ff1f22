"""Seconds to audit 40 subjects × 40 slices with two trained judges and the SUVR observer, every figure included.

    python benchmarks/audit.py                    # wanted: under 2 minutes on two cores
    python benchmarks/audit.py --threads 1 --subjects 12

The baseline is the loop that one would write first: every image is opened for every judge and read slice by slice.
It makes the same probabilities and nothing else: no figures, no maps, no checks. It is timed on a few subjects.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy import ndimage

from taskgan.audit.inputs import AuditInputs, AuditSettings, from_cohort
from taskgan.audit.judges import Judge, train_judges
from taskgan.audit.run import audit
from taskgan.cohort.pairs import write_pairs
from taskgan.images.intensity import fit_intensity
from taskgan.images.volumes import read_volume, write_volume
from taskgan.judges.volumes import middle_slices
from taskgan.recipe import Recipe, read_recipe

MOST_SECONDS = 120.0
SHAPE = (112, 112, 40)  # the demo's grid
AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]]
RADIUS = np.hypot((Y - 56) / 42, (X - 56) / 34)
CORTEX = np.repeat(((RADIUS > 0.75) & (RADIUS < 1))[..., None], SHAPE[2], axis=2)
REFERENCE = np.repeat((RADIUS < 0.3)[..., None], SHAPE[2], axis=2)


def brain(suvr: float, rng: np.random.Generator) -> np.ndarray:
    """An ellipse whose rim has the given uptake, smooth texture included."""
    plane = np.where(RADIUS < 0.75, 1.0, np.where(RADIUS < 1, suvr, 0.0))[..., None]
    texture = 1 + 0.5 * ndimage.gaussian_filter(rng.normal(size=SHAPE), 3)
    return (plane * texture).astype(np.float32)


def make(folder: Path, subjects: int) -> Path:
    """A cohort with 12 training, 6 validation and ``subjects`` test subjects, and restorations of the test ones.

    Every fifth positive loses its label.
    """
    rng = np.random.default_rng(0)
    for name, mask in (("cortex", CORTEX), ("reference", REFERENCE)):
        write_volume(folder / f"{name}.nii.gz", mask.astype(np.uint8), AFFINE)
    rows = []
    for split, count in (("train", 12), ("val", 6), ("test", subjects)):
        for k in range(count):
            name, label = f"{split}{k:03d}", k % 2
            clean = brain(float(rng.normal(1.6 if label else 1.2, 0.04)), rng)
            noisy = np.maximum(clean + 0.3 * ndimage.gaussian_filter(rng.normal(size=SHAPE), (1, 1, 0)), 0)
            row = {"case": name, "subject": name, "split": split, "label": label}
            for kind, image in (("degraded", noisy), ("clean", clean)):
                row[kind] = f"{kind}/{name}.nii.gz"
                write_volume(folder / row[kind], image.astype(np.float32), AFFINE)
            rows.append(row | {"cortex": "cortex.nii.gz", "reference": "reference.nii.gz"})
            if split == "test":
                restored = ndimage.gaussian_filter(clean, (0.7, 0.7, 0))
                if k % 10 == 1:
                    restored[CORTEX] *= 1.2 / 1.6
                write_volume(folder / "restored" / f"{name}.nii.gz", restored, AFFINE)
    write_pairs(folder / "pairs.csv", rows)
    return folder


def naive(inputs: AuditInputs, judges: list[Judge], subjects: int, slices: int) -> float:
    """Seconds of the plain loop over some subjects."""
    began = time.perf_counter()
    for pair in inputs.cases[:subjects]:
        for path in (pair.degraded, pair.clean, inputs.audited.images[pair.case]):
            for judge in judges:
                scale = fit_intensity(inputs.recipe.data.intensity, read_volume(pair.degraded).data).scale
                image = np.moveaxis(read_volume(path).data, 2, 0) / np.float32(scale)
                float(np.mean([judge.reader.read(one[None])[0] for one in middle_slices(image, slices)]))
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=40, help="test subjects")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--steps", type=int, default=60, help="training steps of the judges, not timed")
    parser.add_argument("--baseline", type=int, default=6, help="subjects that the plain loop is timed on")
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    plain = read_recipe("pet-demo")
    judge = plain.judge.model_copy(update={"steps": options.steps, "validate_every": options.steps})
    recipe = Recipe(task=plain.task, judge=judge)
    with tempfile.TemporaryDirectory() as folder:
        cohort = make(Path(folder) / "cohort", options.subjects)
        inputs = from_cohort(cohort / "restored", cohort, recipe=recipe)
        judges = train_judges(inputs, None)
        began = time.perf_counter()
        done = audit(inputs, Path(folder) / "audit", judges=judges, settings=AuditSettings(calibration="0.5"))
        seconds = time.perf_counter() - began
        few = min(options.baseline, options.subjects)
        loop = naive(inputs, judges, few, AuditSettings().slices) / few * options.subjects
    images = 3 * options.subjects * SHAPE[2] * len(judges)
    print(
        f"audit of {options.subjects} subjects × {SHAPE[2]} slices of {SHAPE[0]}×{SHAPE[1]}, {len(judges)} judges "
        f"and the observer, {len(done.outcome.flipped)} flipped cases drawn, {options.threads} threads: "
        f"{seconds:.1f} s ({images / seconds:.0f} slice readings/s; wanted: under {MOST_SECONDS:.0f} s)"
    )
    print(
        f"the plain loop, readings alone (measured on {few} subjects): {loop:.1f} s; the whole audit takes "
        f"{seconds / loop:.2f} of it"
    )
    if seconds > MOST_SECONDS:
        sys.exit("the benchmark's aim was not met")


if __name__ == "__main__":
    main()
