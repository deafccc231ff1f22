"""``taskgan train`` of readers alone: T and the judge in the store, and how well they read in the run folder."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml
from taskgan.info import describe
from taskgan.judges import store
from taskgan.judges.readers import default_readers
from taskgan.judges.recogniser import CARD
from taskgan.model.folder import read_model
from taskgan.recipe import Recipe, Task
from taskgan.train.run import read_training_pairs, train

Make = Callable[..., Recipe]
STILL = {"flip": False, "shift": 0}
SMALL = {"width": 4, "steps": 4, "batch_size": 4, "validate_every": 2, "sampling": "images", "augment": STILL}


@pytest.fixture
def people(make_cohort: Callable[..., Path], tmp_path: Path) -> Path:
    """Every person has two images; test pairs of one person and of two."""
    folder = make_cohort(tmp_path / "people", subjects={"train": 8, "val": 8, "test": 8})
    with (folder / "pairs.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    for number, row in enumerate(rows):
        row["subject"] = f"{row['split']}-{number // 2}"
    with (folder / "pairs.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with (folder / "verification.csv").open("w", newline="") as handle:
        listed = csv.writer(handle)
        listed.writerow(["set", "first", "second", "same"])
        listed.writerows([["test", f"test{k}", f"test{k + 1}", int(k % 2 == 0)] for k in range(7)])
    return folder


@pytest.fixture
def faces(recipe: Make) -> Callable[..., Recipe]:
    def make(**changes: Any) -> Recipe:
        values: dict[str, Any] = {
            "objective": "recogniser",
            "data__balanced": False,
            "data__augment": {**STILL},
            "task": {"kind": "embedding", "labels": "subject", "size": 8, "training": "frozen"},
            "task__pretrain": {"network": "convnet", **SMALL},
            "judge": {"network": "gradients", "seed": 1000, "augment": STILL},
        }
        return recipe(**(values | changes))

    return make


def _refuse(*_: object, **__: object) -> None:
    raise AssertionError("trained again")


def test_both_are_kept_where_runs_look_and_the_run_says_how_well_they_read(
    faces: Make, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train(faces(), people, run) == run
    assert {p.name for p in run.iterdir()} == {"recipe.yaml", "run.yaml", "roc.png"}
    record = read_yaml(run / "run.yaml")
    assert record["status"] == "complete"
    assert str(tmp_path) not in (run / "run.yaml").read_text()
    for name, network in (("task", "convnet"), ("judge", "gradients")):
        found = record["result"][name]
        assert found["network"] == network
        assert found["validation"]["volumes"] == 8
        assert found["clean_test_pairs"]["pairs"] == 7
        assert 0 <= found["clean_test_pairs"]["auc_by_person"]["estimate"] <= 1
        assert (people / "derivatives" / "recognisers" / found["folder"] / CARD).is_file()
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"{run} is finished: task convnet AUC ")
    assert "Next: taskgan train RECIPE COHORT RUN" in last
    assert "AUC" in describe(run)
    assert "taskgan restore" not in describe(run)
    # A run of another objective finds them, and so does an evaluation.
    monkeypatch.setattr(store, "fit_recogniser", _refuse)
    default_readers(read_training_pairs(people), faces(objective="task_gan"), None)
    train(faces(), people, tmp_path / "again")
    train(faces(), people, run)
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"{run} was already finished: task convnet")


def test_another_recipe_is_refused_and_a_lost_recogniser_is_trained_again(
    faces: Make, people: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train(faces(), people, run)
    with pytest.raises(UserError, match=r"another recipe: judge\.seed"):
        train(faces(judge__seed=7), people, run)
    judge = people / "derivatives" / "recognisers" / read_yaml(run / "run.yaml")["result"]["judge"]["folder"]
    for path in judge.iterdir():
        path.unlink()
    judge.rmdir()
    train(faces(), people, run)
    assert (judge / CARD).is_file()


def test_a_restorer_is_not_to_be_had_of_it(faces: Make, people: Path, tmp_path: Path) -> None:
    train(faces(), people, tmp_path / "run")
    with pytest.raises(UserError, match="is a run of objective recogniser, which trains readers and no restorer"):
        read_model(tmp_path / "run")


def test_the_readers_of_every_task_are_taught_and_only_identities_are_compared(
    faces: Make, people: Path, tmp_path: Path
) -> None:
    second = {
        "kind": "multi_class",
        "pretrain": {"network": "resnet10", "width": 4, "steps": 3},
        "judge": {"network": "patch", "width": 2, "seed": 7, "steps": 3},
    }
    asked = faces()
    both = asked.task.model_copy(update={"others": (Task.model_validate(second),)})
    train(asked.model_copy(update={"task": both}), people, tmp_path / "run")
    result = read_yaml(tmp_path / "run" / "run.yaml")["result"]
    assert list(result) == ["task", "judge", "task_label", "judge_label"]
    assert [one["network"] for one in result.values()] == ["convnet", "gradients", "resnet10", "patch"]
    assert ["clean_test_pairs" in one for one in result.values()] == [True, True, False, False]


def test_a_property_that_is_no_identity_has_its_figures_and_no_curve(
    recipe: Make, cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = recipe(objective="recogniser", judge__steps=4)
    train(asked, cohort, tmp_path / "run")
    assert {p.name for p in (tmp_path / "run").iterdir()} == {"recipe.yaml", "run.yaml"}
    assert "on validation subjects" in capsys.readouterr().out.splitlines()[-1]


def test_blur_and_hiding_are_for_recognisers(faces: Make) -> None:
    assert faces(judge__augment={**STILL, "blur": 2.0, "erase": 0.2}).judge.augment.blur == 2.0
    with pytest.raises(UserError, match="would teach a restorer to blur"):
        faces(data__augment={**STILL, "blur": 2.0})
