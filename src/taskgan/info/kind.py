"""One kind of folder that taskgan makes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml
from taskgan.core.parse import parse_json, read_text


@dataclass(frozen=True)
class Kind:
    """A kind of folder.

    Attributes:
        name: What it is called.
        marker: The file that makes a folder one.
        read: All that is recorded in a folder of the kind.
        screen: Its screenful, as lines, from the folder and that record.
    """

    name: str
    marker: str
    read: Callable[[Path], dict[str, Any]]
    screen: Callable[[Path, Mapping[str, Any]], list[str]]


def from_yaml(name: str) -> Callable[[Path], dict[str, Any]]:
    """Reads one YAML file of a folder."""
    return lambda folder: read_yaml(folder / name)


def if_there(path: Path) -> dict[str, Any]:
    """A YAML file; empty where there is none."""
    return read_yaml(path) if path.is_file() else {}


def from_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        UserError: If it holds something else.
    """
    found = parse_json(read_text(path), str(path))
    if not isinstance(found, dict):
        raise UserError(f"{path} holds {type(found).__name__}, expected an object")
    return found
