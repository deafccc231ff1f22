"""Damaged tables are sentences that name the file and the row."""

from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskgan.core.errors import UserError
from taskgan.core.tables import read_frame, read_table, write_frame
from taskgan.evaluate.cases import read_case_table, write_case_table
from taskgan.judges.readings import Reading, read_readings, readings_table, write_readings
from taskgan.train.metrics import COLUMNS, MetricsLogger, read_metrics

DAMAGED = {
    "no header": (b"", "lacks the columns case, value; found no header"),
    "one column": (b"case\na\n", "lacks the column value"),
    "semicolons": (b"case;value\na;1\n", "separated by commas"),
    "no rows": (b"case,value\n", "a header but no rows"),
    "twice": (b"case,value,value\na,1,2\n", "two columns 'value'"),
    "text": (b"case,value\na,1\nb,two\n", "row 3 has 'two' in the column value"),
    "infinite": (b"case,value\na,inf\n", "row 2 has 'inf' in the column value"),
    "no number": (b"case,value\na,NaN\n", "row 2 has 'NaN' in the column value"),
    "cut off": (b"case,value\na,1\nb", "row 3 has fewer fields"),
    "too long": (b"case,value\na,1,2\n", "row 2 has more fields"),
    "latin-1": (b"case,value\ncaf\xe9,1\n", "cannot be read as CSV"),
    "a long field": (b"case,value\n" + b"a" * 200_000 + b",1\n", "cannot be read as CSV"),
    "a long number": (b"case,value\na," + b"x" * 100_000 + b"\n", "row 2 has 'xxx"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_table_is_one_short_sentence(tmp_path: Path, kind: str) -> None:
    raw, expected = DAMAGED[kind]
    path = tmp_path / "mine.csv"
    path.write_bytes(raw)
    with pytest.raises(UserError, match=expected) as caught:
        read_table(path, ("case", "value"), numbers=("value",))
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value)) < len(str(path)) + 800


def test_a_frame_has_text_and_numbers(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("\ufeffcase,value,other\n001,,x\nNA,1e3,\n", encoding="utf-8")
    frame = read_frame(path, ("case", "value"), ("case", "more"), optional=("more", "count"))
    assert frame["case"].tolist() == ["001", "NA"]
    assert frame["value"].isna().tolist() == [True, False]
    assert frame["more"].tolist() == ["", ""]
    assert frame["count"].dtype == frame["value"].dtype == float


def test_text_of_a_frame_is_no_formula_and_comes_back(tmp_path: Path) -> None:
    frame = pd.DataFrame({"case": ["=1+1", "a"], "value": [-1.25, 2.0]})
    write_frame(tmp_path / "mine.csv", frame, digits=8)
    assert (tmp_path / "mine.csv").read_text() == "case,value\n'=1+1,-1.25\na,2\n"
    pd.testing.assert_frame_equal(read_frame(tmp_path / "mine.csv", ("case", "value"), ("case",)), frame)
    write_frame(tmp_path / "none.csv", frame[:0], digits=8)
    assert read_frame(tmp_path / "none.csv", ("case", "value"), ("case",), empty=True).empty


def test_tables_of_an_evaluation_are_checked(tmp_path: Path) -> None:
    row = {"case": "a", "subject": "a", "method": "clean", "psnr": float("inf"), "ssim": 1.0}
    write_case_table(tmp_path / "cases.csv", [row])
    assert read_case_table(tmp_path)["psnr"].tolist() == [float("inf")]  # of an image against itself
    write_case_table(tmp_path / "cases.csv", [row | {"ssim": float("inf")}])
    with pytest.raises(UserError, match=r"cases\.csv row 2 has 'inf' in the column ssim"):
        read_case_table(tmp_path)
    reading = Reading("a", "a", "test", "clean", "judge", "label", 0.25, 1.0, 1.0, 0.0, 0.5)
    write_readings(tmp_path, readings_table([reading]))
    assert read_readings(tmp_path)["prediction"].tolist() == [0.25]
    text = (tmp_path / "readings.csv").read_text()
    for old, new in (("0.25", "a quarter"), ("prediction", "p"), (text[-5:], "")):
        (tmp_path / "readings.csv").write_text(text.replace(old, new))
        with pytest.raises(UserError, match=r"readings\.csv"):
            read_readings(tmp_path)


def test_readings_of_an_earlier_version_say_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "readings.csv").write_text("case,subject,method,reader,output,prediction,target,decision\n")
    with pytest.raises(UserError, match=r"readings\.csv is of an earlier version; evaluate or audit again"):
        read_readings(tmp_path)


def test_damaged_curves_are_gone_on_from_or_named(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    header = ",".join(COLUMNS)
    for raw in (b"", b"step", header.encode()):
        path.write_bytes(raw)
        assert read_metrics(path) == []
    path.write_text(f"{header}\n5,{',' * (len(COLUMNS) - 2)}\n\u00b2,{',' * (len(COLUMNS) - 2)}\n7,1\n")
    assert [row["step"] for row in read_metrics(path)] == ["5"]
    for raw in (b"\xff\xfe\n", b"step,what\n1,2\n", b"x,y\n1,2\n"):
        path.write_bytes(raw)
        with pytest.raises(UserError, match=r"metrics\.csv"):
            MetricsLogger(tmp_path, 5)


@settings(max_examples=100, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.text(alphabet='ab,"\n\r;1.e\0\u00b2 ', max_size=60))
def test_any_table_is_rows_or_a_sentence(tmp_path: Path, raw: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(f"case,value\n{raw}", encoding="utf-8", newline="")
    with suppress(UserError):
        for _, row in read_table(path, ("case", "value"), numbers=("value",)):
            assert isinstance(row["case"], str)
            assert not row["value"] or float(row["value"]) < 10**60
