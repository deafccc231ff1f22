import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgan.cohort.pairs import split_subjects
from taskgan.core.errors import UserError


@given(st.integers(3, 30), st.integers(3, 30), st.integers(0, 5), st.floats(0.05, 0.9), st.floats(0.05, 0.9))
def test_every_label_is_in_every_split_and_nobody_twice(
    negative: int, positive: int, seed: int, train: float, val: float
) -> None:
    labels = {f"n{k}": 0 for k in range(negative)} | {f"p{k}": 1 for k in range(positive)}
    found = split_subjects(labels, shares=(train, val, 0.3), seed=seed)
    assert found.keys() == labels.keys()
    assert {(labels[s], split) for s, split in found.items()} == {
        (y, split) for y in (0, 1) for split in ("train", "val", "test")
    }
    reordered = dict(sorted(labels.items(), reverse=True))
    assert split_subjects(reordered, shares=(train, val, 0.3), seed=seed) == found


def test_shares_are_kept_where_numbers_allow() -> None:
    found = split_subjects({k: k % 2 for k in range(200)}, seed=1)
    counts = {name: list(found.values()).count(name) for name in ("train", "val", "test")}
    assert counts == {"train": 120, "val": 30, "test": 50}


def test_too_few_of_a_label_is_a_sentence() -> None:
    with pytest.raises(UserError, match="label 1 has 2 subjects, expected at least three"):
        split_subjects({"a": 0, "b": 0, "c": 0, "d": 1, "e": 1})
    with pytest.raises(UserError, match="three positive numbers"):
        split_subjects({}, shares=(1, 0, 1))
