"""``--from``: a run that begins with the weights of a trained model."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from run_contents import contents, same
from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml
from taskgan.info.describe import describe
from taskgan.model.folder import read_model
from taskgan.recipe import Recipe
from taskgan.train.networks import CustomNetworks, build_generator
from taskgan.train.run import train

Make = Callable[..., Recipe]


@pytest.fixture(scope="module")
def trained(recipe: Make, cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("trained") / "l1"
    train(recipe(objective="l1"), cohort, run)
    return run


def test_the_first_step_is_made_from_the_models_weights(
    trained: Path, recipe: Make, cohort: Path, tmp_path: Path
) -> None:
    """A rate of next to nothing leaves G where it began; another seed has nothing to say in it."""
    asked = recipe(objective="gan", seed=7, optimiser__steps=1, optimiser__lr=1e-12)
    ours = train(asked, cohort, tmp_path / "run", start=trained)
    before, card = read_model(trained)
    after, new = read_model(ours)
    assert all(torch.allclose(before[name], after[name], rtol=0, atol=1e-6) for name in before)
    assert new.started_from == {"name": card.name, "step": card.step, "checksum": card.checksum}
    assert read_yaml(tmp_path / "run" / "run.yaml")["started_from"]["checksum"] == card.checksum
    assert "started from" in describe(ours)
    assert set(new.seen.people) == set(card.seen.people)  # once each: they are the same people


def test_whom_the_model_had_learnt_from_is_in_the_card_too(
    trained: Path, recipe: Make, make_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    other = make_cohort(tmp_path / "cohort", subjects={"train": 6, "val": 4})
    model = train(recipe(objective="l1", optimiser__steps=1), other, tmp_path / "run", start=trained / "model")
    people, before = (set(read_model(place)[1].seen.people) for place in (model, trained))
    assert before < people


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(
    trained: Path, recipe: Make, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = recipe(objective="gan")
    train(asked, cohort, tmp_path / "whole", start=trained)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("taskgan.train.metrics.MetricsLogger.log_image", killed)
        with pytest.raises(KeyboardInterrupt):
            train(asked, cohort, tmp_path / "run", start=trained)
    for start in (None, tmp_path / "whole"):
        with pytest.raises(UserError, match=r"started with the weights of l1-seed0-fold0 \(\w{12}\), found .*--from"):
            train(asked, cohort, tmp_path / "run", start=start)
    train(asked, cohort, tmp_path / "run", start=trained / "model")
    assert same(contents(tmp_path / "whole"), contents(tmp_path / "run"))
    with pytest.raises(UserError, match="was started with the weights of"):  # finished, and of another origin
        train(asked, cohort, tmp_path / "run")


def test_a_model_that_does_not_fit_is_refused(trained: Path, recipe: Make, cohort: Path, tmp_path: Path) -> None:
    wrong = {
        "generator__width": (5, "generator.width 4, found 5 in the recipe"),
        "generator__upsample": ("nearest", "generator.upsample 'transposed', found 'nearest'"),
        "data__neighbours": (1, "data.neighbours 0, found 1"),
        "data__intensity__kind": ("none", "data.intensity"),
    }
    for key, (value, sentence) in wrong.items():
        with pytest.raises(UserError, match=sentence):
            train(recipe(objective="l1", **{key: value}), cohort, tmp_path / "run", start=trained)
    with pytest.raises(UserError, match="objective recogniser"):
        train(recipe(objective="recogniser"), cohort, tmp_path / "run", start=trained)
    own = CustomNetworks(generator=build_generator(recipe()))
    with pytest.raises(UserError, match="a generator of your own"):
        train(recipe(objective="l1"), cohort, tmp_path / "run", networks=own, start=trained)
    assert not (tmp_path / "run" / "recipe.yaml").exists()
