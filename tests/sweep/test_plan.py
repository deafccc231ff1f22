import re
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgan.core.errors import Problems, UserError
from taskgan.recipe import Recipe, dump_recipe
from taskgan.sweep.folder import effective_settings, run_digest, setting_digest
from taskgan.sweep.plan import GridAxis, parse_grid, plan_sweep, run_folder_name, short_key, with_values, yaml_text

BASE = Recipe()
# Every kind of key and value, so that names meet numbers, words, switches, lists and null.
VALUES: dict[str, list[Any]] = {
    "objective": ["l1", "gan", "task_gan"],
    "loss.mu_task": [0.0, 1e-05, 0.1, 0.10000001, 1.0],
    "loss.lambda_gan": [0.0, 0.1, 0.3],
    "loss.feature_layers": [None, [1, 2], [1, 2, 3], [0]],
    "generator.norm": ["batch", "none"],
    "discriminator.norm": ["batch", "instance"],
    "discriminator.conditional": [True, False],
    "optimiser.betas": [[0.5, 0.999], [0.9, 0.99]],
}
grids = st.dictionaries(st.sampled_from(sorted(VALUES)), st.integers(1, 3), min_size=1, max_size=4)


def axes(*texts: str) -> tuple[GridAxis, ...]:
    return parse_grid(texts)


@settings(max_examples=30, deadline=None)
@given(grids, st.integers(1, 2))
def test_names_are_unique_short_and_safe_for_file_systems(sizes: dict[str, int], seeds: int) -> None:
    grid = [GridAxis(key, tuple(VALUES[key][:size])) for key, size in sizes.items()]
    made = plan_sweep(BASE, grid, range(seeds))
    names = [trial.name for trial in made.trials]
    assert len({name.lower() for name in names}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9._=+,-]{1,160}", name) for name in names)
    marks = {run_digest(trial.recipe) for trial in made.trials}
    assert len(marks) == len(names)
    asked = {
        run_digest(with_values(BASE, dict(zip(sizes, v, strict=True)))) for v in product(*(a.values for a in grid))
    }
    assert {run_digest(trial.recipe.model_copy(update={"seed": 0})) for trial in made.trials} == asked


def test_names_read_like_the_settings() -> None:
    made = plan_sweep(BASE, axes("loss.mu_task=0.01", "generator.norm=instance", "loss.feature_layers=[1,2]"), [3])
    assert made.trials[0].name == "mu_task=0.01,generator.norm=instance,feature_layers=1+2,seed=3"


def test_a_long_or_odd_value_gets_a_digest() -> None:
    odd = [run_folder_name({"data.name": value}, 0) for value in ("a b", "a:b", "a/b", "x" * 300, "x" * 301)]
    assert len(set(odd)) == 5
    assert all(re.fullmatch(r"[A-Za-z0-9._=+,-]{1,140}", name) for name in odd)


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.1, "0.1"), (1.0, "1"), (1e-05, "1e-05"), (True, "true"), (None, "null"), ([1, [2.0]], "[1,[2]]")],
)
def test_values_are_written_so_that_yaml_reads_them(value: Any, written: str) -> None:
    assert yaml_text(value) == written


def test_short_names_do_not_depend_on_the_grid() -> None:
    assert short_key("loss.mu_task") == "mu_task"
    assert short_key("generator.norm") == "generator.norm"
    assert short_key("task.pretrain.lr") == "pretrain.lr"
    assert short_key("no.such.key") == "no.such.key"


def test_settings_without_effect_are_trained_once_and_named() -> None:
    made = plan_sweep(BASE, axes("objective=l1,gan,task_gan", "loss.mu_task=0.1,1", "loss.lambda_gan=0.3,1"), [0])
    by_objective = [trial.recipe.objective for trial in made.trials]
    assert [by_objective.count(name) for name in ("l1", "gan", "task_gan")] == [1, 2, 4]
    assert len(made.merged) == 5
    assert ("objective=l1, mu_task=1, lambda_gan=1", "objective=l1") in made.merged
    assert made.trials[0].values == {"objective": "l1"}


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ({"objective": "l1"}, {"objective": "gan", "loss.lambda_gan": 0.0}, True),
        ({"objective": "gan"}, {"loss.mu_task": 0.0}, True),
        ({"objective": "gan"}, {"loss.mu_task": 0.0, "task.features": 0.5}, False),
        ({"loss.feature_layers": None}, {"loss.feature_layers": [5, 4, 3, 2, 1]}, True),
        ({"optimiser.lr_discriminator": None}, {"optimiser.lr_discriminator": 2e-4}, True),
        ({"optimiser.decay": 0.5}, {"optimiser.decay": 0.7}, False),
        ({"optimiser.schedule": "constant"}, {"optimiser.schedule": "constant", "optimiser.decay": 0.7}, True),
        ({"objective": "l1"}, {"objective": "l1", "discriminator.widths": [4, 8]}, True),
        ({"objective": "gan"}, {"objective": "gan", "discriminator.widths": [4, 8]}, False),
        ({"objective": "cycle_gan"}, {"objective": "cycle_gan", "loss.lambda_gan": 3.0}, True),
        ({"objective": "cycle_gan"}, {"objective": "cycle_gan", "cycle.weight": 3.0}, False),
        ({"objective": "gan"}, {"objective": "gan", "cycle.weight": 3.0}, True),
        ({"task.training": "frozen"}, {"task.training": "frozen", "optimiser.lr_task": 1e-3}, True),
        ({}, {"optimiser.lr_task": 1e-3}, False),
        ({}, {"machine.threads": 3, "data.workers": 2}, True),
        ({}, {"seed": 3}, False),
    ],
    ids=str,
)
def test_what_counts(first: dict[str, Any], second: dict[str, Any], same: bool) -> None:
    assert (run_digest(with_values(BASE, first)) == run_digest(with_values(BASE, second))) is same


def test_every_setting_of_a_task_gan_counts_except_where_it_runs() -> None:
    """A key that is added to the recipe counts from the first day: it is left out by name alone."""
    recipe = with_values(BASE, {"task.training": "joint", "objective": "task_gan"})
    missing = {"machine", "judge", "cycle"}
    sections = {key.split(".")[0] for key in effective_settings(recipe)}
    assert sections | missing >= set(dump_recipe(recipe))


def test_a_group_is_all_seeds() -> None:
    made = plan_sweep(BASE, axes("loss.mu_task=0.1,1"), [0, 1])
    assert [trial.recipe.seed for trial in made.trials] == [0, 0, 1, 1]
    assert len({setting_digest(trial.recipe) for trial in made.trials}) == 2


def test_a_reference_is_apart_unless_the_grid_holds_it() -> None:
    made = plan_sweep(BASE, axes("loss.mu_task=0.1,1"), [0, 1], against={"objective": "gan"})
    assert [trial.reference for trial in made.trials] == [False, False, True, False, False, True]
    assert made.trials[2].values == {"objective": "gan"}
    held = plan_sweep(BASE, axes("loss.mu_task=0,1"), [0], against={"objective": "gan"})
    assert [trial.reference for trial in held.trials] == [False, False]


def test_a_larger_draw_holds_the_smaller_one() -> None:
    grid = axes("loss.mu_task=0.1,0.2,0.3,0.4", "loss.lambda_gan=0.1,0.2,0.3,0.4")

    def drawn(count: int, seed: int) -> list[str]:
        return [trial.name for trial in plan_sweep(BASE, grid, [0], draw=count, draw_seed=seed).trials]

    assert drawn(8, 5)[:4] == drawn(4, 5)
    assert drawn(8, 5) != drawn(8, 6)
    assert len(drawn(99, 5)) == 16


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["loss.mu_tsk=1"], r"unknown key loss.mu_tsk; did you mean mu_task\?"),
        (["los.mu_task=1"], r"unknown key los; did you mean loss\?"),
        (["loss.mu_task=1,-1"], "loss.mu_task: input should be greater than or equal to 0"),
        (["loss.mu_task=a"], "loss.mu_task"),
        (["objective.x=1"], "objective is no section"),
        (["objective=gann"], "objective"),
        (["loss.feature_layers=[9]"], r"feature_layers=\[9\]: .*expected some of the discriminator's layers"),
        (["discriminator.conditional=true", "objective=gan,cycle_gan"], "objective=cycle_gan: .*conditional"),
        (["loss={mu_task: 1}"], "is a section of the recipe"),
        (["seed=0,1"], "say --seeds"),
        (["fold=0,1"], "the fold is in the cohort's table"),
        (["judge.seed=5"], "read by one judge"),
        (["data.select={dose: 1}"], "judged on the same cases"),
        (["machine.threads=1,2"], "changes no result"),
        ([f"loss.mu_task={','.join(map(str, range(200)))}", f"loss.lambda_gan={','.join(map(str, range(200)))}"],
         "40,000 combinations"),
    ],
    ids=lambda v: v[0][:40] if isinstance(v, list) else "",
)  # fmt: skip
def test_what_cannot_be_swept_is_a_sentence(texts: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan_sweep(BASE, axes(*texts), [0])


def test_every_bad_value_is_told_once() -> None:
    with pytest.raises(Problems) as found:
        plan_sweep(BASE, axes("loss.mu_task=-1,0.1", "loss.lambda_gan=0,1,2", "optimiser.lr=0"), [0])
    assert len(found.value.problems) == 2
