"""A small scanner, a small head and a small cohort, made once."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from taskgan.simulate.anatomy import Anatomy, mni_anatomy
from taskgan.simulate.pet.projector import Projector
from taskgan.simulate.pet.settings import Scanner


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    with threadpool_limits(1):
        yield


def small_scanner(**changes) -> Scanner:
    values = {
        "pixels": 48,
        "pixel_mm": 4.0,
        "slices": 3,
        "slice_mm": 5.0,
        "radial_bins": 60,
        "radial_mm": 4.0,
        "angles": 40,
        "tof_bins": 9,
        "tof_bin_mm": 25.4,
        "depth_cells": 16,
        "trues_per_kbq": 5.0,
        "subsets": 4,
        "block": 3,
    }
    return Scanner.model_validate({**values, **changes})


@pytest.fixture(scope="session")
def make_scanner():
    return small_scanner


@pytest.fixture(scope="session")
def projector() -> Projector:
    return Projector(small_scanner())


@pytest.fixture(scope="session")
def mni() -> Anatomy:
    pytest.importorskip("nilearn", reason="the MNI anatomy comes with nilearn")
    return mni_anatomy(2.0)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def disc(scanner: Scanner, radius_mm: float, value: float = 1.0) -> np.ndarray:
    """A uniform disc, anti-aliased, in every slice: (N, N, S)."""
    fine = 8
    n = scanner.pixels * fine
    axis = (np.arange(n) - 0.5 * (n - 1)) * scanner.pixel_mm / fine
    inside = (np.add.outer(axis**2, axis**2) <= radius_mm**2).astype(np.float32)
    plane = inside.reshape(scanner.pixels, fine, scanner.pixels, fine).mean(axis=(1, 3)) * value
    return np.repeat(plane[..., None], scanner.slices, axis=2).astype(np.float32)


@pytest.fixture(scope="session")
def make_disc():
    return disc


@pytest.fixture(scope="session")
def onion(tmp_path_factory) -> Path:
    """BrainWeb labels of a head of shells at 2 mm: two ventricles in white matter, grey matter,
    CSF, bone with marrow, fat with a vessel, skin."""
    n, step = 108, 2.0
    affine = np.diag([step, step, step, 1.0])
    affine[:3, 3] = np.array([0, -16, 9]) - 0.5 * (n - 1) * step
    axis = (np.arange(n, dtype=np.float32) - 0.5 * (n - 1)) * step
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij", sparse=True)
    radius = np.sqrt(x**2 + y**2 + z**2)
    labels = np.zeros((n, n, n), dtype=np.uint8)
    for label, (low, high) in ((3, (0, 50)), (2, (50, 62)), (1, (62, 68)), (7, (68, 71)), (11, (71, 73)),
                               (7, (73, 76)), (4, (76, 82)), (6, (82, 88))):  # fmt: skip
        labels[(radius >= low) & (radius < high)] = label
    labels[((np.abs(x) - 12) / 8) ** 2 + (y / 30) ** 2 + (z / 16) ** 2 < 1] = 1
    labels[(np.abs(x) < 3) & (np.abs(y - 79) < 3) & (labels == 4)] = 8
    path = tmp_path_factory.mktemp("heads") / "onion_tissue.nii"
    nib.save(nib.Nifti1Image(labels, affine), path)
    return path
