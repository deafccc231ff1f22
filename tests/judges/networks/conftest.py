"""A tiny cohort: a disc whose rim is as bright as its core (label 0) or brighter (label 1), noisy at two doses."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from taskgan.cohort.pairs import Pairs, read_pairs, write_pairs
from taskgan.images.volumes import write_volume
from taskgan.judges.volumes import CleanSlices, CleanVolume
from taskgan.recipe import Augment, RecogniserSettings

Array = NDArray[np.float32]
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def disc(label: int, rng: np.random.Generator, size: int = 24, slices: int = 6) -> Array:
    """(size, size, slices): core 1, rim 1.1 or 1.7, with a random centre and brightness."""
    y, x = np.mgrid[:size, :size]
    cy, cx = size / 2 + rng.uniform(-1, 1, size=2)
    radius = np.hypot(y - cy, x - cx)
    rim = rng.normal(1.7 if label else 1.1, 0.05)
    plane = np.where(radius < 0.2 * size, 1.0, np.where(radius < 0.4 * size, rim, 0.0))
    volume = plane[..., None] * rng.uniform(0.9, 1.1, size=slices)
    return (rng.uniform(5, 20) * volume).astype(np.float32)


@pytest.fixture
def settings() -> RecogniserSettings:
    """Small and quick."""
    return RecogniserSettings(
        network="convnet",
        width=4,
        steps=60,
        batch_size=16,
        lr=5e-3,
        validate_every=20,
        patience=0,
        augment=Augment(flip=True, shift=1),
    )


@pytest.fixture
def memory() -> Callable[[str, int, int], CleanSlices]:
    """Clean slices without files: ``memory(prefix, subjects, seed)``, labels in turn."""

    def make(prefix: str, subjects: int, seed: int) -> CleanSlices:
        rng = np.random.default_rng(seed)
        volumes = []
        for k in range(subjects):
            volume = np.moveaxis(disc(k % 2, rng), 2, 0)
            scaled = np.ascontiguousarray(volume / volume[volume > 0].mean())
            volumes.append(CleanVolume(f"{prefix}{k}", float(k % 2), scaled))
        return CleanSlices(tuple(volumes))

    return make


@pytest.fixture
def cohort(tmp_path: Path) -> Pairs:
    """A cohort on disk: 6 training, 2 validation and 2 test subjects, two doses each."""
    rng = np.random.default_rng(7)
    rows = []
    for k in range(10):
        split = "train" if k < 6 else "val" if k < 8 else "test"
        clean = disc(k % 2, rng)
        write_volume(tmp_path / f"s{k}_clean.nii.gz", clean, AFFINE)
        for dose in (1, 5):
            noisy = (clean * rng.uniform(0.5, 1.5, clean.shape)).astype(np.float32) * dose
            write_volume(tmp_path / f"s{k}_d{dose}.nii.gz", noisy, AFFINE)
            rows.append(
                {
                    "case": f"s{k}_d{dose}",
                    "subject": f"s{k}",
                    "split": split,
                    "degraded": f"s{k}_d{dose}.nii.gz",
                    "clean": f"s{k}_clean.nii.gz",
                    "label": k % 2,
                    "dose": dose,
                }
            )
    write_pairs(tmp_path / "pairs.csv", rows)
    return read_pairs(tmp_path)
