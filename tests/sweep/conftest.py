"""A cohort of tiny files whose test images cannot be opened, and a workshop that answers at once."""

import csv
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from taskgan.sweep import run
from workshop import SUBJECTS, Workshop


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Blobs: label 1 has a bright ring. Test images are not NIfTI files at all."""
    folder = tmp_path / "cohort"
    folder.mkdir()
    rng = np.random.default_rng(0)
    grid = np.linspace(-1, 1, 16)
    radius = np.sqrt(grid[:, None] ** 2 + grid[None, :] ** 2)[..., None]
    affine = np.diag([2.0, 2.0, 2.5, 1.0])
    for name, region in (("inner", radius < 0.5), ("outer", (radius > 0.5) & (radius < 0.8))):
        mask = nib.Nifti1Image(np.repeat(region, 4, axis=2).astype(np.uint8), affine)
        nib.save(mask, folder / f"{name}.nii.gz")
    rows = []
    for split, count in SUBJECTS.items():
        for number in range(count):
            name, label = f"{split}{number}", number % 2
            clean = np.repeat((radius < 0.8) * (1.0 + label * (radius > 0.5)), 4, axis=2)
            clean = clean + 0.05 * rng.random(clean.shape)
            noisy = np.clip(clean + 0.5 * rng.standard_normal(clean.shape), 0, None)
            row: dict[str, Any] = {"case": name, "subject": f"sub-{name}", "split": split, "label": label}
            for column, data in (("degraded", noisy), ("clean", clean)):
                row[column] = f"{name}_{column}.nii.gz"
                image = nib.Nifti1Image((1000 * data).astype(np.float32), affine)
                if split == "test":
                    (folder / row[column]).write_bytes(b"poison")
                else:
                    nib.save(image, folder / row[column])
            rows.append({**row, "cortex": "outer.nii.gz", "reference": "inner.nii.gz"})
    with (folder / "pairs.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture
def workshop(monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """Stands in for training, restoring, judging and drawing."""
    made = Workshop()
    for name in ("train", "restore", "evaluate"):
        monkeypatch.setattr(run, name, getattr(made, name))
    monkeypatch.setattr(run, "default_readers", lambda *_: {})
    monkeypatch.setattr(run, "_figure", made.draw)
    return made
