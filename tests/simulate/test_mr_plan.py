from collections import Counter

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from taskgan.core.errors import UserError
from taskgan.simulate.mr.settings import MrSimulation, plan_subjects


@given(
    subjects=st.integers(14, 80),
    seed=st.integers(0, 999),
    tumours=st.sampled_from([0.0, 0.4, 0.5, 1.0]),
    anatomies=st.sampled_from([None, 3, 14]),
)
@hypothesis_settings(max_examples=60, deadline=None)
def test_plan_keeps_its_promises(subjects, seed, tumours, anatomies):
    wanted = MrSimulation(subjects=subjects, seed=seed, tumours=tumours)
    made = plan_subjects(wanted, anatomies)
    assert [s.number for s in made] == list(range(1, subjects + 1))
    kinds = {s.kind for s in made}
    assert kinds == {"control", *(["lesions"] if tumours < 1 else []), *(["tumour"] if tumours else [])}
    for split in ("train", "val", "test"):
        assert {s.kind for s in made if s.split == split} == kinds
    if anatomies is not None:
        by_anatomy: dict[int, set[str]] = {}
        for s in made:
            by_anatomy.setdefault(s.anatomy, set()).add(s.split)
        assert all(len(splits) == 1 for splits in by_anatomy.values())
        assert len(by_anatomy) == min(anatomies, len(by_anatomy))
    assert made == plan_subjects(wanted, anatomies)


def test_the_papers_cohort_is_the_default():
    kinds = Counter(s.kind for s in plan_subjects(MrSimulation(), None))
    assert kinds == {"control": 23, "lesions": 31, "tumour": 13}
    assert plan_subjects(MrSimulation(seed=1), None) != plan_subjects(MrSimulation(seed=2), None)


def test_refusals_are_sentences():
    with pytest.raises(UserError, match="make 3 controls, 4 with lesions, 2 with tumour; expected at least 3"):
        plan_subjects(MrSimulation(subjects=9), None)
    with pytest.raises(UserError, match="2 BrainWeb anatomies were found, expected at least 3"):
        plan_subjects(MrSimulation(), 2)
