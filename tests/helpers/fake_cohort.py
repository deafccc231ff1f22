"""A cohort of tiny brains and fake restorations of it, written as files."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from taskgan.cohort.pairs import write_pairs
from taskgan.core.files import write_yaml
from taskgan.images.volumes import write_volume

SHAPE = (36, 44, 10)
AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])
Array = NDArray[Any]


def _regions() -> tuple[Array, Array, Array]:
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    radius = np.sqrt((x / 0.85) ** 2 + (y / 0.85) ** 2)
    head = radius < 1
    reference = (radius < 0.5) & (z < -0.5)
    cortex = (radius > 0.6) & (radius < 0.85) & (z > -0.4)
    return head, cortex, reference


HEAD, CORTEX, REFERENCE = _regions()


def brain(suvr: float, rng: np.random.Generator) -> Array:
    """A head whose composite is ``suvr`` to the digit, with a smooth texture of its own."""
    image = np.where(HEAD, 0.9, 0.0) + np.where(HEAD, 0.1 * ndimage.gaussian_filter(rng.normal(size=SHAPE), 2), 0)
    image[REFERENCE] = 1.0
    image[CORTEX] *= suvr / image[CORTEX].mean()
    return image.astype(np.float32)


class StubReader:
    """Reads the cortex against the rest of a slice; knows nothing of masks."""

    def __init__(self, cut: float = 1.5, steepness: float = 8.0) -> None:
        self.cut, self.steepness = cut, steepness

    def read(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        ratios = []
        for one in slices:
            inside = one[one > 0.05]
            ratios.append(np.quantile(inside, 0.8) / np.quantile(inside, 0.3) if inside.size else 0.0)
        return (1 / (1 + np.exp(-self.steepness * (np.array(ratios) - self.cut)))).astype(np.float32)

    def features(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of each slice the means of eight parts, and one that is the same for all images."""
        parts = [
            part.mean(axis=(1, 2))
            for band in np.array_split(slices, 2, axis=1)
            for part in np.array_split(band, 4, axis=2)
        ]
        return np.stack([*parts, np.ones(len(slices))], axis=1).astype(np.float32)

    def description(self) -> dict[str, Any]:
        return {"network": "stub", "checksum": "0" * 64, "cut": self.cut}


def make_cohort(folder: Path, *, test: int = 8, seed: int = 0, doses: tuple[float, ...] = (1,)) -> Path:
    """``test`` test subjects, three in eight positive, and four training subjects."""
    rng = np.random.default_rng(seed)
    names = [f"sub-{i + 1:02d}" for i in range(test + 4)]
    for name, mask in (("head", HEAD), ("cortex", CORTEX), ("reference", REFERENCE)):
        write_volume(folder / f"{name}.nii.gz", mask.astype(np.uint8), AFFINE)
    rows = []
    for i, name in enumerate(names):
        suvr = float(rng.uniform(1.42, 1.75) if i % 8 < 3 else rng.uniform(1.05, 1.34))
        clean = brain(suvr, rng)
        write_volume(folder / name / "clean.nii.gz", clean, AFFINE)
        for dose in doses:
            noise = 0.25 / np.sqrt(dose) * rng.normal(size=SHAPE)
            degraded = np.maximum(clean + np.where(HEAD, noise, 0), 0).astype(np.float32)
            write_volume(folder / name / f"dose{dose:g}.nii.gz", degraded, AFFINE)
            rows.append(
                {
                    "case": f"{name}_dose-{dose:g}" if len(doses) > 1 else name,
                    "subject": name,
                    "split": "test" if i < test else "train",
                    "degraded": f"{name}/dose{dose:g}.nii.gz",
                    "clean": f"{name}/clean.nii.gz",
                    "label": int(suvr >= 1.38),
                    "mask": "head.nii.gz",
                    "cortex": "cortex.nii.gz",
                    "reference": "reference.nii.gz",
                    "dose": dose,
                    "composite_suvr": suvr,
                }
            )
    write_pairs(folder / "pairs.csv", rows)
    return folder


def blur(sigma: float) -> Callable[[Array, np.random.Generator], Array]:
    return lambda clean, rng: ndimage.gaussian_filter(clean, (sigma, sigma, 0))


def shrink(slope: float, noise: float) -> Callable[[Array, np.random.Generator], Array]:
    """Pull the cortex towards the cut, and add noise: what a generator that averages does."""

    def change(clean: Array, rng: np.random.Generator) -> Array:
        image = clean + np.where(HEAD, noise * rng.normal(size=SHAPE), 0)
        suvr = clean[CORTEX].mean() / clean[REFERENCE].mean()
        image[CORTEX] *= (1.35 + slope * (suvr - 1.35)) / suvr
        return image

    return change


def make_restorations(
    folder: Path,
    cohort: Path,
    method: str,
    change: Callable[[Array, np.random.Generator], Array],
    *,
    seed: int = 0,
    described: bool = True,
) -> Path:
    """Restore the test cases by changing their clean images; ``described`` writes what our own verb writes."""
    from taskgan.images.volumes import read_volume

    rng = np.random.default_rng([seed, sum(method.encode())])
    listed = []
    with (cohort / "pairs.csv").open() as handle:
        rows = [row for row in csv.DictReader(handle) if row["split"] == "test"]
    for row in rows:
        clean = read_volume(cohort / row["clean"]).data
        image = np.maximum(change(clean.copy(), rng), 0).astype(np.float32)
        name = f"images/{row['case']}_restored.nii.gz" if described else f"{row['case']}.nii.gz"
        write_volume(folder / name, image, AFFINE)
        listed.append(f"{row['case']},{name}")
    if described:
        (folder / "restored.csv").write_text("case,restored\n" + "\n".join(listed) + "\n")
        record = {"method": method, "seed": seed, "fold": 0, "model": f"runs/{method}/model", "checksum": "ab" * 32}
        write_yaml(folder / "restored.yaml", record)
    return folder
