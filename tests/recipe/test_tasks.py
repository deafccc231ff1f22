"""Several tasks: ``task`` as a list."""

from typing import Any

import pytest

from taskgan.core.errors import Problems, UserError
from taskgan.recipe import Recipe, dump_recipe, parse_recipe, read_recipe

LESIONS = {"name": "lesions", "kind": "segmentation", "labels": "lesions", "pretrain": {"network": "unet"}}
CONTRAST = {"name": "contrast", "kind": "multi_class", "classes": 6, "judge": {"network": "convnet", "seed": 1}}
DENSE_JUDGE = {"network": "dilated", "seed": 1000}


def made(*tasks: dict[str, Any], **sections: Any) -> Recipe:
    return parse_recipe({"task": list(tasks), "judge": DENSE_JUDGE, **sections}, "mine")


def test_a_list_of_one_is_that_one_and_is_written_as_a_section() -> None:
    alone = {"task": {"kind": "multi_class", "classes": 3}}
    assert parse_recipe({"task": [alone["task"]]}, "mine") == parse_recipe(alone, "mine")
    assert dump_recipe(parse_recipe(alone, "mine"))["task"]["classes"] == 3


def test_a_list_is_read_back_as_it_was_written() -> None:
    recipe = made(LESIONS, CONTRAST)
    assert recipe.task.kind == "segmentation"
    assert [task.title for task in recipe.tasks] == ["lesions", "contrast"]
    values = dump_recipe(recipe)
    assert [task["kind"] for task in values["task"]] == ["segmentation", "multi_class"]
    assert "others" not in values["task"][0]
    assert parse_recipe(values, "mine") == recipe


def test_the_tasks_that_teach_g_have_names_of_their_own() -> None:
    assert list(made(LESIONS, CONTRAST).taught_by) == ["task", "task_contrast"]
    assert list(made(LESIONS, CONTRAST | {"weight": 0}).taught_by) == ["task"]
    assert list(made(LESIONS | {"weight": 0}, CONTRAST).taught_by) == ["task_contrast"]
    assert list(made(LESIONS, CONTRAST | {"features": 0.1}, loss={"mu_task": 0}).taught_by) == ["task_contrast"]
    assert not made(LESIONS, CONTRAST, objective="gan").taught_by


def test_about_puts_another_property_first_and_brings_its_judge() -> None:
    recipe = made(LESIONS, CONTRAST)
    other = recipe.about("contrast")
    assert other.task.kind == "multi_class"
    assert (other.judge.network, other.task.judge) == ("convnet", None)
    assert [task.title for task in other.tasks] == ["contrast", "lesions"]
    assert parse_recipe(dump_recipe(other), "mine") == other  # a recipe like any other
    back = other.about("lesions")
    assert (back.task.target, back.judge) == (recipe.task.target, recipe.judge)
    assert recipe.about() == recipe.about("lesions") == recipe
    with pytest.raises(UserError, match="there is no task 'pathology', expected one of lesions, contrast"):
        recipe.about("pathology")


def test_dotted_keys_reach_into_a_list_and_a_wrong_one_is_named() -> None:
    recipe = read_recipe("mr-lesions-demo", ["task.1.loss=proper", "task.0.weight=2"])
    assert (recipe.tasks[1].loss, recipe.task.weight) == ("proper", 2.0)
    assert read_recipe("mr-demo", ["task.loss=proper"]).task.loss == "proper"
    wrong = {
        "task.2.loss=proper": "'2' is no item of a list of 2, counted from 0",
        "task.loss=proper": "'loss' is no item of a list of 2, counted from 0",
    }
    for override, sentence in wrong.items():
        with pytest.raises(UserError, match=sentence):
            read_recipe("mr-lesions-demo", [override])
    with pytest.raises(UserError, match="task is one section and no list, expected no 1"):
        read_recipe("mr-demo", ["task.1.loss=proper"])
    with pytest.raises(Problems, match=r"unknown key task\.1\.lose; did you mean loss"):
        read_recipe("mr-lesions-demo", ["task.1.lose=proper"])


@pytest.mark.parametrize(
    ("tasks", "sentence"),
    [
        ([], "expected at least one task"),
        ([LESIONS, CONTRAST | {"name": "lesions"}], "the tasks are called lesions, lesions: expected a name"),
        ([LESIONS, CONTRAST | {"name": "features"}], "a task is called features, a word of metrics"),
        ([LESIONS, {**CONTRAST, "judge": None}], r"task\.1\.judge\.network is dilated, expected resnet18.*multi_class"),
        ([LESIONS, CONTRAST | {"judge": {"network": "resnet18", "seed": 1}}], r"must differ .*task\.1\.judge"),
        ([LESIONS | {"judge": DENSE_JUDGE}, CONTRAST], "first task has a judge of its own"),
        ([CONTRAST | {"judge": None, "false_positive": 2}], "false_positive is 2 of kind multi_class"),
        ([LESIONS | {"false_positive": 2}], "false_positive is 2 of kind segmentation with loss squared"),
        ([LESIONS, 3], "task.1: input should be a valid dictionary"),
        (["lesions"], "task: input should be a valid dictionary"),
    ],
)
def test_what_makes_no_sense_is_refused(tasks: list[Any], sentence: str) -> None:
    with pytest.raises(Problems, match=sentence):
        made(*tasks)


@pytest.mark.parametrize("name", ["mr-lesions", "mr-lesions-demo"])
def test_the_recipe_with_lesions_is_mrs_with_another_task(name: str) -> None:
    ours, theirs = read_recipe(name), read_recipe(name.replace("-lesions", ""))
    assert (ours.generator, ours.discriminator) == (theirs.generator, theirs.discriminator)
    assert (ours.schedule, ours.optimiser, ours.data.inputs) == (theirs.schedule, theirs.optimiser, theirs.data.inputs)
    lesions, contrast = ours.tasks
    assert (lesions.columns, lesions.training, lesions.loss) == (("lesions",), "frozen", "proper")
    assert (contrast.pretrain, contrast.judge) == (theirs.task.pretrain, theirs.judge)
