from pathlib import Path

import pytest

from taskgan.physics.sequences import CONTRASTS, Mdme
from taskgan.recipe import read_recipe
from taskgan.simulate.mr.cohort import input_columns

MR = ["mr", "mr-demo", Path(__file__).parents[2] / "experiments" / "mr-contrasts.yaml"]


@pytest.mark.parametrize("name", MR, ids=lambda name: Path(name).stem)
def test_an_mr_recipe_reads_what_the_simulator_writes(name: str | Path) -> None:
    recipe = read_recipe(name)
    assert set(recipe.data.inputs) == set(input_columns(Mdme()))
    assert recipe.data.condition == "contrast"
    assert recipe.task.classes == len(CONTRASTS)
    # Signs and ratios of the parts of one acquisition must not be lost to a scale of each.
    assert recipe.data.intensity.shared
    assert not recipe.generator.residual


@pytest.mark.parametrize("name", MR, ids=lambda name: Path(name).stem)
def test_the_task_network_is_the_papers_and_the_judge_another(name: str | Path) -> None:
    recipe = read_recipe(name)
    assert recipe.task.pretrain.network == "patch"
    assert recipe.judge.network in ("convnet", "resnet10")
    assert recipe.judge.seed != recipe.task.pretrain.seed


@pytest.mark.parametrize("name", MR[:2])
def test_the_shipped_recipes_train_in_the_papers_three_steps(name: str) -> None:
    recipe = read_recipe(name)
    alone, in_turn, mixed = recipe.schedule
    assert recipe.task.pretrain.steps == 0
    assert alone.trains == ("task",)
    assert in_turn.conditions == "in_turn"
    assert in_turn.turn is None  # an epoch
    assert mixed.conditions == "mixed"
    assert recipe.optimiser.steps == alone.steps + in_turn.steps + mixed.steps
