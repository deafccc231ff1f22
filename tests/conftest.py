"""A fabricated cohort of several contrasts from one acquisition, for the tests of any room."""

import csv
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

CONTRASTS = ("T2w", "T1w", "PDw")  # in the order of their labels, which is not the alphabet's


@pytest.fixture(autouse=True)
def subnormals() -> Iterator[None]:
    """Training flushes subnormal numbers for the rest of its process, and hypothesis refuses to work like that."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture(scope="session")
def fake_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight test subjects, three positive; shared, so tests must not write to it."""
    from fake_cohort import make_cohort

    return make_cohort(tmp_path_factory.mktemp("fake") / "cohort")


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cohort of drawn faces, which tests must not write to but for what it keeps."""
    from drawn_faces import draw_cohort

    return draw_cohort(tmp_path_factory.mktemp("drawn"))


def write_contrasts(
    folder: Path,
    *,
    subjects: Mapping[str, int] | None = None,
    size: int = 16,
    slices: int = 3,
    contrasts: tuple[str, ...] = CONTRASTS,
) -> Path:
    """Subjects × contrasts: one row each, all rows of a subject naming the same two inputs.

    ``degraded`` is positive, ``imag`` nowhere above zero; the clean image of contrast k is a disc with a ring
    whose brightness only the contrast decides.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    grid = np.linspace(-1, 1, size)
    radius = np.sqrt(grid[:, None] ** 2 + grid[None, :] ** 2)[..., None]

    def save(name: str, data: Any) -> str:
        nib.save(nib.Nifti1Image(data.astype(np.float32), np.diag([2.0, 2.0, 3.0, 1.0])), folder / name)
        return name

    rows = []
    for split, count in (subjects or {"train": 3, "val": 2, "test": 1}).items():
        for number in range(count):
            subject = f"sub-{split}{number}"
            scale = 100 * (1 + rng.random())
            disc = np.repeat(scale * (1 + rng.random() * (radius < 0.5)) * (radius < 0.9), slices, axis=2)
            noise = 0.1 * scale * rng.standard_normal(disc.shape)
            inputs = {
                "degraded": save(f"{subject}_real.nii", np.abs(disc + noise)),
                "imag": save(f"{subject}_imag.nii", -0.3 * disc),
            }
            for label, contrast in enumerate(contrasts):
                clean = disc * (1 + label * (radius < 0.4)) + 0.01 * scale * rng.random(disc.shape)
                row = {"case": f"{subject}_{contrast}", "subject": subject, "split": split, "contrast": contrast}
                rows.append(row | inputs | {"clean": save(f"{subject}_{contrast}.nii", clean), "label": label})
    with (folder / "pairs.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture
def make_contrasts() -> Callable[..., Path]:
    """See :func:`write_contrasts`."""
    return write_contrasts
