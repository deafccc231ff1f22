"""Who reads what when: every case with every method, no method at a better place than another."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Rng = np.random.Generator


class PlannedShowing(NamedTuple):
    """A case and a method, by their numbers, in a session from 1 on."""

    session: int
    case: int
    method: int
    repeat: bool = False


def latin_rows(methods: int) -> list[tuple[int, ...]]:
    """Rows of a Latin square in which each method follows each other one equally often.

    Williams's design (1949, 10.1071/CH9490149): one square of an even number of methods, two mirrored ones of an odd.
    """
    first = [0] + [(step + 1) // 2 if step % 2 else methods - step // 2 for step in range(1, methods)]
    rows = [tuple((value + shift) % methods for value in first) for shift in range(methods)]
    return rows if methods % 2 == 0 else rows + [row[::-1] for row in rows]


def plan_orders(
    parts: Sequence[Sequence[int]], methods: int, sessions: int, repeats: int, rng: Rng
) -> list[list[PlannedShowing]]:
    """The order of each reader.

    A case is seen with its methods in the order of a row of the square, one a session where there are as many sessions
    as methods; else sessions hold several passes over the cases. Rows go round over cases and, by one, over readers.
    Within a pass the order of cases is drawn. A hidden repeat (of the methods in turn) comes in the session after its
    first showing, or at the end where there is no other. ``parts`` are the cases of each reader.
    """
    rows, cases = latin_rows(methods), shuffled(sorted({case for part in parts for case in part}), rng)
    orders = []
    for number, part in enumerate(parts):
        mine = {case: rows[(cases.index(case) + number) % len(rows)] for case in part}
        passes = [
            [PlannedShowing(turn * sessions // methods + 1, case, mine[case][turn]) for case in shuffled(part, rng)]
            for turn in range(methods)
        ]
        for first in _to_repeat([one for p in passes for one in p], methods, sessions, repeats, rng):
            again = PlannedShowing(min(first.session + 1, sessions), first.case, first.method, True)
            last = [p for p in passes if p[0].session == again.session][-1]  # the last pass of that session
            last.insert(int(rng.integers(len(last) + 1)) if sessions > 1 else len(last), again)
        orders.append([one for p in passes for one in p])
    return orders


def _to_repeat(
    shown: Sequence[PlannedShowing], methods: int, sessions: int, repeats: int, rng: Rng
) -> list[PlannedShowing]:
    """Showings that come again, of the methods in turn and of other cases as long as there are any."""
    left = shuffled([one for one in shown if one.session < sessions or sessions == 1], rng)
    chosen: list[PlannedShowing] = []
    for turn in range(min(repeats, len(left))):
        seen = [one.case for one in chosen]
        best = min(left, key=lambda one: (one.method != turn % methods, seen.count(one.case)))
        left.remove(best)
        chosen.append(best)
    return chosen


def shuffled(values: Sequence[Any], rng: Rng) -> list[Any]:
    """The values in an order that is drawn."""
    return [values[k] for k in rng.permutation(len(values))]


def deal_cases(subjects: Sequence[str], truths: Sequence[int], groups: int, rng: Rng) -> list[list[int]]:
    """Cases of each group of readers of a split-plot: subjects whole, positive ones dealt out evenly."""
    cases: dict[str, list[int]] = {}
    for case, subject in enumerate(subjects):
        cases.setdefault(subject, []).append(case)
    names = sorted(shuffled(list(cases), rng), key=lambda name: -max(truths[c] for c in cases[name]))
    return [sorted(c for name in names[k::groups] for c in cases[name]) for k in range(groups)]
