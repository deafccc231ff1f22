from pathlib import Path

import pytest

from taskgan.cohort.pairs import REQUIRED_TO_RESTORE, read_pairs, write_pairs
from taskgan.core.errors import Problems, UserError

HEADER = "case,subject,split,degraded,clean,label,dose\n"


def table(tmp_path: Path, body: str, header: str = HEADER) -> Path:
    (tmp_path / "pairs.csv").write_text(header + body)
    return tmp_path


def test_rows_are_read_with_paths_relative_to_the_table(tmp_path: Path) -> None:
    pairs = read_pairs(table(tmp_path, "a,s1,train,lo/a.nii,hi/a.nii,1,1\nb,s2,test,lo/b.nii,,,25\n"))
    first, second = pairs
    assert (first.row, first.case, first.subject, first.label) == (2, "a", "s1", 1.0)
    assert first.degraded == tmp_path / "lo/a.nii"
    assert (second.clean, second.label) == (None, None)
    assert [p.case for p in pairs.split("test")] == ["b"]


def test_a_spreadsheets_byte_order_mark_and_spaces_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("\ufeffcase , subject,split,degraded,clean,label\na, s1 ,train,x,y,0\n")
    assert next(iter(read_pairs(tmp_path))).subject == "s1"


def test_select_compares_text_as_text_and_numbers_as_numbers(tmp_path: Path) -> None:
    pairs = read_pairs(table(tmp_path, "a,s1,train,x,y,1,1\nb,s1,train,x,y,1,5\n"))
    assert [p.case for p in pairs.select({"dose": 1.0})] == ["a"]
    with pytest.raises(UserError, match="no row with dose = 3"):
        pairs.select({"dose": "3"})
    with pytest.raises(UserError, match="no column 'does'"):
        pairs.select({"does": "3"})


def test_every_malformed_row_is_named_at_once(tmp_path: Path) -> None:
    body = "a,s1,train,x,y,1,1\na,s2,trian,,y,high,1\n,,test,x,y,1,1\nd,s4,val,x,y,1,1,9\n"
    with pytest.raises(Problems) as caught:
        read_pairs(table(tmp_path, body))
    message = str(caught.value)
    for expected in (
        "row 3 repeats the case 'a' of row 2",
        "row 3 (case a) has split 'trian'",
        "row 3 (case a) names no degraded image",
        "row 3 (case a) has label 'high'",
        "row 4 has no case name",
        "row 4 (case ) has no subject",
        "row 5 has more fields than the header",
    ):
        assert expected in message


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda d: None, "holds no pairs.csv"),
        (lambda d: (d / "pairs.csv").write_text(HEADER), "has a header but no rows"),
        (lambda d: (d / "pairs.csv").write_text("case,split\na,b\n"), "lacks the columns subject, degraded"),
        (lambda d: (d / "pairs.csv").write_bytes(b"\xff\xfe\x00case"), "cannot be read as CSV"),
    ],
)
def test_a_table_that_is_none_is_one_sentence(tmp_path: Path, make: object, expected: str) -> None:
    make(tmp_path)  # type: ignore[operator]
    with pytest.raises(UserError, match=expected):
        read_pairs(tmp_path)


def test_restoring_needs_only_case_and_degraded(tmp_path: Path) -> None:
    pairs = read_pairs(table(tmp_path, "a,x.nii\n", "case,degraded\n"), REQUIRED_TO_RESTORE)
    assert next(iter(pairs)).subject == "a"


def test_written_tables_read_back(tmp_path: Path) -> None:
    rows = [{"case": "a", "subject": "s", "split": "val", "degraded": "x", "clean": "y", "label": 0, "note": "a,b"}]
    write_pairs(tmp_path / "pairs.csv", rows)
    assert next(iter(read_pairs(tmp_path))).columns["note"] == "a,b"


def test_rows_are_counted_as_an_editor_does(tmp_path: Path) -> None:
    with pytest.raises(Problems, match=r"row 4 repeats the case 'a' of row 2"):
        read_pairs(table(tmp_path, "a,x.nii\n\na,x.nii\n", "case,degraded\n"), REQUIRED_TO_RESTORE)


def test_a_label_is_a_finite_number(tmp_path: Path) -> None:
    with pytest.raises(Problems, match="label 'nan', expected a number"):
        read_pairs(table(tmp_path, "a,x.nii,nan\n", "case,degraded,label\n"), REQUIRED_TO_RESTORE)
