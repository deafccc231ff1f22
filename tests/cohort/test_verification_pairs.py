"""Pairs to verify: read from the cohort's folder, and refused with a sentence for every row that is wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest

from taskgan.cohort.pairs import Pairs, read_pairs, write_pairs
from taskgan.cohort.verification import read_verification_pairs
from taskgan.core.errors import Problems, UserError

PEOPLE = {"Ann": "train", "Bob": "train", "Cid": "val", "Dora": "test", "Eve": "test"}
GOOD = """set,first,second,same
train,Ann_1,Ann_2,1
train,Ann_1,Cid_1,0

test,Dora_1,Dora_2,1
test,Eve_1,Dora_2,0
"""


@pytest.fixture
def listed(tmp_path: Path) -> Callable[[str], Pairs]:
    rows = [
        {
            "case": f"{name}_{k}",
            "subject": name,
            "split": split,
            "degraded": f"low/{name}_{k}.png",
            "clean": "" if (name, k) == ("Bob", 2) else f"{name}_{k}.png",
        }
        for name, split in PEOPLE.items()
        for k in (1, 2)
    ]
    write_pairs(tmp_path / "pairs.csv", rows)

    def write(text: str) -> Pairs:
        (tmp_path / "verification.csv").write_text(text)
        return read_pairs(tmp_path, ["case", "subject", "split", "degraded", "clean"])

    return write


def test_pairs_of_both_sets_with_their_cases(listed: Callable[[str], Pairs]) -> None:
    found = read_verification_pairs(listed(GOOD))
    assert found is not None
    assert [(pair.row, pair.same) for pair in found.subset("train")] == [(2, True), (3, False)]
    assert [pair.row for pair in found.subset("test")] == [5, 6]  # the empty line counts, as in an editor
    last = found.subset("test")[-1]
    assert (last.first.case, last.second.subject, last.same) == ("Eve_1", "Dora", False)


def test_a_cohort_without_the_file_has_none(listed: Callable[[str], Pairs]) -> None:
    pairs = listed(GOOD)
    (pairs.folder / "verification.csv").unlink()
    assert read_verification_pairs(pairs) is None


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("test,Dora_1,Dora_9,1", "row 7 has second 'Dora_9', which is no case of pairs.csv"),
        ("train,Bob_2,Ann_1,0", "row 7 has first 'Bob_2', which has no clean image in pairs.csv"),
        ("dev,Dora_1,Dora_2,1", "row 7 has set 'dev', expected train or test"),
        ("test,Dora_1,Dora_1,1", "row 7 compares Dora_1 with itself, expected two cases"),
        ("test,Dora_1,Dora_2,yes", "row 7 has same 'yes', expected 1 (one person) or 0 (two)"),
        ("test,Dora_1,Dora_2,", "row 7 has same '', expected 1 (one person) or 0 (two)"),
        (
            "test,Dora_1,Eve_2,1",
            "row 7 says same = 1 of Dora_1 and Eve_2, but pairs.csv says that their subjects are Dora and Eve",
        ),
        (
            "test,Dora_1,Ann_2,0",
            "row 7 is a test pair of Ann, whose row 3 in pairs.csv has split train: networks have seen that person",
        ),
        (
            "test,Cid_1,Cid_2,1",
            "row 7 is a test pair of Cid, whose row 7 in pairs.csv has split val: networks have seen that person",
        ),
        ("train,Eve_1,Bob_1,0", "row 7 is a train pair of Eve, who is on a test pair too: a person belongs to one set"),
    ],
)
def test_a_wrong_row_is_named(listed: Callable[[str], Pairs], row: str, sentence: str) -> None:
    with pytest.raises(Problems) as caught:
        read_verification_pairs(listed(f"{GOOD}{row}\n"))
    assert sentence in caught.value.problems


def test_all_wrong_rows_are_named_at_once(listed: Callable[[str], Pairs]) -> None:
    with pytest.raises(Problems, match=r"verification\.csv cannot be verified by: 2 problems"):
        read_verification_pairs(listed(f"{GOOD}test,x,Dora_1,0\ntest,Dora_1,Dora_2,2\n"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("first,second,same\nDora_1,Dora_2,1\n", "lacks the column set"),
        ("set,first\ntest,Dora_1\n", "lacks the columns second, same"),
        ("", "found no header"),
        ("set,first,second,same\n", "has a header but no rows"),
    ],
)
def test_a_file_of_another_form_is_refused(listed: Callable[[str], Pairs], text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        read_verification_pairs(listed(text))


def test_a_file_that_is_no_text_is_refused(listed: Callable[[str], Pairs]) -> None:
    pairs = listed(GOOD)
    (pairs.folder / "verification.csv").write_bytes(b"set,first\xff\xfe")
    with pytest.raises(UserError, match="cannot be read as CSV"):
        read_verification_pairs(pairs)
