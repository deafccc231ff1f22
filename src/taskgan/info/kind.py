"""One kind of folder that taskgan makes."""

from collections.abc import Callable, Mapping
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
    """A JSON object.

    Raises:
        UserError: If it holds something else.
    """
    content = parse_json(read_text(path), str(path))
    if not isinstance(content, dict):
        raise UserError(f"{path} holds {type(content).__name__}, expected an object")
    return content
