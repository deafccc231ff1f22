"""A cohort of a few tiny subjects, and a recipe that trains on it in a second."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

from taskgan.recipe import Recipe, parse_recipe

SUBJECTS = {"train": 4, "val": 2, "test": 2}


def write_cohort(folder: Path, *, size: int = 16, slices: int = 4, subjects: dict[str, int] | None = None) -> Path:
    """Blobs: label 1 has a bright ring. Written with nibabel alone."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    grid = np.linspace(-1, 1, size)
    radius = np.sqrt(grid[:, None] ** 2 + grid[None, :] ** 2)[..., None]
    rows = []
    for split, count in (subjects or SUBJECTS).items():
        for number in range(count):
            label = number % 2
            scale = 1000 * (1 + rng.random())
            clean = np.repeat((radius < 0.8) * (1.0 + label * (radius > 0.5)), slices, axis=2)
            clean = clean + 0.05 * rng.random(clean.shape)
            noisy = np.clip(clean + 0.5 * rng.standard_normal(clean.shape), 0, None)
            row: dict[str, Any] = {"case": f"{split}{number}", "subject": f"sub-{split}{number}", "split": split}
            for name, data in (("degraded", noisy), ("clean", clean)):
                row[name] = f"{split}{number}_{name}.nii.gz"
                image = nib.Nifti1Image((scale * data).astype(np.float32), np.diag([2.0, 2.0, 2.5, 1.0]))
                nib.save(image, folder / row[name])
            rows.append({**row, "label": label})
    with (folder / "pairs.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def tiny(**changes: Any) -> Recipe:
    """A recipe that takes milliseconds a step; ``changes`` are sections or single values by dotted key."""
    values: dict[str, Any] = {
        "data": {"augment": {"shift": 1}},
        "generator": {"width": 4, "max_width": 8, "depth": 3, "norm": "instance", "dropout_layers": 1},
        "discriminator": {"widths": [4, 8], "norm": "instance"},
        "task": {"training": "frozen", "pretrain": {"network": "resnet10", "width": 4, "steps": 10}},
        "judge": {"network": "convnet", "width": 4, "seed": 1000},
        "loss": {"lambda_gan": 0.1, "mu_task": 0.1},
        "optimiser": {"steps": 12, "batch_size": 4, "lr": 1e-3, "ema": 0.9},
        "validation": {"every": 5, "save_every": 5},
        "machine": {"accelerator": "cpu", "precision": "32", "channels_last": False, "compile": False},
    }
    for key, value in changes.items():
        *parents, last = key.split("__")
        place = values
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return parse_recipe(values, "test")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    torch.set_num_threads(1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield
    torch.set_flush_denormal(False)  # training leaves it on, and hypothesis refuses to work like that


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture(scope="session")
def recipe() -> Callable[..., Recipe]:
    return tiny


@pytest.fixture
def make_cohort() -> Callable[..., Path]:
    return write_cohort
