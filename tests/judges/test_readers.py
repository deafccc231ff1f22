from pathlib import Path

import pytest

from fake_cohort import blur, make_cohort, make_restorations
from taskgan.cohort.pairs import read_pairs, write_pairs
from taskgan.core.files import read_yaml
from taskgan.evaluate.cases import read_case_table
from taskgan.evaluate.run import evaluate
from taskgan.judges import store as room
from taskgan.judges.readers import default_readers, no_readers_reason
from taskgan.recipe import Recipe, RecogniserSettings, Task


@pytest.fixture
def taught(tmp_path: Path) -> Path:
    """A cohort whose four learning subjects are two for training and two for validation."""
    cohort = make_cohort(tmp_path / "cohort", test=2)
    rows = [dict(pair.columns) for pair in read_pairs(cohort)]
    for index, (split, label) in enumerate((("train", 1), ("train", 0), ("val", 1), ("val", 0)), start=2):
        rows[index] |= {"split": split, "label": str(label)}
    write_pairs(cohort / "pairs.csv", rows)
    return cohort


def test_task_and_judge_come_from_the_cohorts_store(taught: Path, tmp_path: Path) -> None:
    quick = {"width": 2, "steps": 2, "batch_size": 2, "validate_every": 1}
    recipe = Recipe(
        task=Task(pretrain=RecogniserSettings(network="resnet10", seed=0, **quick)),
        judge=RecogniserSettings(network="convnet", seed=1000, **quick),
    )
    restored = make_restorations(tmp_path / "r", taught, "gan", blur(0.5))
    out = evaluate(restored, taught, tmp_path / "e", recipe=recipe, store=tmp_path / "store")
    told = read_yaml(out / "evaluation.yaml")["readers"]
    assert told["task"]["network"] == "resnet10"
    assert told["judge"]["network"] == "convnet"
    assert len(told["judge"]["checksum"]) == 64
    assert told["task"]["checksum"] != told["judge"]["checksum"]
    assert (tmp_path / "store" / told["judge"]["folder"]).is_dir()
    assert read_case_table(out)["judge_mae"].between(0, 1).all()
    # The second evaluation reads the same networks: the same figures to the last digit.
    again = evaluate(restored, taught, tmp_path / "e2", recipe=recipe, store=tmp_path / "store")
    assert (again / "cases.csv").read_bytes() == (out / "cases.csv").read_bytes()


def test_why_a_cohort_teaches_no_reader(fake_cohort: Path, taught: Path) -> None:
    assert no_readers_reason(read_pairs(taught)) == ""
    assert "no validation rows" in no_readers_reason(read_pairs(fake_cohort))
    assert "both labels" in no_readers_reason(read_pairs(fake_cohort).split("test"))


def test_a_t_that_the_run_taught_itself_is_taught_anew_and_says_so_once(
    taught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = Recipe(
        task=Task(pretrain=RecogniserSettings(width=2, steps=0)), judge=RecogniserSettings(network="convnet", seed=1)
    )
    monkeypatch.setattr(room, "recogniser_for", lambda *args, **named: None)
    first = default_readers(read_pairs(taught), recipe, tmp_path)
    told = capsys.readouterr().out
    assert told.count("task.pretrain.steps is 0") == 1
    assert "2000 steps at most" in told
    first["task"].folder.mkdir()  # type: ignore[attr-defined]
    default_readers(read_pairs(taught), recipe, tmp_path)
    pretrained = recipe.model_copy(update={"task": Task(pretrain=RecogniserSettings(width=2, steps=5))})
    default_readers(read_pairs(taught), pretrained, tmp_path)
    assert capsys.readouterr().out == ""
