from pathlib import Path

import pytest

from taskgan.core.errors import Problems, UserError
from taskgan.recipe import Recipe, dump_recipe, parse_recipe, read_recipe, shipped_recipes


def test_every_shipped_recipe_is_valid_and_survives_a_round_trip() -> None:
    assert {"pet", "pet-demo"} <= set(shipped_recipes())
    for name in shipped_recipes():
        recipe = read_recipe(name)
        assert parse_recipe(dump_recipe(recipe), name) == recipe


def test_overrides_reach_nested_keys_and_are_read_as_yaml(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("objective: gan\nloss: {lambda_gan: 0.5}\n")
    recipe = read_recipe(file, ["loss.mu_task=0.25", "data.select.dose=1", "data.augment.flip=false"])
    assert (recipe.objective, recipe.loss.lambda_gan, recipe.loss.mu_task) == ("gan", 0.5, 0.25)
    assert recipe.data.select == {"dose": 1}
    assert recipe.data.augment.flip is False


def test_all_mistakes_are_named_at_once_with_the_nearest_key() -> None:
    with pytest.raises(Problems) as caught:
        parse_recipe({"loss": {"mu_tsk": 1, "lambda_gan": -1}, "objectiv": "gan"}, "mine.yaml")
    message = str(caught.value)
    assert "mine.yaml is not a valid recipe: 3 problems" in message
    assert "unknown key loss.mu_tsk; did you mean mu_task?" in message
    assert "unknown key objectiv; did you mean objective?" in message
    assert "loss.lambda_gan" in message
    assert "-1" in message


@pytest.mark.parametrize(
    ("override", "expected"),
    [("loss", "expected section.key=value"), ("seed.x=1", "is a value, not a section"), ("seed=[", "not valid YAML")],
)
def test_a_malformed_override_is_one_sentence(override: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        read_recipe("pet-demo", ["seed=3", override])


def test_an_unknown_recipe_lists_the_shipped_ones() -> None:
    with pytest.raises(UserError, match="expected a YAML file or one of .*pet-demo"):
        read_recipe("pett")


def test_the_objective_decides_which_weights_count() -> None:
    weights = {
        name: (recipe.lambda_gan > 0, recipe.mu_task > 0)
        for name in ("l1", "gan", "task_gan")
        for recipe in [Recipe.model_validate({"objective": name})]
    }
    assert weights == {"l1": (False, False), "gan": (True, False), "task_gan": (True, True)}


def test_the_task_network_cannot_be_its_own_judge() -> None:
    with pytest.raises(Problems, match="T is never its own judge"):
        parse_recipe({"judge": {"network": "resnet18", "seed": 7}}, "mine.yaml")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("optimiser.lr=.inf", "finite"),
        ("seed=-1", "greater than or equal to 0"),
        ("optimiser.betas=[0.5, 1]", "less than 1"),
        ("discriminator.widths=[]", "at least 1"),
        ("discriminator.widths=[0]", "greater than or equal to 1"),
        ("loss.feature_layers=[5]", "layers 0 to 4"),
        ("data.inputs=[degraded, clean]", "not the clean image"),
        ("data.neighbours=1000000", "less than or equal to 16"),
        ("machine.threads=100000", "less than or equal to 256"),
    ],
)
def test_values_that_training_would_stumble_over_are_refused(override: str, expected: str) -> None:
    with pytest.raises(Problems, match=expected):
        read_recipe("pet-demo", [override])


def test_a_folder_of_the_name_of_a_recipe_is_no_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pet").mkdir()
    assert read_recipe("pet").generator.depth == 8
