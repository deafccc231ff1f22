"""One kind of folder that taskgan makes."""

import re
import shlex
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml
from taskgan.core.parse import parse_json, read_text


@dataclass(frozen=True)
class FolderKind:
    """A kind of folder.

    Attributes:
        name: What it is called.
        marker: The file that makes a folder one.
        read_record: All that is recorded in a folder of the kind.
        summarise: Its screenful, as lines, from the folder and that record.
    """

    name: str
    marker: str
    read_record: Callable[[Path], dict[str, Any]]
    summarise: Callable[[Path, Mapping[str, Any]], list[str]]


def yaml_reader(name: str) -> Callable[[Path], dict[str, Any]]:
    """Reads one YAML file of a folder."""
    return lambda folder: read_yaml(folder / name)


def read_optional_yaml(path: Path) -> dict[str, Any]:
    """A YAML file; empty where there is none."""
    return read_yaml(path) if path.is_file() else {}


def read_json_object(path: Path) -> dict[str, Any]:
    """A JSON object; UserError if it holds something else."""
    content = parse_json(read_text(path), str(path))
    if not isinstance(content, dict):
        raise UserError(f"{path} holds {type(content).__name__}, expected an object")
    return content


WIDTH = 100
_KEY = 13
UNKNOWN = "–"
_UNBROKEN = re.compile(r"\[[^\]]{1,30}\]|\d+ of \d+ \w+|\S+ [×±] \S+")


def lookup(values: Any, *keys: str) -> Any:
    """``values[a][b]…``; None where one of them is missing."""
    for key in keys:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values


def entry_lines(key: str, text: str) -> list[str]:
    """``  key  text``, folded; nothing where there is no text."""
    if not text:
        return []
    return _wrapped(text, f"  {key:<{_KEY - 1}} ", " " * (_KEY + 2))


def next_step(text: str) -> list[str]:
    """What to do next. A command is not folded: it must be copied whole."""
    return [f"  {'next':<{_KEY - 1}} {text}"]


def taskgan_command(*arguments: str | Path) -> str:
    """``taskgan`` and words, quoted where a shell needs it; words in capitals are for the user to fill in."""
    return shlex.join(["taskgan", *map(str, arguments)])


def sentence_lines(title: str, texts: Any, *, most: int) -> list[str]:
    """A title and sentences under it, in at most so many lines: what does not fit is counted."""
    known = [str(text) for text in texts] if isinstance(texts, list) else []
    lines: list[str] = []
    for number, text in enumerate(known):
        folded = _wrapped(text, "  · ", "    ")
        if lines and len(lines) + len(folded) > most:
            lines.append(f"    and {len(known) - number} more (--all)")
            break
        lines += folded
    return [f"  {title}", *lines] if lines else []


def interval_text(value: Any, digits: int, *, sign: bool = False) -> str:
    """``21.01 [19.80, 22.40]`` from ``estimate``, ``low`` and ``high``; a dash where unknown."""
    middle, low, high = (number_text(lookup(value, key), digits, sign=sign) for key in ("estimate", "low", "high"))
    return middle if UNKNOWN in (low, high) else f"{middle} [{low}, {high}]"


def number_text(value: Any, digits: int, *, sign: bool = False) -> str:
    """A number with so many digits after the point and a typographic minus; a dash for anything else."""
    if not isinstance(value, int | float):
        return UNKNOWN
    return f"{value:{'+' if sign else ''}.{digits}f}".replace("-", "−")


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as aligned columns, indented."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def figures_text(values: Any) -> str:
    """``pixel 0.1618, dose01 psnr_db 21.3 ± 0.98``: all numbers of a mapping in one line."""
    return ", ".join(_flat(values)) if isinstance(values, Mapping) else ""


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping) and {"mean", "sd"} <= value.keys():
            yield f"{before}{key} {short_text(value['mean'])} ± {short_text(value['sd'])}"
        elif isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key} ")
        elif value is not None and not isinstance(value, list):
            yield f"{before}{key} {short_text(value)}"


def nested_lines(values: Mapping[str, Any], indent: str) -> list[str]:
    """Everything, a line a value, sections indented."""
    lines = []
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            lines += [f"{indent}{key}", *nested_lines(value, indent + "  ")]
        elif isinstance(value, list) and any(isinstance(v, Mapping) for v in value):
            for place, own in enumerate(value):
                inside = own if isinstance(own, Mapping) else {"": own}
                lines += [f"{indent}{key} {place + 1}", *nested_lines(inside, indent + "  ")]
        elif isinstance(value, list) and any(isinstance(v, str) and " " in v for v in value):
            lines += [f"{indent}{key}", *(f"{indent}  {v}" for v in value)]  # sentences, such as limits
        else:
            lines.append(f"{indent}{key:<{max(1, 24 - len(indent))}} {full_text(value)}")
    return lines


def full_text(value: Any) -> str:
    """A value in full; numbers as short as they can be without losing what is measured."""
    if isinstance(value, list):
        return ", ".join(full_text(own) for own in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def short_text(value: Any) -> str:
    """A value in a few characters."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _wrapped(text: str, first: str, later: str) -> list[str]:
    # Intervals, "3 of 12 patients" and "9 × T1w" stay together.
    held = _UNBROKEN.sub(lambda match: match[0].replace(" ", "\N{NO-BREAK SPACE}"), text)
    lines = textwrap.wrap(
        held, WIDTH, initial_indent=first, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
    )
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]
