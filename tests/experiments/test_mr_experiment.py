"""The plan of the MR experiment: what its methods share, and where their weights come from."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from experiment_scripts import loaded, with_choices
from taskgan.core.errors import UserError
from taskgan.recipe import Recipe, dump_recipe


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    with loaded("mr_contrasts") as module:
        yield module


@pytest.fixture
def work(tmp_path: Path) -> Path:
    theirs = {"loss.lambda_gan": 0.1, "loss.mu_task": 0.5}
    return with_choices(tmp_path, {"sweep-gan": {"loss.lambda_gan": 3.0}, "sweep-task-gan": theirs})


def _generator_steps(recipe: Recipe) -> int:
    phases = recipe.schedule
    return sum(p.steps for p in phases if "generator" in p.trains) if phases else recipe.optimiser.steps


def test_every_method_gives_the_same_generator_the_same_steps_and_seeds(script: ModuleType, work: Path) -> None:
    recipes = [script.Mr(work).recipe(name, 2) for name in script.METHODS]
    assert {_generator_steps(recipe) for recipe in recipes} == {recipes[0].optimiser.steps}
    assert {recipe.seed for recipe in recipes} == {2}
    for part in ("generator", "discriminator", "judge"):
        assert len({str(dump_recipe(recipe)[part]) for recipe in recipes}) == 1


def test_weights_are_those_that_the_sweep_of_the_own_objective_chose(script: ModuleType, work: Path) -> None:
    here = script.Mr(work)
    assert here.recipe("gan", 0).loss.lambda_gan == 3.0
    for name in ("task_gan", "task_gan_three_step"):
        loss = here.recipe(name, 0).loss
        assert (loss.lambda_gan, loss.mu_task) == (0.1, 0.5)
    (work / "sweep-gan" / "sweep.yaml").unlink()
    with pytest.raises(UserError, match="run the stage sweep first"):
        here.recipe("gan", 0)


def test_three_steps_are_the_papers_and_teach_the_task_network_as_long(script: ModuleType, work: Path) -> None:
    here = script.Mr(work)
    one, three = here.recipe("task_gan", 0), here.recipe("task_gan_three_step", 0)
    assert three.schedule[0].trains == ("task",)
    assert [phase.conditions for phase in three.schedule] == ["mixed", "in_turn", "mixed"]
    assert three.schedule[0].steps == one.task.pretrain.steps
    assert three.task.pretrain.steps == 0


def test_both_objectives_are_tuned_among_as_many_settings(script: ModuleType) -> None:
    def settings(grid: tuple[str, ...]) -> int:
        count = 1
        for axis in grid:
            count *= len(axis.partition("=")[2].split(","))
        return count

    assert len({settings(grid) for grid in (tried.grid for tried in script.SWEEPS.values())}) == 1


def test_the_cohort_has_thirty_test_subjects_of_heads_that_nobody_trained_on(script: ModuleType) -> None:
    from taskgan.simulate.mr.settings import mr_simulation, plan_subjects

    subjects = plan_subjects(mr_simulation(anatomy="heads", **script.COHORT), 14)
    heads = {name: {s.anatomy for s in subjects if s.split == name} for name in ("train", "val", "test")}
    assert sum(s.split == "test" for s in subjects) >= 30
    assert not heads["test"] & (heads["train"] | heads["val"])


def test_the_physics_is_made_once(script: ModuleType) -> None:
    made = script.Mr(Path()).runs(["relaxometry", "gan"], [0, 1])
    assert made == [("relaxometry", 0), ("gan", 0), ("gan", 1)]


def test_a_trial_of_lesions_has_a_cohort_that_can_be_split() -> None:
    from taskgan.simulate.mr.settings import mr_simulation, plan_subjects

    with loaded("mr_lesions") as module:
        settings = mr_simulation(anatomy="heads", **module.COHORT | module.TRIAL_COHORT)
    assert {s.split for s in plan_subjects(settings, 14)} == {"train", "val", "test"}


def test_six_contrasts_with_lesions_differ_in_the_objective_alone(tmp_path: Path) -> None:
    with loaded("mr_six_lesions") as module:
        here = module.SixContrasts(tmp_path)
        recipes = {name: dump_recipe(here.recipe(name, 1)) for name in here.methods}
    assert recipes["gan"]["loss"]["lambda_gan"] == recipes["task_gan"]["loss"]["lambda_gan"] > 0
    assert recipes["l1_task"]["loss"]["lambda_gan"] == 0 < recipes["l1_task"]["loss"]["mu_task"]
    for part in ("data", "generator", "task", "judge", "optimiser", "seed"):
        assert len({str(recipe[part]) for recipe in recipes.values()}) == 1
