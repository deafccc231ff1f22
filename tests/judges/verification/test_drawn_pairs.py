"""Pairs of validation people: within the caps, balanced, each once, and the same ones every time."""

from collections import Counter
from pathlib import Path

from taskgan.cohort.pairs import Pair
from taskgan.judges.verification import validation_pairs


def rows(images: dict[str, int], split: str = "val") -> list[Pair]:
    return [
        Pair(0, f"{name}_{k}", name, split, Path(f"{name}_{k}_low"), Path(f"{name}_{k}"), None, {}, Path())
        for name, count in images.items()
        for k in range(count)
    ]


def test_all_pairs_of_one_person_and_as_many_of_two() -> None:
    found = validation_pairs(rows({"a": 3, "b": 2, "c": 1, "d": 1, "e": 4}))
    same = [pair for pair in found if pair.same]
    assert Counter(pair.first.subject for pair in same) == {"a": 3, "b": 1, "e": 6}
    assert len(found) == 2 * len(same)
    assert len({frozenset((pair.first.case, pair.second.case)) for pair in found}) == len(found)
    assert {pair.set for pair in found} == {"val"}


def test_a_person_of_many_images_does_not_rule() -> None:
    many = {"power": 60, **{f"p{k}": 2 for k in range(40)}}
    found = validation_pairs(rows(many))
    assert Counter(pair.first.subject for pair in found if pair.same)["power"] == 10
    on_two = sum("power" in (pair.first.subject, pair.second.subject) for pair in found if not pair.same)
    assert on_two <= 10  # people are drawn, not images
    assert sum(pair.same for pair in found) == 50
    fewer = validation_pairs(rows(many), most=7, most_of_one=2)
    assert sum(pair.same for pair in fewer) == 7 == sum(not pair.same for pair in fewer)


def test_the_order_of_the_table_and_other_splits_make_no_difference() -> None:
    listed = rows({"a": 4, "b": 5, "c": 2, "d": 3})
    first = validation_pairs([*listed, *rows({"x": 3}, "train"), *rows({"y": 3}, "test")])
    assert first == validation_pairs(list(reversed(listed)))
    assert first != validation_pairs(listed, most=8, seed=1)


def test_an_image_that_several_rows_name_counts_once() -> None:
    listed = rows({"a": 2, "b": 2})
    doses = [Pair(0, f"{p.case}_dose", p.subject, p.split, p.degraded, p.clean, None, {}, Path()) for p in listed]
    found = validation_pairs([*listed, *doses])
    assert len(found) == 4
    assert not any(pair.first.case.endswith("_dose") or pair.second.case.endswith("_dose") for pair in found)


def test_nobody_with_two_images_gives_no_pairs_and_one_person_none_of_two() -> None:
    assert validation_pairs(rows({"a": 1, "b": 1, "c": 1})) == ()
    assert validation_pairs([]) == ()
    assert [pair.same for pair in validation_pairs(rows({"a": 3}))] == [True] * 3
