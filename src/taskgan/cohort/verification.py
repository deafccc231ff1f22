"""``verification.csv``: the pairs of a cohort's cases that are to be told apart, as one person or two.

Columns ``set`` (``train`` or ``test``), ``first`` and ``second`` (cases of ``pairs.csv``) and ``same`` (1 or 0). A
cohort that has the file beside its table is one for verification. Pairs of ``test`` are what a restoration is judged
by, pairs of ``train`` choose the distance up to which two images are called one person.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from taskgan.cohort.pairs import Pair, Pairs
from taskgan.core.errors import Problems
from taskgan.core.parse import quoted
from taskgan.core.tables import csv_rows

FILE = "verification.csv"
SETS = ("train", "test")
COLUMNS = ("set", "first", "second", "same")


@dataclass(frozen=True)
class VerificationPair:
    """Two cases.

    Attributes:
        row: Line in the file (the header is line 1), for messages; 0 for a pair that is in none.
        set: ``train`` or ``test``; ``val`` for pairs that were drawn from validation people.
    """

    row: int
    set: str
    first: Pair = field(repr=False)
    second: Pair = field(repr=False)

    @property
    def same(self) -> bool:
        """Whether both are of one person."""
        return self.first.subject == self.second.subject


@dataclass(frozen=True)
class VerificationPairs:
    """The pairs of one file, in its order."""

    source: Path
    pairs: tuple[VerificationPair, ...]

    def subset(self, name: str) -> tuple[VerificationPair, ...]:
        """The pairs of a set, possibly none."""
        return tuple(pair for pair in self.pairs if pair.set == name)


def read_verification_pairs(pairs: Pairs) -> VerificationPairs | None:
    """Read and check the pairs of a cohort; None where it has no ``verification.csv``.

    Raises:
        UserError: If the file cannot be read, lacks a column or has no rows.
        Problems: Of all rows that name no case, the same image twice or one without a clean image, whose ``same``
            contradicts the subjects, or whose people others may not have seen: test pairs of people whom networks
            learnt from, and train pairs of people who are on a test pair.
    """
    source = pairs.folder / FILE
    if not source.is_file():
        return None
    cases = {pair.case: pair for pair in pairs}
    accepted: list[VerificationPair] = []
    problems: list[str] = []
    for number, values in csv_rows(source, COLUMNS):
        row = {name: (values[name] or "").strip() for name in COLUMNS}
        one = _parse_row(number, row, cases)
        if isinstance(one, VerificationPair):
            accepted.append(one)
        else:
            problems.append(one)
    problems += _leaking_pairs(accepted, pairs)
    if problems:
        raise Problems(f"{source} cannot be verified by", problems)
    return VerificationPairs(source, tuple(accepted))


def _parse_row(number: int, row: Mapping[str, str], cases: Mapping[str, Pair]) -> VerificationPair | str:
    """A row as a pair, or what is wrong with it."""
    if row["set"] not in SETS:
        return f"row {number} has set {quoted(row['set'])}, expected {' or '.join(SETS)}"
    for column in ("first", "second"):
        name = row[column]
        if name not in cases:
            return f"row {number} has {column} {quoted(name)}, which is no case of pairs.csv"
        if cases[name].clean is None:
            return f"row {number} has {column} {quoted(name)}, which has no clean image in pairs.csv"
    if row["first"] == row["second"]:
        return f"row {number} compares {row['first']} with itself, expected two cases"
    if row["same"] not in ("0", "1"):
        return f"row {number} has same {quoted(row['same'])}, expected 1 (one person) or 0 (two)"
    pair = VerificationPair(number, row["set"], cases[row["first"]], cases[row["second"]])
    if pair.same != (row["same"] == "1"):
        return (
            f"row {number} says same = {row['same']} of {row['first']} and {row['second']}, but pairs.csv says that "
            f"their subjects are {pair.first.subject} and {pair.second.subject}"
        )
    return pair


def _leaking_pairs(listed: list[VerificationPair], pairs: Pairs) -> list[str]:
    """Test pairs of people that networks or the threshold have seen."""
    learnt_from = {pair.subject: pair for pair in pairs if pair.split in ("train", "val")}
    tested = {case.subject for pair in listed if pair.set == "test" for case in (pair.first, pair.second)}
    problems: list[str] = []
    for pair in listed:
        for person in dict.fromkeys((pair.first.subject, pair.second.subject)):
            if pair.set == "test" and person in learnt_from:
                row = learnt_from[person]
                problems.append(
                    f"row {pair.row} is a test pair of {person}, whose row {row.row} in pairs.csv has split "
                    f"{row.split}: networks have seen that person"
                )
            elif pair.set == "train" and person in tested:
                problems.append(
                    f"row {pair.row} is a train pair of {person}, who is on a test pair too: a person belongs to one "
                    "set"
                )
    return problems
