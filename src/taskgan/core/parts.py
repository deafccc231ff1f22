"""A call in parts, on as many machines as a cluster has: which subjects are whose, and who writes the tables last."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from taskgan.core.console import say
from taskgan.core.errors import LeftOut, UserError
from taskgan.core.files import PART, read_yaml, write_json
from taskgan.core.lock import busy_part, locked, locked_part

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """The ``number``-th of ``count`` parts of a call, from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def name(self) -> str:
        """As file names have it."""
        return f"{self.number}-of-{self.count}"

    def of(self, items: Iterable[T], subject: Callable[[T], Any] | None = None) -> list[T]:
        """Items of every ``count``-th subject, in the order in which subjects first come; without ``subject`` each item
        is one."""
        listed = list(items)
        keys = [subject(item) if subject else place for place, item in enumerate(listed)]
        places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
        mine = [places[key] % self.count == self.number - 1 for key in keys]
        return [item for item, own in zip(listed, mine, strict=True) if own]


def parse_part(text: str | None) -> Part | None:
    """``2/8`` as the second of eight parts; a UserError if it is not K/N with 1 ≤ K ≤ N."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise UserError(f"--part {text}: expected K/N with K from 1 to N, e.g. 2/8")
    return Part(int(match[1]), int(match[2]))


def in_parts(
    place: Path,
    what: str,
    part: Part | None,
    work: Callable[[Part | None], bool],
    *,
    key: str = "",
    beside: bool = False,
) -> None:
    """Do work in a folder under its lock: all of it, or a part beside other parts that may be at work.

    A part that ends leaves a note. Who finds the notes of all parts does the whole work once more, which has nothing
    left but what is written last: tables and marker.

    Args:
        place: Output folder.
        what: See :func:`~taskgan.core.lock.locked`, as ``beside``.
        part: None is the whole work.
        work: Does a part, or with None all that is missing. Says whether the result is whole.
        key: What the call is about: notes of other calls do not count.

    Raises:
        UserError: If a whole call or the same part is at work there.
        LeftOut: As ``work`` raises it; the rest of a part is done then.
    """
    if part is None:
        with locked(place, what, beside=beside):
            _join(place, work)
        return
    left_out: LeftOut | None = None
    note = _note(place, part)
    with locked_part(place, what, part.name, beside=beside):
        note.unlink(missing_ok=True)
        try:
            if work(part):
                return
        except LeftOut as error:
            left_out = error
        write_json(note, {"key": key})
    waiting = [k for k in range(1, part.count + 1) if not _is_done(_note(place, Part(k, part.count)), key)]
    if not waiting:
        with locked(place, what, part=part.name, beside=beside):
            if not busy_part(place) and note.exists():
                say(f"{place}: all {part.count} parts are done")
                _join(place, work)
                return
    elif note.exists():  # else another part has joined them meanwhile
        rest = f"{_listed(waiting)} not yet; the last one, or a call without --part, joins them"
        say(f"{place}: part {part} is done, {rest}")
    if left_out is not None:
        raise left_out


def _join(place: Path, work: Callable[[Part | None], bool]) -> None:
    left_out: LeftOut | None = None
    try:
        work(None)
    except LeftOut as error:  # all else is whole
        left_out = error
    for path in place.glob(f"{PART}*.done") if place.is_dir() else ():
        path.unlink(missing_ok=True)
    if left_out is not None:
        raise left_out


def _note(place: Path, part: Part) -> Path:
    return place / f"{PART}{part.name}.done"


def _is_done(note: Path, key: str) -> bool:
    try:
        return read_yaml(note).get("key") == key
    except UserError:
        return False


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:5])) + " …" * (len(numbers) > 5)
