"""Phases of a recipe: what is understood, and what is refused in a sentence."""

from typing import Any

import pytest

from taskgan.core.errors import Problems
from taskgan.recipe import dump_recipe, parse_recipe

TOLD = {"condition": "contrast", "conditions": ["T1w", "T2w"]}
PAPER = [
    {"name": "contrasts", "steps": 10, "trains": "task"},
    {"name": "turns", "steps": 20, "conditions": "in_turn"},
    {"name": "mixed", "steps": 30},
]


def recipe(phases: list[dict[str, Any]], **more: Any) -> Any:
    return parse_recipe({"data": TOLD, "schedule": phases, **more}, "test")


def test_the_papers_three_steps_are_written_in_a_recipe() -> None:
    made = recipe(PAPER)
    assert made.optimiser.steps == 60
    assert made.schedule[0].trains == ("task",)
    assert made.schedule[1].trains == ("task", "generator", "discriminator")
    assert parse_recipe(dump_recipe(made), "dumped") == made


def test_steps_may_be_given_if_they_agree_and_other_settings_stay() -> None:
    made = recipe(PAPER, optimiser={"steps": 60, "lr": 1e-3})
    assert made.optimiser.steps == 60
    assert recipe(PAPER, optimiser={"lr": 1e-3}).optimiser.lr == 1e-3


def test_without_phases_nothing_changes() -> None:
    plain = parse_recipe({}, "test")
    assert plain.schedule == ()
    assert plain.optimiser.steps == 20000
    assert plain.data.channels == 1


@pytest.mark.parametrize(
    ("phases", "more", "said"),
    [
        (PAPER, {"optimiser": {"steps": 50}}, r"10 \+ 20 \+ 30 = 60 steps, optimiser.steps is 50"),
        ([{"name": "a", "steps": 5}, {"name": "a", "steps": 5}], {}, "each name once"),
        ([{"name": "a", "steps": 5, "trains": ["task", "judge"]}], {}, r"schedule.0.trains.1.*'judge'"),
        ([{"name": "a", "steps": 5, "trains": []}], {}, "at least one"),
        ([{"name": "a", "steps": 5, "trains": ["task", "task"]}], {}, "once each"),
        ([{"name": "a", "steps": 5, "trains": ["task"]}], {}, "expected the generator too"),
        ([{"name": "a", "steps": 0}], {}, "schedule.0.steps"),
        ([{"name": "", "steps": 5}], {}, "schedule.0.name"),
        ([{"name": "a", "step": 5}], {}, r"unknown key schedule.0.step; did you mean steps\?"),
        ([{"name": "a", "steps": 5, "conditions": "random"}], {}, "expected mixed, in_turn or a list"),
        ([{"name": "a", "steps": 5, "conditions": []}], {}, "at least one condition"),
        ([{"name": "a", "steps": 5, "conditions": ["STIR"]}], {}, "names the condition STIR, expected some of T1w"),
        ([{"name": "a", "steps": 5, "turn": 2}], {}, "which is for conditions: in_turn"),
        ([{"name": "a", "steps": 5, "conditions": "in_turn"}], {"data": {}}, "data.condition names no column"),
        ([{"name": "a", "steps": 5, "trains": ["generator"]}], {"objective": "cycle_gan"}, "expected both or neither"),
        (PAPER, {"task": {"kind": "embedding", "training": "frozen"}}, "cannot learn an embedding from Eq. 3"),
        ([], {"task": {"training": "frozen", "pretrain": {"steps": 0}}}, "T would never learn"),
        ([], {"judge": {"network": "convnet", "seed": 9, "steps": 0}}, "judge.steps is 0"),
    ],
)
def test_misuse_is_a_sentence(phases: list[dict[str, Any]], more: dict[str, Any], said: str) -> None:
    with pytest.raises(Problems, match=said):
        recipe(phases, **more)


def test_a_reader_is_taught_also_where_the_runs_task_network_starts_untaught() -> None:
    task = parse_recipe({"task": {"pretrain": {"steps": 0, "width": 8}}}, "test").task
    assert (task.pretrain.steps, task.reader.steps, task.reader.width) == (0, 2000, 8)
    pretrained = parse_recipe({"task": {"pretrain": {"steps": 7}}}, "test").task
    assert pretrained.reader is pretrained.pretrain
