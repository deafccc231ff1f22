"""``verification.csv`` of an evaluation: what is written is read, and a damaged file is named."""

from pathlib import Path

import numpy as np
import pytest

from taskgan.core.errors import UserError
from taskgan.evaluate.verification_table import (
    FILE,
    DistanceRow,
    DistanceTable,
    distance_columns,
    read_verification,
    write_verification,
)

ROWS = (
    DistanceRow("test", "a1", "a2", "a", "a"),
    DistanceRow("test", "a1", "b1", "a", "b"),
    DistanceRow("train", "c1", "c2", "c", "c"),
    DistanceRow("val", "d1", "e1", "d", "e"),
)


@pytest.fixture
def table() -> DistanceTable:
    found = {
        "my_judge": {
            "restored": {"test": np.array([0.1, 1 / 3])},
            "clean": {"test": np.array([0.2, 0.9]), "train": np.array([0.3]), "val": np.array([1.1])},
            "restored_probe": {"test": np.array([0.15, 0.8])},
        },
        "lbp": {"clean": {"test": np.array([20.0, 40.0]), "train": np.array([21.0]), "val": np.array([1e-9])}},
    }
    return DistanceTable(ROWS, distance_columns(ROWS, found))


def test_what_is_written_is_read(table: DistanceTable, tmp_path: Path) -> None:
    write_verification(tmp_path, table)
    found = read_verification(tmp_path)
    assert found is not None
    assert found.rows == ROWS
    assert found.readers == ("my_judge", "lbp")
    for reader, images in table.distances.items():
        assert list(found.distances[reader]) == list(images)
        for image, values in images.items():
            np.testing.assert_array_equal(found.distances[reader][image], values)  # to the digit
    assert found.distance("my_judge", "clean", "val") == pytest.approx([1.1])
    assert found.distance("my_judge", "restored")[1] == 0.33333333
    assert found.pairs().people.tolist() == [[0, 0], [0, 1]]
    assert found.has_distances("my_judge", "restored_probe")
    assert not found.has_distances("lbp", "restored")
    assert not found.has_distances("nobody", "clean")


def test_the_file_says_what_is_in_it(table: DistanceTable, tmp_path: Path) -> None:
    write_verification(tmp_path, table)
    header, first, *_, last = (tmp_path / FILE).read_text().splitlines()
    assert header == (
        "set,first,second,same,first_person,second_person,my_judge_clean,my_judge_restored,my_judge_restored_probe,"
        "lbp_clean"
    )
    assert first == "test,a1,a2,1,a,a,0.2,0.1,0.15,20"
    assert last == "val,d1,e1,0,d,e,1.1,,,1e-09"


def test_nothing_to_write_removes_an_older_file(table: DistanceTable, tmp_path: Path) -> None:
    write_verification(tmp_path, table)
    write_verification(tmp_path, None)
    assert not (tmp_path / FILE).exists()
    assert read_verification(tmp_path) is None


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("second_person", "whose", "lacks the column second_person"),
        ("a1,b1,0", "a1,b1,1", "row 3 has same '1', expected 0 of a and b"),
        ("train", "dev", "row 4 has set 'dev', expected test, train, val"),
        ("0.15", "near", "row 2 has my_judge_restored_probe 'near', expected a number"),
        ("0.15", "inf", "row 2 has my_judge_restored_probe 'inf', expected a number"),
        (",1e-09", "", "row 5 has fewer fields than the header"),
    ],
)
def test_what_is_wrong_is_named(table: DistanceTable, tmp_path: Path, before: str, after: str, sentence: str) -> None:
    write_verification(tmp_path, table)
    text = (tmp_path / FILE).read_text()
    assert before in text
    (tmp_path / FILE).write_text(text.replace(before, after, 1))
    with pytest.raises(UserError, match=sentence):
        read_verification(tmp_path)


def test_a_file_without_rows_or_text_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("set,first,second,same,first_person,second_person\n")
    with pytest.raises(UserError, match="has a header but no rows"):
        read_verification(tmp_path)
    (tmp_path / FILE).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read as CSV"):
        read_verification(tmp_path)
