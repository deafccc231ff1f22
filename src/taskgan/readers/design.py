"""Who reads what when: every case with every method, no method at a better place than another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Rng = np.random.Generator


@dataclass(frozen=True)
class PlannedShowing:
    """A case and a method, by their numbers, in a session from 1 on."""

    session: int
    case: int
    method: int
    repeat: bool = False


def latin_rows(methods: int) -> list[tuple[int, ...]]:
    """Rows of a Latin square in which each method follows each other one equally often.

    Williams's design (1949, 10.1071/CH9490149): one square of an even number of methods, two mirrored ones of an odd.
    """
    first = [0]
    for step in range(1, methods):
        first.append((step + 1) // 2 if step % 2 else methods - step // 2)
    rows = [tuple((value + shift) % methods for value in first) for shift in range(methods)]
    return rows if methods % 2 == 0 else rows + [row[::-1] for row in rows]


def plan_orders(
    parts: Sequence[Sequence[int]], methods: int, sessions: int, repeats: int, rng: Rng
) -> list[list[PlannedShowing]]:
    """The order of each reader.

    A case is seen with its methods in the order of a row of the square, one a session where there are as many sessions
    as methods; else sessions hold several passes over the cases. Rows go round over cases and, by one, over readers.
    Within a pass the order of cases is drawn. A hidden repeat comes in the session after its first showing, or at the
    end where there is no other.

    Args:
        parts: The cases of each reader.
        methods: Their number.
        sessions: At most as many as methods.
        repeats: Of each reader, over the methods in turn.
        rng: Of the draws.
    """
    rows = latin_rows(methods)
    shift = int(rng.integers(len(rows)))
    place = {case: k for k, case in enumerate(rng.permutation(sorted({c for part in parts for c in part})).tolist())}
    return [
        _one_reader(part, {case: rows[(place[case] + shift + number) % len(rows)] for case in part}, sessions, repeats, rng)
        for number, part in enumerate(parts)
    ]


def _one_reader(
    part: Sequence[int], rows: dict[int, tuple[int, ...]], sessions: int, repeats: int, rng: Rng
) -> list[PlannedShowing]:
    methods = len(next(iter(rows.values())))
    passes = [
        [PlannedShowing(turn * sessions // methods + 1, case, rows[case][turn]) for case in _shuffled(part, rng)]
        for turn in range(methods)
    ]
    for first in _to_repeat([one for p in passes for one in p], methods, sessions, repeats, rng):
        again = PlannedShowing(min(first.session + 1, sessions), first.case, first.method, True)
        # Into the last pass of its session, anywhere there: of one session behind its first showing.
        target = max(turn for turn in range(methods) if passes[turn][0].session == again.session)
        free = range(len(passes[target]) + 1) if sessions > 1 else [len(passes[target])]
        passes[target].insert(int(rng.choice(list(free))), again)
    return [one for p in passes for one in p]


def _to_repeat(
    shown: Sequence[PlannedShowing], methods: int, sessions: int, repeats: int, rng: Rng
) -> list[PlannedShowing]:
    """Showings that come again, of the methods in turn and of other cases as long as there are any."""
    early = [one for one in shown if one.session < sessions or sessions == 1]
    chosen: list[PlannedShowing] = []
    for turn in range(repeats):
        seen = [one.case for one in chosen]
        left = [one for one in early if one not in chosen]
        if not left:
            break
        rank = {id(one): (one.method != turn % methods, seen.count(one.case)) for one in left}
        best = min(rank.values())
        chosen.append(_shuffled([one for one in left if rank[id(one)] == best], rng)[0])
    return chosen


def _shuffled(values: Sequence[Any], rng: Rng) -> list[Any]:
    return [values[k] for k in rng.permutation(len(values))]


def deal_cases(subjects: Sequence[str], truths: Sequence[int], groups: int, rng: Rng) -> list[list[int]]:
    """Cases of each group of readers of a split-plot: subjects whole, positive ones dealt out evenly.

    Args:
        subjects: Of each case.
        truths: Of each case, 0 or 1.
        groups: Number of groups.
        rng: Of the draw.
    """
    cases: dict[str, list[int]] = {}
    for case, subject in enumerate(subjects):
        cases.setdefault(subject, []).append(case)
    names = sorted(_shuffled(list(cases), rng), key=lambda name: -max(truths[c] for c in cases[name]))
    parts: list[list[int]] = [[] for _ in range(groups)]
    for number, name in enumerate(names):
        parts[number % groups] += cases[name]
    return [sorted(part) for part in parts]
