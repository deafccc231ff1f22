"""Orders: every case with every method, no method earlier than another, sessions and repeats as asked."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from taskgan.readers.design import deal_cases, latin_rows, plan_orders


@pytest.mark.parametrize("methods", range(1, 9))
def test_each_method_stands_at_each_place_and_follows_each_other_one_equally_often(methods: int) -> None:
    rows = latin_rows(methods)
    assert len(rows) == methods * (1 + methods % 2)
    for column in zip(*rows, strict=True):
        assert set(Counter(column).values()) == {len(rows) // methods}
    followed = Counter(pair for row in rows for pair in pairwise(row))
    assert len(set(followed.values())) <= 1
    assert len(followed) == methods * (methods - 1)


@pytest.mark.parametrize(("methods", "sessions"), [(4, 4), (5, 5), (5, 2), (3, 1)])
def test_a_reader_sees_each_case_with_each_method_once_and_repeats_later(methods: int, sessions: int) -> None:
    orders = plan_orders([range(12)] * 3, methods, sessions, 4, np.random.default_rng(1))
    for order in orders:
        first = [one for one in order if not one.repeat]
        assert {(o.case, o.method) for o in first} == {(c, m) for c in range(12) for m in range(methods)}
        assert len(first) == 12 * methods
        assert [o.session for o in order] == sorted(o.session for o in order)
        again = [one for one in order if one.repeat]
        assert len(again) == 4
        assert max(Counter(o.method for o in again).values()) <= -(-4 // methods)
        for one in again:
            shown = next(o for o in first if (o.case, o.method) == (one.case, one.method))
            assert order.index(shown) < order.index(one)
            assert sessions == 1 or one.session == shown.session + 1


def test_with_a_session_for_each_method_a_case_comes_once_in_each() -> None:
    for order in plan_orders([range(10)] * 2, 4, 4, 0, np.random.default_rng(0)):
        seen = Counter((o.session, o.case) for o in order)
        assert set(seen.values()) == {1}
        shares = Counter((o.session, o.method) for o in order)
        assert max(shares.values()) - min(shares.values()) <= 1


def test_readers_see_a_case_first_with_different_methods() -> None:
    orders = plan_orders([range(8)] * 4, 4, 4, 0, np.random.default_rng(0))
    for case in range(8):
        assert len({next(o.method for o in order if o.case == case) for order in orders}) == 4


def test_subjects_are_dealt_whole_and_positive_ones_evenly() -> None:
    subjects = [f"s{k // 2}" for k in range(24)]
    truths = [int(k // 2 < 4) for k in range(24)]
    parts = deal_cases(subjects, truths, 3, np.random.default_rng(0))
    assert sorted(case for part in parts for case in part) == list(range(24))
    assert sum(len({subjects[c] for c in part}) for part in parts) == 12
    assert {sum(truths[c] for c in part) for part in parts} <= {2, 4}
