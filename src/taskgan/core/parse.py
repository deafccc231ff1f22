"""Files of strangers: YAML and JSON bounded in size, depth and aliases, images held against a limit by their header."""

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from taskgan.core.errors import UserError

MAX_BYTES = 16 * 2**20
"""Of a file of settings or records; the longest, of 200,000 training images, are shorter."""
MAX_DEPTH = 100
"""Values inside values: far under Python's limit of recursion."""
_MAX_ALIASED = 10_000  # values that aliases repeat
_MAX_BITS = 128  # of a whole number: the state of a random generator has as many
_MAX_QUOTED = 200


class NestingError(UserError):
    """Values in values, more than anything here can carry along."""


def quoted(value: object) -> str:
    """``repr`` of a value that a message quotes, cut at 200 characters."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # whole numbers of thousands of digits; lists inside lists
        text = f"a {type(value).__name__} that cannot be shown"
    return text if len(text) <= _MAX_QUOTED else text[:_MAX_QUOTED] + "…"


def field_number(text: str, field: str) -> float:
    """A field of a table as a number; NaN where it is empty. ``field``: whose and which, e.g. ``row 3 has dose``.

    Raises:
        UserError: If it is something else.
    """
    try:
        value = float(text or 0)
    except ValueError:
        value = math.inf
    if not math.isfinite(value):
        raise UserError(f"{field} {quoted(text)}, expected a number")
    return value if text else math.nan


def truncated(text: str) -> str:
    """A text that a message quotes as it is, cut at 200 characters; of several lines the first."""
    line = next(iter(text.strip().splitlines()), "")
    return line if len(line) <= _MAX_QUOTED else line[:_MAX_QUOTED] + "…"


def error_text(error: BaseException) -> str:
    """What a library's exception says, in at most 200 characters; the name of its class where it says nothing."""
    return truncated(str(error)) or type(error).__name__


def read_text(path: Path) -> str:
    """A file of settings or records, UTF-8 with or without a byte order mark.

    Raises:
        UserError: If it is missing, cannot be read, is no UTF-8, or has more than 16 MiB.
    """
    try:
        with path.open("rb") as handle:
            raw = handle.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise UserError(f"{path} has more than {MAX_BYTES // 2**20} MiB, expected settings or records")
        return raw.decode("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error_text(error)}") from None


def parse_yaml(text: str, source: str) -> Any:
    """The value of a YAML text. Only plain values are made, no code is run.

    Raises:
        UserError: If it is not valid, nests too deep, or its aliases repeat too much or refer to themselves.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error)
        raise UserError(f"{source} is not valid YAML{line}: {truncated(problem)}") from None
    except Exception as error:  # dates, numbers and tags that are none raise whatever Python does
        raise UserError(f"{source} is not valid YAML: {error_text(error)}") from None


def parse_json(text: str, source: str) -> Any:
    """The value of a JSON text; NaN and infinity are let through, see :func:`without_nonfinite`.

    Raises:
        UserError: If it is not valid.
        TooDeep: If it nests more than 100 values.
    """
    try:
        value = json.loads(text)
        _check_depth(value)
    except RecursionError:
        raise NestingError(f"{source} nests more than {MAX_DEPTH} values, expected fewer") from None
    except ValueError as error:
        raise UserError(f"{source} is not valid JSON: {error_text(error)}") from None
    return value


def without_nonfinite(value: Any) -> tuple[Any, int]:
    """A JSON value without its NaN and infinite numbers, and how many these were. In a list ``null`` replaces one."""
    if isinstance(value, dict):
        parts = {key: without_nonfinite(part) for key, part in value.items() if not _infinite(part)}
        lost = len(value) - len(parts) + sum(count for _, count in parts.values())
        return {key: part for key, (part, _) in parts.items()}, lost
    if isinstance(value, list):
        items = [without_nonfinite(None if _infinite(part) else part) for part in value]
        return [part for part, _ in items], sum(map(_infinite, value)) + sum(count for _, count in items)
    return value, 0


def _infinite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            part
            for one in level
            if isinstance(one, dict | list)
            for part in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    raise RecursionError


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with bounds: on depth, on what aliases repeat, and on whole numbers."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = self._aliased = 0
        self._sizes: dict[int, int] = {}  # values in a finished node, aliases resolved

    def compose_node(self, parent: Any, index: Any) -> Any:
        """One node; of an alias the node that it means."""
        alias = self.check_event(yaml.AliasEvent)
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        if self._depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"more than {MAX_DEPTH} values in values", problem_mark=mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if alias:
            if id(node) not in self._sizes:
                raise yaml.MarkedYAMLError(problem="an alias inside the value that it means", problem_mark=mark)
            self._aliased += self._sizes[id(node)]
            if self._aliased > _MAX_ALIASED:
                problem = f"aliases that repeat more than {_MAX_ALIASED} values"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
        else:
            self._sizes[id(node)] = 1 + sum(self._sizes[id(part)] for part in _child_nodes(node))
        return node

    def construct_whole_number(self, node: Any) -> int:
        """A whole number of at most 128 bits; an underscore alone, as in ``0x_``, is none."""
        value: int = self.construct_yaml_int(node)
        if value.bit_length() > _MAX_BITS:
            raise ValueError(f"a whole number of {value.bit_length()} bits, expected at most {_MAX_BITS}")
        return value


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_whole_number)


def _child_nodes(node: Any) -> list[Any]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


MAX_VOXELS_VARIABLE = "TASKGAN_MAX_VOXELS"
MOST_DEFLATED = 1032
"""Zeros of which deflate makes a byte."""
_DEFAULT = 2**28  # a whole-body PET of 512×512×1024; a GiB as float32
_VOXELS_PER_PIXEL = 4  # a pixel of a photo takes as much memory as so many voxels


def max_voxels() -> int:
    """The limit: that of the environment, else 2²⁸.

    Raises:
        UserError: If the environment's is no whole number from 1.
    """
    text = os.environ.get(MAX_VOXELS_VARIABLE, "").strip()
    if not text:
        return _DEFAULT
    if not text.isdecimal() or len(text) > 18 or not int(text):
        raise UserError(f"{MAX_VOXELS_VARIABLE} is {text[:40]!r}, expected a whole number of voxels such as {_DEFAULT}")
    return int(text)


def check_voxels(path: Path, shape: Sequence[int], *, photo: bool = False) -> None:
    """Refuse an image by the size that its header says.

    Args:
        shape: Of the whole image; any number of axes.
        photo: Its shape is in pixels, of which a quarter is allowed.

    Raises:
        UserError: If an axis is not positive or it is larger than the limit.
    """
    limit, unit = (max_voxels() // _VOXELS_PER_PIXEL, "pixels") if photo else (max_voxels(), "voxels")
    count = math.prod(shape)
    if min(shape, default=0) < 1:
        raise UserError(f"{path} cannot be read: it has {'×'.join(map(str, shape)) or 'no'} {unit} by its header")
    if count > limit:
        raise UserError(
            f"{path} has {'×'.join(map(str, shape))} {unit} by its header, expected at most {limit}; set "
            f"{MAX_VOXELS_VARIABLE} to {count * (_VOXELS_PER_PIXEL if photo else 1)} or more if that is right"
        )
