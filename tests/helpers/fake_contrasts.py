"""A cohort of two contrasts made of one degraded image, and fake restorations of it, written as files."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from phantom_brain import AFFINE, SHAPE, Array, brain_masks, contrast_image
from taskgan.cohort.pairs import read_pairs, write_pairs
from taskgan.core.files import write_yaml
from taskgan.images.volumes import read_volume, write_volume
from taskgan.objective.kinds import task_kind
from taskgan.recipe import Data, Recipe, Task

CONTRASTS = ("T1w", "T2-FLAIR")
RECIPE = Recipe(
    data=Data(condition="contrast", conditions=CONTRASTS), task=Task(kind="multi_class", classes=len(CONTRASTS))
)
Change = Callable[[Array, dict[str, Array], str, np.random.Generator], Array]


class ContrastReader:
    """Reads the contrast from what is brighter than white matter; knows nothing of masks."""

    kind = task_kind(RECIPE.task.target, "squared")

    def __init__(self, steepness: float = 30.0) -> None:
        self.steepness = steepness

    def read(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        found = []
        for one in slices:
            inside = one[one > 0.3 * np.quantile(one, 0.9)]
            bright = np.quantile(inside, 0.95) / np.median(inside) if inside.size else 1.0
            flair = 1 / (1 + np.exp(-self.steepness * (bright - 1.13)))
            found.append([1 - flair, flair])
        return np.array(found, np.float32)

    def features(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = [slices.mean(axis=(1, 2)), slices.std(axis=(1, 2)), *np.quantile(slices, (0.3, 0.6, 0.9), axis=(1, 2))]
        return np.stack(parts, axis=1).astype(np.float32)

    def description(self) -> dict[str, str]:
        return {"network": "stub", "checksum": "1" * 64}


def make_contrasts(folder: Path, *, test: int = 8, seed: int = 0) -> Path:
    """``test`` test subjects (the last one healthy), four of training and two of validation."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(test + 6):
        name, split = f"sub-{i + 1:02d}", "test" if i < test else "train" if i < test + 4 else "val"
        masks = brain_masks(0 if i == test - 1 else 4, rng)
        for mask, values in masks.items():
            write_volume(folder / name / f"{mask}.nii.gz", values.astype(np.uint8), AFFINE)
        source = np.where(masks["mask"], 50.0, 0.0) + 5 * rng.normal(size=SHAPE)
        write_volume(folder / name / "source.nii.gz", source.astype(np.float32), AFFINE)
        for label, contrast in enumerate(CONTRASTS):
            clean = contrast_image(masks, contrast, rng)
            write_volume(folder / name / f"{contrast}.nii.gz", clean, AFFINE)
            rows.append(
                {
                    "case": f"{name}_{contrast}",
                    "subject": name,
                    "split": split,
                    "contrast": contrast,
                    "degraded": f"{name}/source.nii.gz",
                    "clean": f"{name}/{contrast}.nii.gz",
                    "label": label,
                    **{mask: f"{name}/{mask}.nii.gz" for mask in masks},
                }
            )
    write_pairs(folder / "pairs.csv", rows)
    return folder


def soft(sigma: float, noise: float = 0.0) -> Change:
    """Blur, then noise: what training by L1 alone makes."""
    return lambda clean, masks, contrast, rng: (
        ndimage.gaussian_filter(clean, (sigma, sigma, 0)) + noise * rng.normal(size=SHAPE)
    )


def gridded(noise: float, grid: float) -> Change:
    """Noise and a grid of period four, and a lesion that is not there."""

    def change(clean: Array, masks: dict[str, Array], contrast: str, rng: np.random.Generator) -> Array:
        image = clean + noise * rng.normal(size=SHAPE) + grid * (np.arange(SHAPE[0]) % 4 < 2)[:, None, None]
        spots = np.argwhere(ndimage.binary_erosion(masks["white"], np.ones((7, 7, 1))))
        x, y, z = spots[rng.integers(len(spots))]
        image[x - 1 : x + 2, y - 1 : y + 2, z] += 45 if contrast == "T2-FLAIR" else -45
        return np.asarray(image)

    return change


def confused(noise: float) -> Change:
    """The lesions and the dark CSF of a T2-FLAIR are lost on the way."""

    def change(clean: Array, masks: dict[str, Array], contrast: str, rng: np.random.Generator) -> Array:
        image = clean + noise * rng.normal(size=SHAPE)
        if contrast == "T2-FLAIR":
            image[masks["lesions"]] -= 40
            image[ndimage.binary_dilation(masks["csf"], np.ones((3, 3, 1))) & ~masks["csf"]] += 30
        return np.asarray(image)

    return change


def restore_contrasts(
    folder: Path, cohort: Path, method: str, change: Change, *, seed: int = 0, contrasts: Sequence[str] = CONTRASTS
) -> Path:
    """Restore the test cases by changing their clean images."""
    rng = np.random.default_rng([seed, sum(method.encode())])
    listed = []
    for pair in read_pairs(cohort).split("test"):
        if pair.columns["contrast"] not in contrasts or pair.clean is None:
            continue
        masks = {m: read_volume(path).data > 0.5 for m in ("white", "lesions", "csf") if (path := pair.path(m))}
        clean = read_volume(pair.clean).data
        image = np.maximum(change(clean, masks, pair.columns["contrast"], rng), 0).astype(np.float32)
        write_volume(folder / f"{pair.case}.nii.gz", image, AFFINE)
        listed.append(f"{pair.case},{pair.case}.nii.gz")
    (folder / "restored.csv").write_text("case,restored\n" + "\n".join(listed) + "\n")
    record = {"method": method, "seed": seed, "recipe": RECIPE.model_dump(mode="json")}
    write_yaml(folder / "restored.yaml", record)
    return folder
