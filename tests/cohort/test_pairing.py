"""Units, swapped files and images of another kind are named."""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from small_models import save
from taskgan.cohort.check import check_cohort
from taskgan.cohort.pairing import Coarse, correlation, inputs_of_another_kind
from taskgan.cohort.pairs import Pairs, read_pairs, write_pairs
from taskgan.recipe import Data

SHAPE = (24, 24, 8)


def head(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    grid = np.linspace(-1, 1, 24)
    inside = (grid[:, None] ** 2 + grid[None, :] ** 2 < 0.8)[..., None]
    return np.where(inside, 1 + 20 * np.abs(ndimage.gaussian_filter(rng.normal(size=SHAPE), 3)), 0)


def cohort(folder: Path, count: int = 6, *, low: float = 1, names: list[str] | None = None) -> Pairs:
    rows = []
    for k, name in enumerate(names or [f"P{k}" for k in range(count)]):
        noise = np.random.default_rng(50 + k).normal(size=SHAPE)
        clean = head(k)
        save(folder / f"{name}_clean.nii.gz", clean.astype(np.float32))
        save(folder / f"{name}_low.nii.gz", (low * np.clip(clean * (1 + 0.2 * noise), 0, None)).astype(np.float32))
        row = {"case": name, "subject": name, "split": ("train", "val", "test")[k % 3]}
        rows.append(row | {"degraded": f"{name}_low.nii.gz", "clean": f"{name}_clean.nii.gz", "label": k % 2})
    write_pairs(folder / "pairs.csv", rows)
    return read_pairs(folder)


def notes(pairs: Pairs) -> list[str]:
    return check_cohort(pairs, Data(), labels=False)


def test_a_sound_cohort_has_no_notes(tmp_path: Path) -> None:
    assert notes(cohort(tmp_path)) == []


def test_other_units_of_all_are_named(tmp_path: Path) -> None:
    (note,) = notes(cohort(tmp_path, low=1e-4))
    assert "the clean images are" in note
    assert "expected the same units" in note


def test_one_subject_in_other_units_is_named(tmp_path: Path) -> None:
    pairs = cohort(tmp_path)
    save(tmp_path / "P3_clean.nii.gz", (head(3) * 0.01).astype(np.float32))
    (note,) = notes(pairs)
    assert "but not of P3 (0.0" in note


def test_swapped_clean_images_are_named(tmp_path: Path) -> None:
    pairs = cohort(tmp_path)
    one, other = tmp_path / "P0_clean.nii.gz", tmp_path / "P3_clean.nii.gz"
    one.rename(tmp_path / "third.nii.gz")
    other.rename(one)
    (tmp_path / "third.nii.gz").rename(other)
    found = notes(pairs)
    assert any("case P0 resembles the clean one of case P3" in note for note in found)
    assert any("case P3 resembles the clean one of case P0" in note for note in found)
    assert not any("case P1 " in note for note in found)


def test_names_that_look_alike_in_several_splits_are_named(tmp_path: Path) -> None:
    (note,) = notes(cohort(tmp_path, names=["sub-01", "1", "01", "02", "4", "5"]))
    assert "sub-01 (train), 1 (val), 01 (test)" in note


@pytest.mark.parametrize(("low", "high", "other"), [("T1w", "FLAIR", True), ("pet", "pet", False), ("x", "y", False)])
def test_inputs_of_another_kind_are_known_by_suffix_or_content(
    tmp_path: Path, low: str, high: str, other: bool
) -> None:
    prefix = "sub-01_" if low != "x" else ""
    for name, part in ((low, "low"), (high, "high")):
        save(tmp_path / f"{prefix}{part}_{name}.nii.gz", head(1).astype(np.float32))
    row = {"case": "a", "subject": "a", "split": "test", "label": 0}
    row |= {"degraded": f"{prefix}low_{low}.nii.gz", "clean": f"{prefix}high_{high}.nii.gz"}
    write_pairs(tmp_path / "pairs.csv", [row])
    pairs = read_pairs(tmp_path)
    assert inputs_of_another_kind(list(pairs), Data()) is other
    if low == "x":
        save(tmp_path / "low_x.nii.gz", (5 - head(1)).astype(np.float32))
        assert inputs_of_another_kind(list(pairs), Data())


def test_blocks_hold_the_mean_and_forget_the_noise() -> None:
    clean = head(0)
    noisy = clean * (1 + np.random.default_rng(9).normal(size=SHAPE))
    assert Coarse.of(clean.astype(np.float32)).mean == pytest.approx(clean.mean(), rel=0.02)
    assert correlation(Coarse.of(clean.astype(np.float32)), Coarse.of(noisy.astype(np.float32))) > 0.6
