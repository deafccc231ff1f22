from pathlib import Path

import pytest

from taskgan.core.errors import UserError
from taskgan.demo import demos
from taskgan.demo.driver import Demo
from taskgan.recipe import dump_recipe


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Demo:
    asked: list[Demo] = []

    def run(out: Path, demo: Demo) -> Path:
        asked.append(demo)
        return out

    monkeypatch.setattr(demos, "run_demo", run)
    demos.demo_mr(tmp_path, seed=5, overrides=["generator.width=8"])
    return asked[0]


def test_physics_gan_and_task_gan_differ_in_nothing_but_the_objective(demo: Demo) -> None:
    assert demo.methods == ("relaxometry", "gan", "task_gan")
    told = []
    for name, recipe in demo.recipes.items():
        assert recipe.objective == name
        assert recipe.seed == 5
        assert recipe.generator.width == 8
        told.append({k: v for k, v in dump_recipe(recipe).items() if k != "objective"})
    assert told[0] == told[1]


def test_task_gan_is_trained_in_the_papers_three_steps(demo: Demo) -> None:
    alone, in_turn, mixed = demo.recipes["task_gan"].schedule
    assert alone.trains == ("task",)
    assert in_turn.conditions == "in_turn"
    assert mixed.conditions == "mixed"
    assert demo.recipes["task_gan"].task.pretrain.steps == 0


def test_all_are_read_by_a_task_network_that_no_run_has_touched(demo: Demo) -> None:
    assert demo.readers.task.pretrain.steps > 0
    assert demo.readers.judge == demo.recipes["gan"].judge
    assert demo.readers.data == demo.recipes["gan"].data


@pytest.mark.parametrize(
    ("override", "sentence"),
    [("seed=3", "expected --seed"), ("objective=l1", "trains gan, task_gan, expected another key")],
)
def test_what_the_demo_sets_itself_is_no_override(tmp_path: Path, override: str, sentence: str) -> None:
    # The last one counts: what the user asked for would be passed over without a word.
    with pytest.raises(UserError, match=sentence):
        demos.demo_mr(tmp_path / "demo", overrides=[override])
    assert not (tmp_path / "demo").exists()


def test_the_lesions_demo_trains_all_three_from_one_recipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    begun: list[Demo] = []
    monkeypatch.setattr(demos, "run_demo", lambda out, demo: begun.append(demo) or out)
    demos.demo_lesions(tmp_path, seed=2)
    (demo,) = begun
    assert demo.methods == ("relaxometry", "l1", "gan", "task_gan")
    assert {recipe.objective for recipe in demo.recipes.values()} == {"l1", "gan", "task_gan"}
    assert demo.readers.judge.network != demo.readers.task.pretrain.network
    assert demo.readers.task.labels == ("lesions",)
    assert demo.readers.data.select == {"contrast": "T2-FLAIR"}
