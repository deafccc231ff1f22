"""``--set`` reaches sections, and items of lists."""

from pathlib import Path

import pytest

from taskgan.core.errors import UserError
from taskgan.core.settings import apply_override
from taskgan.recipe import read_recipe


def test_sections_that_are_not_there_are_made() -> None:
    values = {"loss": {"mu_task": 1}}
    apply_override(values, "loss.lambda_gan=0.5")
    apply_override(values, "optimiser.betas=[0.9, 0.99]")
    assert values == {"loss": {"mu_task": 1, "lambda_gan": 0.5}, "optimiser": {"betas": [0.9, 0.99]}}


def test_overrides_reach_into_phases(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("schedule:\n  - {name: a, steps: 5}\n  - {name: b, steps: 5}\n")
    made = read_recipe(path, ["schedule.1.steps=7"])
    assert [phase.steps for phase in made.schedule] == [5, 7]
    assert made.optimiser.steps == 12
    for override, said in (("schedule.2.steps=1", "'2' is no item of a list of 2"), ("schedule.x=1", "'x' is no")):
        with pytest.raises(UserError, match=said):
            read_recipe(path, [override])
