"""A cohort of discs whose rim is brighter (label 1) or not, and restorations of it that keep or change the label."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from taskgan.cohort.pairs import read_pairs, write_pairs
from taskgan.core.files import write_yaml
from taskgan.images.volumes import read_volume, write_volume
from taskgan.recipe import Augment, Data, Recipe, RecogniserSettings, Task, dump_recipe

Array = NDArray[np.float32]
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
SIZE, SLICES = 24, 6
_Y, _X = np.mgrid[:SIZE, :SIZE]
RADIUS = np.hypot(_Y - SIZE / 2, _X - SIZE / 2)
RIM = np.repeat(((RADIUS >= 5) & (RADIUS < 8))[..., None], SLICES, axis=2)
CORE = np.repeat((RADIUS < 4)[..., None], SLICES, axis=2)
_SMALL = {"width": 4, "steps": 40, "batch_size": 16, "lr": 5e-3, "validate_every": 20, "patience": 0}
_STILL = Augment(flip=True, shift=1)

RECIPE = Recipe(
    data=Data(),
    task=Task(pretrain=RecogniserSettings(network="resnet18", seed=0, augment=_STILL, **_SMALL)),
    judge=RecogniserSettings(network="convnet", seed=1000, augment=_STILL, **_SMALL),
)


def disc(rim: float, rng: np.random.Generator) -> Array:
    """(24, 24, 6): core 1, rim as said, brightness at random."""
    plane = np.where(RADIUS < 5, 1.0, np.where(RADIUS < 8, rim, 0.0))
    return (rng.uniform(5, 9) * plane[..., None] * rng.uniform(0.95, 1.05, SLICES)).astype(np.float32)


def make_discs(
    folder: Path,
    *,
    train: int = 8,
    val: int = 8,
    test: int = 12,
    noise: float = 0.25,
    masks: bool = True,
    seed: int = 0,
) -> Path:
    """Subjects in turn negative and positive, in every split."""
    rng = np.random.default_rng(seed)
    write_volume(folder / "rim.nii.gz", RIM.astype(np.uint8), AFFINE)
    write_volume(folder / "core.nii.gz", CORE.astype(np.uint8), AFFINE)
    rows: list[dict[str, Any]] = []
    for split, count in (("train", train), ("val", val), ("test", test)):
        for k in range(count):
            name, label = f"{split}{k:02d}", k % 2
            clean = disc(float(rng.normal(1.7 if label else 1.1, 0.04)), rng)
            degraded = clean + clean.max() * noise * rng.normal(size=clean.shape)
            write_volume(folder / f"clean/{name}.nii.gz", clean, AFFINE)
            write_volume(folder / f"low/{name}.nii.gz", np.maximum(degraded, 0).astype(np.float32), AFFINE)
            row = {"case": name, "subject": name, "split": split, "degraded": f"low/{name}.nii.gz"}
            row |= {"clean": f"clean/{name}.nii.gz", "label": label}
            rows.append(row | ({"cortex": "rim.nii.gz", "reference": "core.nii.gz"} if masks else {}))
    write_pairs(folder / "pairs.csv", rows)
    return folder


def keep(clean: Array, label: float, number: int) -> Array:
    """A blur that everybody reads as before."""
    return np.asarray(ndimage.gaussian_filter(clean, (0.4, 0.4, 0)), dtype=np.float32)


def erase(clean: Array, label: float, number: int) -> Array:
    """The rim of every other positive sinks to the core's level."""
    restored = keep(clean, label, number)
    if label and number % 4 == 1:
        restored = np.where(RIM, clean * 1.1 / 1.7, restored).astype(np.float32)
    return restored


def make_restored(
    folder: Path,
    cohort: Path,
    change: Callable[[Array, float, int], Array] = keep,
    *,
    splits: tuple[str, ...] = ("test",),
    told: bool = True,
    seen: dict[str, Any] | None = None,
) -> Path:
    """Restorations as ``taskgan restore`` records them, or (``told=False``) as another tool leaves them."""
    listed = []
    for pair in read_pairs(cohort):
        if pair.split in splits:
            assert pair.clean is not None
            assert pair.label is not None
            image = change(read_volume(pair.clean).data, pair.label, int(pair.case[-2:]))
            write_volume(folder / f"{pair.case}.nii.gz", image, AFFINE)
            listed.append(f"{pair.case},{pair.case}.nii.gz")
    if told:
        (folder / "restored.csv").write_text("case,restored\n" + "\n".join(listed) + "\n")
        recipe = {k: v for k, v in dump_recipe(RECIPE).items() if k in ("data", "task", "judge")}
        record = {"method": folder.name, "seed": 0, "checksum": "ab" * 32, "recipe": recipe}
        write_yaml(folder / "restored.yaml", record | ({"seen": seen} if seen else {}))
    return folder
