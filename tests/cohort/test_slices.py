"""A table of DICOM series is a cohort like one of NIfTI files; two series of one folder are two acquisitions."""

from pathlib import Path

import numpy as np
import pytest

from dicom_files import write_series
from taskgan.cohort.check import check_cohort
from taskgan.cohort.pairs import read_pairs
from taskgan.cohort.slices import acquisition, load_case
from taskgan.core.errors import Problems
from taskgan.recipe import Data

AFFINE = np.diag([2.0, 2.0, 5.0, 1.0])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Three subjects; degraded and clean are the series 1 and 2 of one folder."""
    rows = ["case,subject,split,degraded,degraded_series,clean,clean_series,label"]
    for number, split in enumerate(("train", "val", "test")):
        rng = np.random.default_rng(number)
        for series in (1, 2):
            write_series(tmp_path / "new", rng.integers(1, 900, (8, 10, 4)).astype("u2"), AFFINE, series=series)
            (tmp_path / split).mkdir(exist_ok=True)
            for path in (tmp_path / "new").iterdir():
                path.rename(tmp_path / split / path.name)
        rows.append(f"{split},{split},{split},{split},1,{split},2,{number % 2}")
    (tmp_path / "pairs.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "pairs.csv"


def test_series_of_a_table_are_checked_and_loaded(table: Path) -> None:
    pairs, data = read_pairs(table), Data()
    check_cohort(pairs, data, labels=False)
    pair = pairs.rows[0]
    case = load_case(pair, data)
    assert case.inputs.shape == (4, 1, 8, 10)
    assert case.clean is not None
    assert not np.allclose(case.clean, case.inputs[:, 0])
    next((table.parent / "val").glob("IM001*_2.dcm")).unlink()
    with pytest.raises(Problems, match=r"row 3 \(case val\): .*expected even distances"):
        check_cohort(pairs, data, labels=False)


def test_a_known_case_of_the_same_folder_and_another_series_is_not_taken_over(table: Path) -> None:
    table.write_text(table.read_text().replace("train,1,train,2", "train,2,train,1") + "x,y,test,train,1,train,2,0\n")
    first, *_, last = read_pairs(table)
    assert acquisition(first, Data()) != acquisition(last, Data())
    one = load_case(first, Data())
    other = load_case(last, Data(), known=one)
    np.testing.assert_array_equal(other.inputs, load_case(last, Data()).inputs)
    assert not np.array_equal(one.inputs, other.inputs)
