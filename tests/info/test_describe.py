from pathlib import Path

import pytest

from taskgan.core.errors import UserError
from taskgan.core.files import write_text, write_yaml
from taskgan.info import describe


def test_a_cohort_tells_its_splits_labels_and_calibration(tmp_path: Path) -> None:
    rows = "a,s1,train,x,y,1,1\nb,s2,train,x,y,0,1\nc,s3,test,x,y,0,5\n"
    write_text(tmp_path / "pairs.csv", "case,subject,split,degraded,clean,label,dose\n" + rows)
    write_yaml(tmp_path / "cohort.yaml", {"kind": "pet", "measured": {"psnr": 22.41234, "relative_rmse": 0.3}})
    text = describe(tmp_path)
    assert "3 pairs of 3 subjects" in text
    assert "2 subjects (1 × label 0, 1 × label 1)" in text
    assert "2 × 1, 1 × 5" in text
    assert "22.41" in text
    assert describe(tmp_path / "pairs.csv") == text


def test_a_run_tells_where_it_stands(tmp_path: Path) -> None:
    write_yaml(tmp_path / "recipe.yaml", {"objective": "gan", "seed": 3, "optimiser": {"steps": 100}})
    write_text(tmp_path / "metrics.csv", "step,pixel,psnr\n10,0.5,\n20,0.25,27.1\n")
    text = describe(tmp_path)
    assert "objective gan, seed 3" in text
    assert "20 of 100" in text
    assert "27.1" in text


def test_a_model_card_tells_its_use_and_its_cohort(tmp_path: Path) -> None:
    write_yaml(tmp_path / "model.yaml", {"intended_use": "research", "cohort": {"subjects": 24}})
    text = describe(tmp_path)
    assert "research" in text
    assert "24" in text


@pytest.mark.parametrize("name", ["absent", "empty", "notes.txt"])
def test_what_is_nothing_of_ours_is_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match="expected"):
        describe(tmp_path / name)


def test_the_limits_of_a_model_are_not_cut_short(tmp_path: Path) -> None:
    limits = ["Not a medical device and not validated for diagnosis.", "A restored image can read differently."]
    write_yaml(tmp_path / "model.yaml", {"limits": limits})
    assert all(limit in describe(tmp_path) for limit in limits)


def test_a_table_of_another_name_is_a_cohort_too(tmp_path: Path) -> None:
    write_text(tmp_path / "mine.csv", "case,degraded\na,x\n")
    assert "1 pairs of 1 subjects" in describe(tmp_path / "mine.csv")


@pytest.mark.parametrize(("name", "text"), [("recipe.yaml", "optimiser: 3"), ("pairs.csv", "case,degraded\na,x\n")])
def test_odd_contents_do_not_break_it(tmp_path: Path, name: str, text: str) -> None:
    write_text(tmp_path / name, text)
    write_text(tmp_path / "cohort.yaml", "measured: 3\nsettings: [1]\n")
    (tmp_path / "metrics.csv").write_bytes(b"\xff\xfe\n1\n")
    assert str(tmp_path) in describe(tmp_path)


def test_a_summary_that_is_no_evaluation_is_one_sentence(tmp_path: Path) -> None:
    write_text(tmp_path / "summary.json", "[1]")
    with pytest.raises(UserError, match=r"summary.json holds list"):
        describe(tmp_path)


def test_names_of_people_are_counted_and_not_listed(tmp_path: Path) -> None:
    rows = "".join(f"c{k},p{k},test,x.png,y.png,{k // 2}\n" for k in range(80))
    write_text(tmp_path / "pairs.csv", "case,subject,split,degraded,clean,label\n" + rows)
    assert "80 subjects (40 different labels)" in describe(tmp_path)
