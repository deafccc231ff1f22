from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgan.cohort.sampling import BalancedSampler

FEW_AND_MANY = [[[0, 1, 2]], [[10, 11], [12, 13, 14], [15]]]  # one positive subject against three


def drawn(order: BalancedSampler, steps: int) -> list[int]:
    return [index for step in range(steps) for index in order.indices(step)]


@given(seed=st.integers(0, 2**31), step=st.integers(0, 10_000), batch=st.integers(1, 9))
@settings(max_examples=50, deadline=None)
def test_a_step_is_a_pure_function_of_seed_and_step(seed: int, step: int, batch: int) -> None:
    first, second = (BalancedSampler(FEW_AND_MANY, batch_size=batch, seed=seed) for _ in range(2))
    second.indices(step + 1)
    assert first.indices(step) == second.indices(step)
    assert len(first.indices(step)) == batch


def test_batch_boundaries_do_not_change_the_order() -> None:
    small, large = (BalancedSampler(FEW_AND_MANY, batch_size=size, seed=3) for size in (2, 6))
    assert drawn(small, 9) == drawn(large, 3)


def test_labels_are_drawn_equally_often_in_every_even_batch() -> None:
    order = BalancedSampler(FEW_AND_MANY, batch_size=4, seed=0)
    for step in range(20):
        assert sum(index < 10 for index in order.indices(step)) == 2


def test_subjects_of_a_label_are_drawn_equally_often_whatever_their_slices() -> None:
    counts = Counter(drawn(BalancedSampler(FEW_AND_MANY, batch_size=6, seed=0), 10))
    by_subject = [sum(counts[index] for index in subject) for subject in FEW_AND_MANY[1]]
    assert by_subject == [10, 10, 10]
    assert counts[10] == counts[11] == 5


def test_a_single_group_is_the_usual_epoch() -> None:
    order = BalancedSampler([[list(range(12))]], batch_size=4, seed=0)
    epochs = [drawn(order, 6)[:12], drawn(order, 6)[12:]]
    assert [sorted(epoch) for epoch in epochs] == [list(range(12))] * 2
    assert epochs[0] != epochs[1]


def test_seeds_give_different_orders() -> None:
    one, other = (BalancedSampler([[list(range(50))]], batch_size=50, seed=seed).indices(0) for seed in (0, 1))
    assert one != other


@pytest.mark.parametrize("groups", [[], [[]], [[[]]], [[[1]], []]])
def test_empty_groups_are_refused(groups: list[list[list[int]]]) -> None:
    with pytest.raises(ValueError, match="needs a"):
        BalancedSampler(groups, batch_size=1, seed=0)
