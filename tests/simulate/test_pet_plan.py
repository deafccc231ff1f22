from collections import Counter

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from taskgan.core.errors import Problems, UserError
from taskgan.simulate.pet.settings import PetSimulation, pet_simulation, plan_subjects


@given(
    subjects=st.integers(12, 80),
    seed=st.integers(0, 999),
    positive=st.floats(0.25, 0.6),
    anatomies=st.sampled_from([None, 3, 5, 14]),
)
@hypothesis_settings(max_examples=80, deadline=None)
def test_plan_keeps_its_promises(subjects, seed, positive, anatomies):
    wanted = PetSimulation(subjects=subjects, seed=seed, positive=positive)
    made = plan_subjects(wanted, anatomies)
    assert [s.number for s in made] == list(range(1, subjects + 1))
    assert sum(s.positive for s in made) == round(positive * subjects)
    assert all((s.composite > wanted.cut) == s.positive for s in made)
    near = [s for s in made if s.borderline]
    assert len(near) == round(0.2 * subjects)
    assert all(1.25 <= s.composite <= 1.40 for s in near)
    for split in ("train", "val", "test"):
        assert {s.positive for s in made if s.split == split} == {True, False}
    if anatomies is not None:
        by_anatomy: dict[int, set[str]] = {}
        for s in made:
            by_anatomy.setdefault(s.anatomy, set()).add(s.split)
        assert all(len(splits) == 1 for splits in by_anatomy.values())
    assert made == plan_subjects(wanted, anatomies)


def test_24_subjects_have_8_test_subjects():
    sizes = Counter(s.split for s in plan_subjects(PetSimulation(subjects=24), None))
    assert sizes == {"train": 12, "val": 4, "test": 8}


def test_borderline_subjects_are_spread_over_splits():
    near = Counter(s.split for s in plan_subjects(PetSimulation(subjects=60, borderline=0.3), None) if s.borderline)
    assert min(near[name] for name in ("train", "val", "test")) >= 2
    assert near["train"] > near["val"]


def test_seed_changes_the_plan():
    assert plan_subjects(PetSimulation(seed=1), None) != plan_subjects(PetSimulation(seed=2), None)


def test_anatomies_are_all_used_and_spread():
    used = Counter(s.anatomy for s in plan_subjects(PetSimulation(subjects=60), 14))
    assert len(used) == 14
    assert max(used.values()) <= 8


def test_refusals_are_sentences():
    with pytest.raises(UserError, match="make 2 positive and 6 negative; expected at least 3"):
        plan_subjects(PetSimulation(subjects=8), None)
    with pytest.raises(UserError, match="2 BrainWeb anatomies were found, expected at least 3"):
        plan_subjects(PetSimulation(), 2)
    with pytest.raises(UserError, match="1 BrainWeb anatomy was found, expected at least 3"):
        plan_subjects(PetSimulation(), 1)


def test_settings_say_all_that_is_wrong_at_once():
    with pytest.raises(Problems) as caught:
        pet_simulation(subjects=0, doses=(1, 1), scale="huge", colour="red")
    text = str(caught.value)
    for part in ("subjects", "doses", "each of them once", "scale", "colour"):
        assert part in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"doses": (100,)}, "below 100"),
        ({"splits": (0.5, 0.5, 0.5)}, "sum to 1"),
        ({"cut": 1.5}, "does not hold the cut"),
        ({"subsets": 7}, "7 subsets do not divide 96 angles"),
        ({"counts": float("inf")}, "finite"),
    ],
)
def test_settings_refuse(change, message):
    with pytest.raises(Problems, match=message):
        pet_simulation(**change)


def test_scanner_takes_the_changes():
    scanner = PetSimulation(counts=2.0, iterations=3, post_filter_mm=0).scanner
    base = PetSimulation().scanner
    assert scanner.trues_per_kbq == 2 * base.trues_per_kbq
    assert (scanner.iterations, scanner.post_filter_mm) == (3, 0)
    assert PetSimulation(scale="full").scanner.pixels == 256
