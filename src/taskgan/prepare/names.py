"""Subjects as BIDS names them, and the split that each belongs to."""

import re
from collections.abc import Mapping, Sequence

from taskgan.cohort.pairs import SPLITS
from taskgan.cohort.splits import DEFAULT_SHARES, split_subjects
from taskgan.core.parse import quoted


def participant(name: str) -> str:
    """``P-01`` to ``sub-P01``: BIDS labels hold letters and digits only."""
    return "sub-" + re.sub(r"[^0-9A-Za-z]", "", name.removeprefix("sub-"))


def name_problems(names: Sequence[str]) -> list[str]:
    """What is wrong with subjects' names: those without a letter or digit, and those that become one name."""
    problems = [
        f"subject {quoted(name)} has no letter or digit" for name in names if participant(name) == "sub-"
    ]
    before: dict[str, str] = {}
    for name in names:
        other = before.setdefault(participant(name).lower(), name)
        if other != name:
            problems.append(
                f"subjects {quoted(other)} and {quoted(name)} would both be called {participant(name)}"
            )
    return problems


def assign_splits(
    strata: Mapping[str, str], *, shares: Sequence[float] = DEFAULT_SHARES, seed: int = 0
) -> dict[str, str]:
    """A split for each subject; fewer than three subjects are all ``test``, as there is nothing to learn from.

    Args:
        strata: What is to be spread evenly over the splits, by subject.
        shares: Of train, val and test.
        seed: Of the shuffle.

    Raises:
        UserError: If a stratum has fewer than three subjects although there are three.
    """
    if len(strata) < len(SPLITS):
        return dict.fromkeys(strata, "test")
    return split_subjects(strata, shares=shares, seed=seed)
