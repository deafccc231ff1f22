"""The faces demo: what it compares, what it says where it cannot start, and once as a whole on drawn faces."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from procedural_lfw import procedural_lfw
from taskgan.cli import app
from taskgan.core.errors import Problems, UserError
from taskgan.core.files import read_yaml
from taskgan.demo import demos
from taskgan.demo.driver import Demo
from taskgan.recipe import dump_recipe

TINY = (
    "generator={width: 4, max_width: 8, depth: 3, norm: instance, dropout_layers: 1, residual: true}",
    "discriminator={widths: [4, 4, 4], norm: instance}",
    "task.size=8",
    *(f"{reader}.{key}" for reader in ("task.pretrain", "judge") for key in ("steps=2", "width=4", "batch_size=4")),
    *(f"{key}=2" for key in ("optimiser.steps", "optimiser.batch_size", "validation.every", "validation.save_every")),
    "machine.threads=1",
)


@pytest.fixture(scope="module")
def lfw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return procedural_lfw(tmp_path_factory.mktemp("data"), people=14)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Demo]:
    found: list[Demo] = []

    def run(out: Path, demo: Demo) -> Path:
        found.append(demo)
        return out

    monkeypatch.setattr(demos, "run_demo", run)
    return found


def test_gan_and_task_gan_differ_in_nothing_but_the_objective(lfw: Path, tmp_path: Path, asked: list[Demo]) -> None:
    demos.demo_faces(tmp_path, lfw, seed=5, overrides=["generator.width=8"])
    demo = asked[0]
    assert demo.methods == ("gan", "task_gan")
    told = []
    for name, recipe in demo.recipes.items():
        assert recipe.objective == name
        assert (recipe.seed, recipe.generator.width) == (5, 8)
        told.append({k: v for k, v in dump_recipe(recipe).items() if k != "objective"})
    assert told[0] == told[1]
    assert demo.readers.judge.network != demo.readers.task.pretrain.network
    demos.demo_faces(tmp_path, lfw, seed=5, people=20, overrides=["generator.width=8"])
    assert demo.settings != asked[1].settings  # another part of LFW is another demo


def test_without_images_it_says_where_to_get_them(tmp_path: Path) -> None:
    for words, expected in (
        ([], ["--data LFW_FOLDER", "pairsDevTest.txt", "fetch_lfw_pairs"]),
        (["--data", str(tmp_path / "nowhere")], ["does not exist", "LFW's folder"]),
        (["--data", str(tmp_path)], ["PERSON/PERSON_0001.jpg"]),
    ):
        result = CliRunner().invoke(app, ["demo", "faces", str(tmp_path / "out"), *words])
        assert result.exit_code == 1 or isinstance(result.exception, UserError)
        assert all(text in str(result.exception) for text in expected)
    assert not (tmp_path / "out").exists()


def test_lists_that_name_what_is_not_there_are_told_before_anything_is_written(tmp_path: Path) -> None:
    lfw = procedural_lfw(tmp_path / "data", people=12, images=2)
    (lfw / "pairsDevTrain.txt").unlink()
    with pytest.raises(UserError, match=r"no pairsDevTrain.txt in"):
        demos.demo_faces(tmp_path / "out", lfw)
    assert not (tmp_path / "out").exists()
    (lfw / "pairsDevTrain.txt").write_text("1\nPerson_Aa\t1\t9\nPerson_Aa\t1\tPerson_Ab\t1\n")
    with pytest.raises(Problems, match="names Person_Aa/Person_Aa_0009"):
        demos.demo_faces(tmp_path / "out", lfw)
    assert not (tmp_path / "out").exists()


def test_the_whole_demo_resumes_and_refuses_other_settings(lfw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    part = {"people": 8, "images": 3, "pairs": 3, "overrides": TINY}
    page = demos.demo_faces(out, lfw, **part)  # type: ignore[arg-type]
    assert page.is_file()
    assert (out / "cohort" / "verification.csv").is_file()
    for method in demos.METHODS:
        assert (out / "runs" / method / "evaluation" / "summary.json").is_file()
    (out / "runs" / "task_gan" / "evaluation" / "summary.json").unlink()
    (out / "report" / "report.html").unlink()
    assert demos.demo_faces(out, lfw, **part).is_file()  # type: ignore[arg-type]
    assert len(list((out / "cohort" / "derivatives" / "recognisers").iterdir())) >= 2
    assert "teach T and the judge to tell people apart" in read_yaml(out / "demo.yaml")["seconds"]
    with pytest.raises(UserError, match="a demo with other settings"):
        demos.demo_faces(out, lfw, seed=1, **part)  # type: ignore[arg-type]
