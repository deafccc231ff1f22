import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from taskgan.core.artefact import commit_more
from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml, write_yaml
from taskgan.page.cells import display_name
from taskgan.report.load import load_comparison


def test_rows_of_the_cohort_are_kept_once_and_methods_are_in_order(evaluations: list[Path]) -> None:
    found = load_comparison(evaluations)
    assert found.methods == ("l1", "gan", "task_gan")
    assert (found.baseline, found.focus, found.compared_methods) == ("gan", "task_gan", ("l1", "task_gan"))
    assert len(found.rows("input")) == len(found.rows("clean")) == 8
    assert len(found.rows("gan")) == 16
    assert found.notes == ()
    assert found.suvr_cut == 1.38


def test_images_can_be_opened_from_anywhere(
    evaluations: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    frame = load_comparison(evaluations).frame
    for column in ("degraded", "clean", "restored", "cortex", "reference"):
        assert all(Path(p).is_file() for p in frame[column])


def test_without_the_baseline_the_input_takes_its_place(evaluations: list[Path]) -> None:
    found = load_comparison(evaluations[:1])
    assert (found.baseline, found.focus) == ("input", "task_gan")
    assert "No evaluation of GAN" in found.notes[0]
    assert load_comparison(evaluations, "l1").baseline == "l1"
    with pytest.raises(UserError, match="no evaluation of the baseline 'gann'; there are .*task_gan, input"):
        load_comparison(evaluations, "gann")


def test_another_tools_method_stands_last(evaluations: list[Path], one_evaluation: Callable[..., Path]) -> None:
    found = load_comparison([one_evaluation("BM3D"), *evaluations])
    assert found.methods == ("l1", "gan", "task_gan", "BM3D")
    assert (display_name("BM3D"), display_name("task_gan")) == ("BM3D", "Task-GAN")


def test_fewer_cases_are_said(evaluations: list[Path], one_evaluation: Callable[..., Path]) -> None:
    found = load_comparison([one_evaluation("BM3D", cases=5), *evaluations])
    assert any("3 of 8 test cases were not restored" in note for note in found.notes)
    assert any("BM3D 5" in note and "5 are common to all" in note for note in found.notes)


def test_the_same_run_twice_is_refused(evaluations: list[Path]) -> None:
    with pytest.raises(UserError, match=r"hold the same method 'gan' with the same seed and fold"):
        load_comparison([evaluations[2], evaluations[2]])


def test_other_recognisers_or_cohorts_are_refused(evaluations: list[Path], one_evaluation: Callable[..., Path]) -> None:
    other = one_evaluation("BM3D", cut=1.2)
    with pytest.raises(UserError, match=r"sub-01 \(input\) has different values of judge_"):
        load_comparison([*evaluations, other])


def test_tables_without_rows_or_methods_are_refused(evaluations: list[Path], tmp_path: Path) -> None:
    lines = (evaluations[0] / "cases.csv").read_text().splitlines()
    for name, text, told in (
        ("nothing", "", r"nothing/cases\.csv lacks the columns"),
        ("header", lines[0] + "\n", "has a header but no rows"),
        ("input", "\n".join(lines[:3]) + "\n", "holds no rows of a restoring method"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cases.csv").write_text(text)
        with pytest.raises(UserError, match=told):
            load_comparison([tmp_path / name])


def test_a_mixture_of_doses_is_said(evaluations: list[Path], tmp_path: Path) -> None:
    copy = tmp_path / "mixed"
    shutil.copytree(evaluations[0], copy)
    frame = pd.read_csv(copy / "cases.csv", dtype=str, keep_default_na=False)
    frame.loc[frame["case"].isin(["sub-01", "sub-02"]), "dose"] = "25"
    frame.to_csv(copy / "cases.csv", index=False)
    with pytest.raises(UserError, match=r"mixed/cases\.csv was changed since it was evaluated; make it again"):
        load_comparison([copy])
    commit_more(copy / "evaluation.yaml", [copy / "cases.csv"])
    assert any("of 2 doses (1, 25 %)" in note for note in load_comparison([copy]).notes)


def test_a_folder_that_is_no_evaluation_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no cases\.csv"):
        load_comparison([tmp_path])
    with pytest.raises(UserError, match="no evaluation folder given"):
        load_comparison([])


def test_a_folder_that_is_no_evaluation_is_named_beside_others(evaluations: list[Path], tmp_path: Path) -> None:
    """It used other SUVR cuts, it was said."""
    with pytest.raises(UserError, match="absent holds no cases.csv; expected a folder that taskgan evaluate made"):
        load_comparison([*evaluations, tmp_path / "absent"])


def test_a_note_of_all_evaluations_is_said_once(evaluations: list[Path], fake_runs: Path, tmp_path: Path) -> None:
    copies = []
    for folder in evaluations[:3]:
        copy = tmp_path / folder.parent.name
        shutil.copytree(folder, copy)
        record = read_yaml(copy / "evaluation.yaml") | {"notes": ["there was no judge"]}
        write_yaml(copy / "evaluation.yaml", record)
        copies.append(copy)
    assert load_comparison(copies).notes == ("There was no judge.",)
    assert load_comparison([*copies[:2], evaluations[2]]).notes == ("Task-GAN, L1 only: there was no judge.",)
