"""The faces experiment: what methods share, where weights come from, and every stage once on drawn faces."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from experiment_scripts import loaded, with_choices
from procedural_lfw import procedural_lfw
from taskgan.cohort.pairs import read_pairs
from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml
from taskgan.core.parts import parse_part
from taskgan.core.tables import csv_rows
from taskgan.recipe import dump_recipe


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    with loaded("lfw_faces") as module:
        yield module


@pytest.fixture
def work(tmp_path: Path) -> Path:
    chosen = {"loss.mu_task": 0.5}
    return with_choices(tmp_path, {"sweep-task-gan": chosen, "sweep-task-gan-strong": chosen})


def test_every_method_has_the_same_networks_data_steps_and_seeds(script: ModuleType, work: Path) -> None:
    recipes = {name: script.Faces(work).recipe(name, 2) for name in script.METHODS}
    told = []
    for name, recipe in recipes.items():
        values = dump_recipe(recipe)
        assert (values["generator"].pop("projection") > 0) == name.endswith("_projected")
        told.append({k: v for k, v in values.items() if k not in ("objective", "loss")})
    assert all(one == told[0] for one in told)
    assert {recipe.seed for recipe in recipes.values()} == {2}


def test_two_methods_that_are_set_against_each_other_differ_in_one_thing(script: ModuleType, work: Path) -> None:
    here = script.Faces(work)
    loss = {name: here.recipe(name, 0).loss for name in script.METHODS}
    for with_t, without in (("task_gan", "gan"), ("task_gan_strong", "gan_strong")):
        assert loss[with_t].mu_task == 0.5
        assert loss[with_t].lambda_gan == loss[without].lambda_gan
    assert loss["gan_strong"].lambda_gan == 10 * loss["gan"].lambda_gan
    assert loss["task_gan_projected"] == loss["task_gan"]
    for two in script.BESIDE.values():
        assert set(two) <= set(script.METHODS)
    (work / "sweep-task-gan" / "sweep.yaml").unlink()
    with pytest.raises(UserError, match="run the stage sweep first"):
        here.recipe("task_gan", 0)


def test_shares_are_disjoint_and_together_all(script: ModuleType) -> None:
    runs = script.Faces(Path()).runs(list(script.METHODS), (0, 1, 2))
    assert [seed for _, seed in runs] == sorted(seed for _, seed in runs)  # seeds outermost
    halves = [script.own(runs, parse_part(f"{k}/2")) for k in (1, 2)]  # what --share 1/2 hands on
    assert sorted(halves[0] + halves[1]) == sorted(runs)
    assert script.own(runs, None) == runs


def test_a_stage_that_lacks_the_one_before_says_so(script: ModuleType, tmp_path: Path) -> None:
    place = str(tmp_path / "work")
    for words, message in (
        ([], "--data FOLDER"),
        (["--data", str(tmp_path)], "PERSON/PERSON_0001.jpg"),
        (["--stage", "recognisers"], "run the stage cohort first"),
        (["--stage", "sweep"], "run the stage cohort first"),
        (["--stage", "report"], "run the stages train and judge first"),
        (["--publish", str(tmp_path / "out")], "run the experiment to its end first"),
    ):
        with pytest.raises(UserError, match=message):
            script.Faces.main([place, *words])
    assert not (tmp_path / "work").exists()


def test_several_processes_share_each_stage_and_one_joins(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[list[str]]] = []
    import experiment

    monkeypatch.setattr(experiment, "run_all", lambda made: calls.append([call[3:] for call in made]))
    script.Faces.main([str(tmp_path), "--processes", "2", "--stage", "sweep", "--stage", "train", "--stage", "report"])
    stages = [[call[call.index("--stage") + 1 :] for call in made] for made in calls]
    assert stages == [
        [["sweep", "--share", "1/2"], ["sweep", "--share", "2/2"]],
        [["sweep"]],
        [["train", "--share", "1/2"], ["train", "--share", "2/2"]],
        [["report"]],
    ]


def test_where_one_process_fails_the_whole_fails(script: ModuleType) -> None:
    from experiment import run_all

    with pytest.raises(SystemExit) as ended:
        run_all([[sys.executable, "-c", f"raise SystemExit({code})"] for code in (0, 2)])
    assert ended.value.code == 2


def test_published_tables_are_compact_and_have_every_pair_once(script: ModuleType, tmp_path: Path) -> None:
    from publishing import compact, join_distances

    cases = tmp_path / "cases.csv"
    cases.write_text("case,psnr,suvr,seed\na,24.1234567,,0\nb,inf,,\n")
    compact(cases)
    assert cases.read_text() == "case,psnr,seed\na,24.123,0\nb,inf,\n"
    tables = {}
    for method in ("gan", "l1"):
        tables[method, 1] = tmp_path / f"{method}.csv"
        tables[method, 1].write_text(
            "set,first,second,same,judge_clean,judge_restored,judge_restored_probe\n"
            "train,x,y,0,1.0,,\ntest,a,b,1,0.5,0.512345,0.6\n"
        )
    join_distances(tables, tmp_path / "pairs.csv")
    assert (tmp_path / "pairs.csv").read_text().splitlines() == [
        "method,seed,first,second,same,judge,judge_probe",
        "clean,,a,b,1,0.5,",
        "gan,1,a,b,1,0.5123,0.6",
        "l1,1,a,b,1,0.5123,0.6",
    ]


def test_every_stage_once_on_drawn_faces(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lfw, work = procedural_lfw(tmp_path / "data", people=20), tmp_path / "work"
    monkeypatch.setattr(
        script.Faces,
        "sweeps",
        {
            "sweep-gan": script.Sweep(("objective=gan",), ("loss.lambda_gan=0.1,1",)),
            "sweep-task-gan": script.Sweep(("objective=task_gan",), ("loss.mu_task=0.01",)),
        },
    )
    words = [str(work), "--data", str(lfw), "--trial", "--seeds", "0"]
    words += ["--method", "gan", "--method", "task_gan_projected"]
    script.Faces.main(words)
    rows = read_pairs(work / "cohort" / script.TABLE)
    on_pairs = (work / "cohort" / "verification.csv").read_text()
    assert all(pair.case in on_pairs for pair in rows.split("test"))
    for sweep in script.Faces.sweeps:
        record = read_yaml(work / sweep / "sweep.yaml")
        assert record["rule"].startswith("smallest share of comparisons in which the judge finds two people")
    model = read_yaml(work / "runs" / "task_gan_projected-seed0" / "model" / "model.yaml")
    assert model["generator"]["projection"] == 1
    before = {path: path.stat().st_mtime_ns for path in (work / "runs").rglob("*") if path.is_file()}
    script.Faces.main(words)  # finished: nothing is made again
    assert {path: path.stat().st_mtime_ns for path in (work / "runs").rglob("*") if path.is_file()} == before
    read = [(row["taught_on"], row["reads"]) for _, row in csv_rows(work / "limit" / "judge" / "limit.csv")]
    assert read == [*(("clean", name) for name in ("clean", "input", "gan")), ("inputs", "inputs"), ("gan", "gan")]
    script.Faces.main([*words, "--publish", str(tmp_path / "results")])
    assert (tmp_path / "results" / "limit-judge" / "limit.csv").is_file()
    assert "lfw_faces.py" in (tmp_path / "results" / "README.md").read_text()
    assert (tmp_path / "results" / "sweep-gan" / "sweep.csv").is_file()
    listed = (tmp_path / "results" / "pairs.csv").read_text()
    assert all(f"{name}," in listed for name in ("clean", "input", "gan", "task_gan_projected"))
