"""What a sweep asks for: ``--grid key=values``, ``--seeds``, ``--only``, read and checked one by one."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from taskgan.core.errors import UserError
from taskgan.core.parse import parse_yaml, quoted, truncated

_PAIRS = {"[": "]", "{": "}"}


@dataclass(frozen=True)
class GridAxis:
    """One swept key and its values, in the order given."""

    key: str
    values: tuple[Any, ...]


def parse_grid(texts: Sequence[str]) -> tuple[GridAxis, ...]:
    """Read every ``--grid``.

    Args:
        texts: ``section.key=value,value,…`` each. Values are read as YAML, and commas inside brackets or quotes
            do not separate: ``loss.feature_layers=[1,2],[2,3]`` is two lists.

    Raises:
        UserError: If there is none, one is not of that form, or a key comes twice.
    """
    axes = tuple(_axis(text) for text in texts)
    if not axes:
        raise UserError(
            "there is nothing to sweep; say what with --grid, e.g. --grid loss.mu_task=0.01,0.1,1"
        )
    keys = [axis.key for axis in axes]
    for key in keys:
        if keys.count(key) > 1:
            raise UserError(f"--grid {key} is given twice; expected all its values in one --grid")
    return axes


def _axis(text: str) -> GridAxis:
    key, equals, rest = text.partition("=")
    key = key.strip()
    if not equals or not key:
        raise UserError(f"--grid {text}: expected section.key=value,value, e.g. loss.mu_task=0.01,0.1,1")
    values = []
    for part in split_values(rest, f"--grid {text}"):
        if not part.strip():
            raise UserError(f"--grid {text}: a value is empty; expected {key}=value,value (null is a value)")
        values.append(parse_yaml(part, f"--grid {truncated(text)}: {quoted(part.strip())}"))
    return GridAxis(key, tuple(values))


def split_values(text: str, where: str) -> list[str]:
    """Split at commas that are in no bracket and in no quotes.

    Args:
        text: E.g. ``[1,2],[2,3]`` or ``"a,b",c``.
        where: What a message calls it.

    Raises:
        UserError: If a bracket or quote is left open, or closed without having been opened.
    """
    parts, current, open_, quote = [], "", "", ""
    for sign in text:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'" and not current.strip(" [{,:"):  # inside a word it is an apostrophe
            quote = sign
        elif sign in _PAIRS:
            open_ += sign
        elif sign in _PAIRS.values():
            if not open_ or _PAIRS[open_[-1]] != sign:
                raise UserError(f"{where}: {quoted(sign)} closes nothing")
            open_ = open_[:-1]
        if sign == "," and not open_ and not quote:
            parts.append(current)
            current = ""
        else:
            current += sign
    if open_ or quote:
        raise UserError(f"{where}: {quoted(quote or open_[-1])} is never closed")
    return [*parts, current]


def count_combinations(axes: Sequence[GridAxis]) -> int:
    """Number of combinations."""
    return math.prod(len(axis.values) for axis in axes)


def grid_values(axes: Sequence[GridAxis], number: int) -> dict[str, Any]:
    """The ``number``-th combination (from 0); the last key changes fastest."""
    values: dict[str, Any] = {}
    for axis in reversed(axes):
        number, place = divmod(number, len(axis.values))
        values[axis.key] = axis.values[place]
    return {axis.key: values[axis.key] for axis in axes}


def parse_seeds(text: str | None, default: int) -> tuple[int, ...]:
    """``0,1,2`` as seeds; the recipe's own where nothing is said.

    Raises:
        UserError: If it is not a list of different whole numbers from 0.
    """
    if text is None:
        return (default,)
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"\d+", part) for part in parts) or len({*map(int, parts)}) < len(parts):
        raise UserError(f"--seeds {text}: expected different whole numbers from 0, e.g. 0,1,2")
    return tuple(int(part) for part in parts)


def parse_share(text: str | None) -> tuple[int, int] | None:
    """``2/8`` as (2, 8): the second of eight shares.

    Raises:
        UserError: If it is not K/N with 1 ≤ K ≤ N.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise UserError(f"--only {text}: expected K/N with K from 1 to N, e.g. 2/8")
    return int(match[1]), int(match[2])
