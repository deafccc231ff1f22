"""What a sweep asks for: ``--grid key=values``, ``--seeds``, ``--only``, read and checked one by one."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from taskgan.core.errors import UserError
from taskgan.core.files import value_digest
from taskgan.core.parse import parse_yaml, quoted, truncated
from taskgan.recipe import Recipe
from taskgan.train.folder import run_settings

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
        raise UserError("there is nothing to sweep; say what with --grid, e.g. --grid loss.mu_task=0.01,0.1,1")
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


_LONGEST = 120  # file systems take 255 bytes; paths have an end too


def short_key(key: str) -> str:
    """The shortest end of a dotted key that no other setting shares: ``mu_task``, but ``generator.norm``.

    It depends on the recipe's schema alone, so that a name stays the same when a grid changes.
    """
    parts = key.split(".")
    for first in range(len(parts) - 1, 0, -1):
        end = ".".join(parts[first:])
        if sum(known == end or known.endswith(f".{end}") for known in _keys()) == 1:
            return end
    return key


@cache
def _keys() -> tuple[str, ...]:
    return tuple(run_settings(Recipe()))


def yaml_text(value: Any) -> str:
    """A value as YAML writes it in a line; floats with every digit that they need."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{','.join(yaml_text(one) for one in value)}]"
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 1e6 else repr(value)
    return str(value)


def setting_label(values: Mapping[str, Any]) -> str:
    """``mu_task=0.1, conditional=true``; ``as in the recipe`` where nothing is changed."""
    return ", ".join(f"{short_key(key)}={yaml_text(value)}" for key, value in values.items()) or "as in the recipe"


def run_folder_name(values: Mapping[str, Any], seed: int) -> str:
    """A file name of letters, digits and ``. _ = + , -``; what that cannot tell apart gets a digest.

    Args:
        values: The settings, by dotted key.
        seed: Of the run.
    """
    parts = [f"{short_key(key)}={_safe(yaml_text(value))}" for key, value in values.items()] or ["recipe"]
    lossless = all(_plain(yaml_text(value)) for value in values.values())
    name = ",".join([*parts, f"seed={seed}"])
    if lossless and len(name) <= _LONGEST:
        return name
    tail = f"-{value_digest({'values': dict(values)}, 8)},seed={seed}"
    return ",".join(parts)[: _LONGEST - len(tail)] + tail


def _safe(value: str) -> str:
    """``[1,2]`` to ``1+2``."""
    return re.sub(r"[^A-Za-z0-9._+-]", "-", value.strip("[]").replace(",", "+"))


def _plain(value: str) -> bool:
    flat = r"[A-Za-z0-9._-]+"
    return re.fullmatch(rf"{flat}|\[{flat}(,{flat})+\]", value) is not None
