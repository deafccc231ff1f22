import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from taskgan.cohort.check import check_cohort
from taskgan.cohort.pairs import read_pairs
from taskgan.core.errors import Problems
from taskgan.recipe import Data

Row = dict[str, Any]


def save(path: Path, data: np.ndarray, affine: np.ndarray | None = None) -> str:
    nib.save(nib.Nifti1Image(data.astype(np.float32), np.eye(4) if affine is None else affine), path)
    return path.name


def rows_of(folder: Path) -> list[Row]:
    rng = np.random.default_rng(0)
    rows = []
    for case, split, label in [("a", "train", 0), ("b", "train", 1), ("c", "val", 0), ("d", "test", 1)]:
        images = {name: save(folder / f"{case}_{name}.nii.gz", rng.random((5, 6, 3))) for name in ("degraded", "clean")}
        rows.append({"case": case, "subject": f"sub-{case}", "split": split, **images, "label": label})
    return rows


@pytest.fixture
def problems(tmp_path: Path) -> Callable[..., list[str]]:
    """Break a good cohort with a function of its rows and give the sentences of the check."""

    def run(break_it: Callable[[list[Row]], None], data: Data | None = None, *, labels: bool = True) -> list[str]:
        rows = rows_of(tmp_path)
        break_it(rows)
        with (tmp_path / "pairs.csv").open("w", newline="") as handle:
            writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        try:
            check_cohort(read_pairs(tmp_path), data or Data(), labels=labels, threads=2)
        except Problems as error:
            return list(error.problems)
        return []

    return run


def test_a_good_cohort_passes(problems: Callable[..., list[str]]) -> None:
    assert problems(lambda rows: None) == []


def _remove(folder: Path, name: str) -> None:
    (folder / name).unlink()


CASES: dict[str, tuple[Callable[[Path, list[Row]], None], str]] = {
    "missing file": (lambda f, r: _remove(f, "b_clean.nii.gz"), r"row 3 \(case b\).*b_clean.nii.gz does not exist"),
    "missing test file": (lambda f, r: _remove(f, "d_degraded.nii.gz"), r"row 5 \(case d\).*does not exist"),
    "unreadable file": (
        lambda f, r: (f / "a_degraded.nii.gz").write_bytes(b"not an image") and None,
        r"row 2 \(case a\).*a_degraded.nii.gz cannot be read",
    ),
    "no clean image": (lambda f, r: r[0].update(clean=""), r"row 2 \(case a\) names no clean image"),
    "same file twice": (lambda f, r: r[0].update(clean=r[0]["degraded"]), "both degraded and clean"),
    "shape": (
        lambda f, r: save(f / "b_clean.nii.gz", np.arange(120.0).reshape(5, 6, 4)) and None,
        r"row 3 \(case b\).*b_clean.nii.gz has shape 5×6×4, expected 5×6×3",
    ),
    "affine": (
        lambda f, r: save(f / "c_clean.nii.gz", np.arange(90.0).reshape(5, 6, 3), np.diag([1.0, 1, 2.5, 1])) and None,
        r"row 4 \(case c\).*c_clean.nii.gz has another affine .*1.5 mm",
    ),
    "NaN": (
        lambda f, r: save(f / "a_clean.nii.gz", np.full((5, 6, 3), np.nan)) and None,
        r"row 2 \(case a\).*a_clean.nii.gz holds 90 NaN",
    ),
    "empty image": (
        lambda f, r: save(f / "a_degraded.nii.gz", np.zeros((5, 6, 3))) and None,
        r"row 2 \(case a\).*a_degraded.nii.gz has no positive values",
    ),
    "constant clean image": (
        lambda f, r: save(f / "a_clean.nii.gz", np.ones((5, 6, 3))) and None,
        r"row 2 \(case a\).*a_clean.nii.gz is constant",
    ),
    "four dimensions": (
        lambda f, r: save(f / "d_clean.nii.gz", np.ones((5, 6, 3, 2))) and None,
        r"row 5 \(case d\).*dimensions 5×6×3×2, expected a 3D volume",
    ),
    "subject in two splits": (
        lambda f, r: r[2].update(subject="sub-a"),
        r"row 4 \(case c\) puts subject sub-a into split 'val', row 2 into 'train'",
    ),
    "missing label": (lambda f, r: r[1].update(label=""), r"row 3 \(case b\) has no label"),
    "label that is no class": (lambda f, r: r[1].update(label=3), r"row 3 \(case b\) has label 3, expected 0 or 1"),
    "constant label": (lambda f, r: r[1].update(label=0), "every training row has label 0"),
    "subject with two labels": (
        lambda f, r: r[1].update(subject="sub-a"),
        r"row 3 \(case b\) labels subject sub-a 1, row 2 labels it 0",
    ),
    "empty split": (lambda f, r: r[2].update(split="test"), "no row has split 'val'"),
}


@pytest.mark.parametrize("name", CASES)
def test_each_problem_is_one_sentence_with_file_and_row(
    name: str, problems: Callable[..., list[str]], tmp_path: Path
) -> None:
    import re

    change, expected = CASES[name]
    found = problems(lambda rows: change(tmp_path, rows))
    assert len([p for p in found if re.search(expected, p)]) == 1, found
    assert len(found) == 1 or name in ("no clean image", "missing label"), found


def test_all_problems_are_listed_at_once_in_the_order_of_rows(
    problems: Callable[..., list[str]], tmp_path: Path
) -> None:
    def change(rows: list[Row]) -> None:
        save(tmp_path / "c_degraded.nii.gz", np.full((5, 6, 3), np.nan))
        _remove(tmp_path, "a_clean.nii.gz")
        rows[1].update(label="")

    found = problems(change)
    assert ["row 2" in found[-3], "row 3" in found[-2], "row 4" in found[-1]] == [True] * 3


def test_labels_do_not_matter_where_nobody_needs_them(problems: Callable[..., list[str]]) -> None:
    def change(rows: list[Row]) -> None:
        for row in rows:
            row["label"] = ""

    assert problems(change, labels=False) == []
    assert len(problems(change)) == 3


def test_input_columns_are_checked_like_the_degraded_image(problems: Callable[..., list[str]], tmp_path: Path) -> None:
    data = Data(inputs=("degraded", "t1"))
    assert "no input column 't1'" in problems(lambda rows: None, data)[0]

    def change(rows: list[Row]) -> None:
        for row in rows:
            row["t1"] = save(tmp_path / f"{row['case']}_t1.nii.gz", np.random.default_rng(1).random((5, 6, 3)))
        rows[0]["t1"] = ""
        save(tmp_path / "b_t1.nii.gz", np.ones((5, 5, 3)))

    found = problems(change, data)
    assert "row 2 (case a) names no t1 image" in found[0]
    assert "b_t1.nii.gz has shape 5×5×3" in found[1]
    assert len(found) == 2


def test_only_selected_rows_are_opened_but_subjects_are_compared_over_all(
    problems: Callable[..., list[str]], tmp_path: Path
) -> None:
    def change(rows: list[Row]) -> None:
        for row in rows:
            row["dose"] = 1
        lost = {**rows[0], "case": "e", "degraded": "absent.nii.gz", "dose": 5, "split": "test"}
        rows.append(lost)

    found = problems(change, Data(select={"dose": 1}))
    assert len(found) == 1
    assert "row 6 (case e) puts subject sub-a into split 'test'" in found[0]
