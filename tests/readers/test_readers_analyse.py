"""The analysis: figures of known answers, split-plots and unfinished studies, what it writes and refuses."""

import csv
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from small_study import answer_all, bright_rim, small_study
from taskgan.core.artefact import verify
from taskgan.core.errors import UserError
from taskgan.readers.analyse import StudyAnswers, analyse_study
from taskgan.readers.answers import export_answers, hits, read_answers
from taskgan.readers.study import Lesion, read_study
from taskgan.stats import error_rate


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def in_memory(study: Path, change: Any) -> StudyAnswers:
    """A study whose first readings are changed by a function of the frame."""
    frame = read_answers(read_study(study))
    return StudyAnswers(read_study(study), change(frame.copy()), "input")


def test_the_table_has_every_showing_with_its_truth(answered: Path, tmp_path: Path) -> None:
    table = export_answers(answered, tmp_path)
    rows, read = rows_of(table), read_study(answered)
    assert len(rows) == len(read.showings)
    truths = {one.case: one.truth for one in read.images.values()}
    assert all(int(row["truth"]) == truths[row["case"]] for row in rows)
    assert {row["method"] for row in rows} == set(read.record.methods)
    assert all(float(r["score"]) == (2 * float(r["decision"]) - 1) * float(r["confidence"]) for r in rows)


def test_an_export_of_other_answers_replaces_nothing_unasked(tmp_path: Path) -> None:
    study = small_study(tmp_path, training=0)
    answer_all(study, most=2)
    table = export_answers(study)
    before = table.read_bytes()
    assert export_answers(study) == table
    answer_all(study, most=1)
    with pytest.raises(UserError, match="say --overwrite"):
        export_answers(study)
    assert table.read_bytes() == before
    assert len(rows_of(export_answers(study, overwrite=True))) == len(rows_of(table))


def test_error_rates_are_those_of_the_answers(answered: Path, tmp_path: Path) -> None:
    analyse_study(answered, tmp_path / "analysis", plan=0.1)
    rows = {row["method"]: row for row in rows_of(tmp_path / "analysis" / "tables" / "errors.csv")}
    frame = read_answers(read_study(answered))
    first = frame[(frame["training"] == 0) & (frame["repeat"] == 0)]
    for method, name in (("input", "Input"), ("soft", "soft"), ("clean", "Clean")):
        mine = first[first["method"] == method]
        wrong = (mine["decision"] != mine["truth"]).astype(float)
        expected = error_rate(wrong.to_numpy(), list(mine["subject"])).interval
        assert float(rows[name]["all"]) == pytest.approx(expected.estimate, abs=1e-6)
        assert float(rows[name]["all_high"]) == pytest.approx(expected.high, abs=1e-6)
    assert verify(tmp_path / "analysis")[1] == []
    page = (tmp_path / "analysis" / "readers.html").read_text(encoding="utf-8")
    assert all(name in page for name in ("errors", "auc", "mrmc", "paired", "agreement", "repeats", "quality", "plan"))
    assert "http" not in page.replace("http://www.w3.org", "")


def test_right_readers_agree_with_the_truth_and_each_other(answered: Path) -> None:
    def right(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(decision=frame["truth"], score=2.0 * frame["truth"] - 1)

    answers = in_memory(answered, right)
    assert answers.errors.sum() == 0
    assert answers.with_truth(0).estimate == 1
    assert answers.agreement(0).estimate == 1
    assert answers.compared["auc", "or"].methods[0].estimate == 1
    count, same, kappa = answers.repeated("reader-1")
    assert (count, same) == (4, 4)
    assert kappa.estimate == 1 or math.isnan(kappa.estimate)  # all repeats may be of one truth


def test_the_analysis_by_jackknife_is_that_of_pseudovalues(answered: Path) -> None:
    """DBM's F is MS(method) over its error, of pseudovalues, where the estimates of variance are positive."""
    rng = np.random.default_rng(3)

    def noisy(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(decision=rng.integers(0, 2, len(frame)).astype(float))

    answers = in_memory(answered, noisy)
    errors = answers.errors  # (T, R, N): the jackknife's pseudovalues of a mean are its values
    t, r, n = errors.shape
    mean = errors.mean()
    by = {k: errors.mean(axis=tuple(a for a in range(3) if a not in k)) for k in ((0,), (1,), (2,), (0, 1), (0, 2))}
    method = r * n * ((by[0,] - mean) ** 2).sum() / (t - 1)
    gap = by[0, 1] - by[0,][:, None] - by[1,][None] + mean
    with_reader = n * (gap**2).sum() / ((t - 1) * (r - 1))
    gap = by[0, 2] - by[0,][:, None] - by[2,][None] + mean
    with_case = r * (gap**2).sum() / ((t - 1) * (n - 1))
    rest = ((errors - errors.mean(axis=0) - errors.mean(axis=1, keepdims=True) - errors.mean(axis=2, keepdims=True)
             + by[0,][:, None, None] + by[1,][None, :, None] + by[2,][None, None] - mean) ** 2).sum()  # fmt: skip
    three = rest / ((t - 1) * (r - 1) * (n - 1))
    expected = method / (with_reader + max(with_case - three, 0))
    assert answers.compared["error", "dbm"].f == pytest.approx(expected, rel=1e-6)


def test_a_difference_has_the_sign_of_method_minus_baseline(answered: Path) -> None:
    def worse(frame: pd.DataFrame) -> pd.DataFrame:
        wrong = (frame["method"] == "soft") & (frame["reader"] == "reader-1")
        return frame.assign(decision=np.where(wrong, 1 - frame["truth"], frame["truth"]))

    answers = in_memory(answered, worse)
    assert answers.difference("error", "soft")[0].estimate == pytest.approx(1 / 3)
    later = StudyAnswers(answers.study, answers.frame, "clean")
    assert later.difference("error", "soft")[0].estimate == pytest.approx(1 / 3)


def test_a_split_plot_is_analysed(tmp_path: Path) -> None:
    study = small_study(tmp_path, test=12, design="split-plot", readers=("a", "b", "c", "d"), training=0)
    answer_all(study)
    analyse_study(study)
    answers = in_memory(study, lambda frame: frame)
    assert np.isnan(answers.errors).mean() == 0.5
    assert not math.isnan(answers.agreement(3).estimate)
    rows = rows_of(study / "analysis" / "tables" / "mrmc.csv")
    assert len(rows) == 4 * 3
    assert all(float(row["difference"]) <= 1 for row in rows)


def test_an_unfinished_study_says_so(tmp_path: Path) -> None:
    study = small_study(tmp_path, training=0)
    with pytest.raises(UserError, match="no finished case yet"):
        analyse_study(study)
    answer_all(study, most=9)
    analyse_study(study)
    page = (study / "analysis" / "readers.html").read_text(encoding="utf-8")
    assert "reader-2 has read 9 of 36 images" in page
    with pytest.raises(UserError, match="--baseline nlm"):
        analyse_study(study, baseline="nlm")


def test_programs_are_never_called_people(tmp_path: Path) -> None:
    study = small_study(tmp_path, training=0, programs=True)
    answer_all(study)
    analyse_study(study)
    page = (study / "analysis" / "readers.html").read_text(encoding="utf-8")
    assert "3 model observers (programs, no people) read 8 cases" in page
    export_answers(study)
    assert "programs, no people" in (study / "answers" / "answers.yaml").read_text()


def test_the_study_again_is_done_and_other_answers_need_overwrite(
    answered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = Path(shutil.copytree(answered, tmp_path / "study"))
    analyse_study(study)
    analyse_study(study)
    assert "already done" in capsys.readouterr().out
    with pytest.raises(UserError, match="say --overwrite"):
        analyse_study(study, plan=0.2)


@pytest.mark.parametrize(
    ("name", "value"), [("answers.sqlite", b"x" * 5000), ("key.csv", b"image\n"), ("study.yaml", b"a: 1")]
)
def test_a_damaged_study_ends_in_a_sentence(answered: Path, tmp_path: Path, name: str, value: bytes) -> None:
    study = Path(shutil.copytree(answered, tmp_path / "study"))
    (study / name).write_bytes(value)
    with pytest.raises(UserError):
        analyse_study(study)


def test_marks_find_lesions_within_their_radius() -> None:
    lesions = [Lesion(case="a", x=10, y=10, z=10, radius=8), Lesion(case="a", x=30, y=10, z=10, radius=1)]
    assert hits([[12, 10, 10]], lesions, (2, 2, 2), 3) == (1, 0)
    assert hits([[10, 15, 10]], lesions, (2, 2, 2), 3) == (0, 1)
    assert hits([[31, 10, 10], [30, 11, 10]], lesions, (2, 2, 2), 3) == (1, 0)  # two marks of one lesion
    assert hits([], lesions, (2, 2, 2), 3) == (0, 0)


def test_a_study_of_lesions_counts_marks(tmp_path: Path) -> None:
    form = tmp_path / "form.yaml"
    text = (Path(__file__).parents[2] / "src/taskgan/readers/forms/lesions.yaml").read_text()
    form.write_text(text.replace("masks: lesions", "masks: reference").replace("acceptance", "#"))
    study = small_study(tmp_path, training=0, form=str(form), repeats=0)

    def marked(voxels: np.ndarray[Any, Any], item: dict[str, Any]) -> dict[str, Any]:
        given = bright_rim(voxels, item)
        return {"decision": given["decision"], "quality": 3, "marks": [[18, 22, 1], [0, 0, 9]]}

    answer_all(study, marked)
    analyse_study(study)
    rows = rows_of(study / "analysis" / "tables" / "marks.csv")
    assert [row["found"] for row in rows] == ["24/24"] * 4
    assert {float(row["false_marks"]) for row in rows} == {1.0}
