"""``--part K/N``: one of several machines' share of the subjects of a folder that they all write to."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from taskgan.core.errors import UserError
from taskgan.core.parse import quoted

Item = TypeVar("Item")


@dataclass(frozen=True)
class Part:
    """The K-th of N shares: every N-th subject, so that shares are alike. Each share has a lock of its own.

    Whoever calls without a part when all shares are done joins them: tables and the marker are written then.

    Attributes:
        number: K, from 1.
        count: N.
    """

    number: int
    count: int

    @property
    def lock(self) -> str:
        """Name of the lock's file."""
        return f".taskgan.part-{self.number}-of-{self.count}.lock"

    def of(self, items: Sequence[Item], subject: Callable[[Item], str]) -> list[Item]:
        """The items of its subjects, which are counted in the order in which they come."""
        names = list(dict.fromkeys(subject(item) for item in items))
        mine = set(names[self.number - 1 :: self.count])
        return [item for item in items if subject(item) in mine]


def parse_part(text: str | None, option: str = "--part") -> Part | None:
    """``2/8`` to a part; None stays None.

    Raises:
        UserError: If it is not of that form, or K is not 1 to N.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UserError(f"{option} is {quoted(text)}, expected K/N with K from 1 to N, e.g. 2/8")
    return Part(int(found[1]), int(found[2]))
