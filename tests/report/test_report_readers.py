"""``compare --readers``: what readers of a study decided stands beside what judges read."""

import csv
from pathlib import Path

import pytest

from small_study import answer_all, small_study
from taskgan.core.errors import UserError
from taskgan.readers.analyse import analyse_study
from taskgan.report.run import compare


def test_readers_of_a_study_are_rows_of_the_report(evaluations: list[Path], tmp_path: Path) -> None:
    study = small_study(tmp_path, training=0, cases=4, programs=True)
    answer_all(study)
    with pytest.raises(UserError, match="does not exist"):
        compare(evaluations, tmp_path / "report", readers=study)
    analyse_study(study)
    page = compare(evaluations, tmp_path / "report", readers=study).read_text(encoding="utf-8")
    assert "3 model observers (programs, no people)" in page
    with (tmp_path / "report" / "tables" / "readers.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    with (study / "analysis" / "tables" / "errors.csv").open(newline="") as handle:
        errors = list(csv.DictReader(handle))
    assert [row["method"] for row in rows] == ["Input", "soft", "pulled", "Clean"]
    assert [float(row["error"]) for row in rows] == pytest.approx([float(row["all"]) for row in errors], abs=1e-5)
    (study / "analysis" / "tables" / "errors.csv").write_text("x")
    with pytest.raises(UserError, match="were changed since"):
        compare(evaluations, tmp_path / "other", readers=study)
