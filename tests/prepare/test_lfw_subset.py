"""A part of LFW for minutes: who and what is kept."""

import csv
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from small_lfw import small_lfw
from taskgan.cohort.pairs import read_pairs
from taskgan.core.errors import UserError
from taskgan.prepare.lfw import LfwPreparation, LfwSubset, ListedPair, PairList, draw_subset, prepare_lfw
from taskgan.recipe.generator import Blur, Down


def _settings(**values: Any) -> LfwPreparation:
    return LfwPreparation(degradation=(Blur(sigma=2), Down(factor=4)), size=24, **values)


def _images() -> dict[str, list[Path]]:
    return {f"P{k:02d}": [Path(f"P{k:02d}_{n:04d}.jpg") for n in range(1, 2 + k % 6)] for k in range(40)}


def _lists() -> dict[str, PairList]:
    def pairs(first: int) -> tuple[ListedPair, ...]:
        people = [f"P{k:02d}" for k in range(first, first + 18) if k % 6]
        matched = [ListedPair(0, (p, 1), (p, 2)) for p in people]
        mismatched = [ListedPair(0, (p, 1), (q, 2)) for p, q in pairwise(people)]
        return (*matched, *mismatched)

    return {"train": PairList(Path("train"), pairs(0)), "test": PairList(Path("test"), pairs(20))}


def test_as_much_is_kept_as_was_asked_for_and_no_more() -> None:
    found, lists = draw_subset(_images(), _lists(), LfwSubset(people=13, images=3, pairs=4), seed=0)
    for one in lists.values():
        assert [pair.same for pair in one.pairs] == [True] * 4 + [False] * 4
    test = {person for person in found if person in _lists()["test"].people}
    assert test == lists["test"].people
    assert len(found) - len(test) == 13
    assert max(len(found[person]) for person in found if person not in test) == 3
    kept = {path.stem for paths in found.values() for path in paths}
    named = {f"{p}_{n:04d}" for one in lists.values() for pair in one.pairs for p, n in (pair.first, pair.second)}
    assert named <= kept
    assert {path.stem for person in test for path in found[person]} <= named  # nothing else of test people
    more = [p for p in found if p not in test | lists["train"].people]
    assert more
    assert all(len(_images()[person]) >= 3 for person in more)


def test_the_seed_decides_and_everybody_on_the_pairs_stays() -> None:
    subset = LfwSubset(people=2, images=2, pairs=9)
    one, again, other = (draw_subset(_images(), _lists(), subset, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one != other
    assert {p for p in one[0] if p not in _lists()["test"].people} == one[1]["train"].people


def test_a_cohort_of_a_part_is_another_cohort(tmp_path: Path) -> None:
    lfw = small_lfw(tmp_path)
    subset = LfwSubset(people=4, images=2, pairs=1)
    out = prepare_lfw(lfw, tmp_path / "out", _settings(subset=subset), workers=1)
    rows = read_pairs(out)
    test = {pair.case for pair in rows.split("test")}
    assert test == {"Dora_D_0001", "Dora_D_0002", "Eve_E_0002"}
    with (out / "verification.csv").open(newline="") as handle:
        assert {row[k] for row in csv.DictReader(handle) for k in ("first", "second")} <= {p.case for p in rows}
    with pytest.raises(UserError, match="was begun with subset = "):
        prepare_lfw(lfw, out, _settings(), workers=1)
    prepare_lfw(lfw, out, _settings(subset=subset), workers=1)
