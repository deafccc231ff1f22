"""What conditions a step draws from."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taskgan.cohort.conditions import resolved_conditions
from taskgan.cohort.dataset import Steps, TrainingSlices
from taskgan.cohort.pairs import read_pairs
from taskgan.cohort.sampling import BalancedSampler, ConditionSchedule
from taskgan.cohort.unpaired import UnpairedSteps
from taskgan.recipe import Augment, Data
from taskgan.recipe.phases import Phase

SIZES = {"A": 9, "B": 4, "C": 5}


def phase(name: str, steps: int, **changes: Any) -> Phase:
    return Phase(name=name, steps=steps, **changes)


def test_without_phases_every_step_draws_from_everything() -> None:
    course = ConditionSchedule((), SIZES, 4)
    assert course.keys == ((),)
    assert [course.condition_at(step) for step in (0, 7)] == [((), 0), ((), 7)]


def test_a_turn_is_one_epoch_of_the_conditions_slices() -> None:
    course = ConditionSchedule([phase("turns", 30, conditions="in_turn")], SIZES, 4)
    drawn = "".join(course.condition_at(step)[0][0] for step in range(12))
    assert drawn == "AAABCC" * 2  # 9, 4 and 5 slices in batches of 4


def test_a_turn_can_be_given_and_is_cut_where_the_phase_ends() -> None:
    course = ConditionSchedule([phase("turns", 5, conditions="in_turn", turn=2), phase("mixed", 3)], SIZES, 4)
    assert [course.condition_at(step)[0] for step in range(8)] == [("A",), ("A",), ("B",), ("B",), ("C",), (), (), ()]


def test_every_key_goes_on_where_it_stopped_also_in_a_later_phase() -> None:
    phases = [
        phase("first", 7, conditions="in_turn", turn=2),
        phase("only", 3, conditions=["B"]),
        phase("mixed", 4),
        phase("again", 9, conditions="in_turn"),
    ]
    course = ConditionSchedule(phases, SIZES, 4)
    seen: Counter[tuple[str, ...]] = Counter()
    for step in range(23):
        key, turn = course.condition_at(step)
        if key:
            assert turn == seen[key]
        else:
            assert turn == step
        seen[key] += 1
    assert set(seen) == set(course.keys)


@pytest.fixture
def slices(make_contrasts: Callable[..., Path], tmp_path: Path) -> tuple[TrainingSlices, Data]:
    pairs = read_pairs(make_contrasts(tmp_path / "cohort"))
    data = Data(condition="contrast", augment=Augment(flip=False, shift=0))
    data = resolved_conditions(data, pairs)
    return TrainingSlices(pairs.split("train"), data), data


def told(slices: TrainingSlices, indices: list[int]) -> set[str]:
    return {slices.conditions[index // 3] for index in indices}


def test_steps_of_a_turn_hold_one_condition_and_an_epoch_holds_all_its_slices(
    slices: tuple[TrainingSlices, Data],
) -> None:
    held, data = slices
    assert held.slices_per_condition() == {"T2w": 9, "T1w": 9, "PDw": 9}
    steps = Steps(held, data, batch_size=3, seed=1, phases=[phase("t", 9, conditions="in_turn"), phase("m", 9)])
    for turn, name in enumerate(("T2w", "T1w", "PDw")):
        drawn = [index for step in range(3 * turn, 3 * turn + 3) for index in steps.indices(step)]
        assert told(held, drawn) == {name}
        assert len(set(drawn)) == 9
        batch = steps[3 * turn]
        np.testing.assert_array_equal(batch.inputs[:, -3:, 0, 0], np.eye(3)[[turn] * 3])
    only = Steps(held, data, batch_size=6, seed=1, phases=[phase("two", 4, conditions=["PDw", "T2w"])])
    assert told(held, only.indices(0) + only.indices(1)) == {"PDw", "T2w"}


def test_mixed_steps_are_those_of_a_run_without_phases_and_of_the_plain_order(
    slices: tuple[TrainingSlices, Data],
) -> None:
    held, data = slices
    plain = Steps(held, data, batch_size=4, seed=1)
    phased = Steps(held, data, batch_size=4, seed=1, phases=[phase("t", 5, conditions="in_turn"), phase("m", 9)])
    order = BalancedSampler(held.groups(balanced=True), batch_size=4, seed=1)
    for step in range(14):
        assert plain.indices(step) == order.indices(step)
        assert (phased.indices(step) == plain.indices(step)) == (step >= 5)


def test_clean_slices_of_unpaired_steps_are_of_the_same_turn(slices: tuple[TrainingSlices, Data]) -> None:
    held, data = slices
    steps = UnpairedSteps(held, data, batch_size=4, seed=1, phases=[phase("t", 6, conditions="in_turn", turn=2)])
    for step in range(6):
        degraded = steps.indices(step)
        clean = [steps._clean_index(step, place, index) for place, index in enumerate(degraded)]
        assert told(held, clean) == told(held, degraded)
        assert all(held.subject(c) != held.subject(d) for c, d in zip(clean, degraded, strict=True))
