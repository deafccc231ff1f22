"""Finished results: a marker, written last, that holds the checksums of the files that it vouches for."""

import csv
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from taskgan.core.console import say
from taskgan.core.errors import LeftOut, UserError
from taskgan.core.files import checksum, read_yaml, unescaped_cell, value_digest, write_yaml
from taskgan.core.settings import validated

CHECKSUMS = "checksums.csv"
"""Beside a marker: name and SHA-256 of files that are too many for it."""


class _Settings(BaseModel):
    model_config = ConfigDict(strict=True)

    suvr_cut: float | None = None
    false_lesions: float | None = None


class _Ends(BaseModel):
    model_config = ConfigDict(extra="forbid")

    estimate: float
    low: float
    high: float


class _Line(BaseModel):
    slope: _Ends
    intercept: _Ends
    subjects: int


class _Record(BaseModel):
    """What code relies on in ``restored.yaml``, ``evaluation.yaml``, ``audit.yaml`` and ``run.yaml``."""

    model_config = ConfigDict(strict=True)

    method: str | None = None
    status: str | None = None
    restored: str | None = None
    table: str | None = None
    worst: str | None = None
    seed: int | None = None
    fold: int | None = None
    settings: _Settings | None = None
    recipe: dict[str, Any] | None = None
    property: dict[str, Any] | None = None
    seen: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    versions: dict[str, Any] | None = None
    features: dict[str, Any] | None = None
    readers: dict[str, dict[str, Any]] | None = None
    opinions: dict[str, dict[str, dict[str, Any]]] | None = None
    verification: dict[str, Any] | None = None
    calibration: _Line | None = None
    notes: list[Any] | None = None
    warnings: list[Any] | None = None


def read_record(marker: Path) -> dict[str, Any]:
    """What a marker says, with every value that is relied on of the type that it was written with.

    Args:
        marker: Of restored images, an evaluation, an audit or a run; empty values where there is none.

    Raises:
        UserError: If it is not YAML.
        Problems: If a value has another type.
    """
    if not marker.is_file():
        return {}
    values = read_yaml(marker)
    validated(_Record, values, f"{marker} is not what taskgan writes")
    return values


def commit(marker: Path, values: Mapping[str, Any], files: Iterable[Path]) -> None:
    """Write the file that makes an artefact whole, after all that it vouches for.

    Remove the old marker before the first of the files is replaced, so that it never stands beside other files.

    Args:
        marker: A YAML file, e.g. ``restored.yaml``.
        values: What it says. ``files``, the SHA-256 of each file by its path below the marker's folder, is added.
        files: Below the marker's folder.
    """
    sums = {path.relative_to(marker.parent).as_posix(): checksum(path) for path in sorted(files)}
    write_yaml(marker, {**values, "files": sums})


def commit_more(marker: Path, files: Iterable[Path]) -> None:
    """Let the marker of a whole artefact vouch for files that were added to it, see :func:`commit`."""
    values = read_yaml(marker)
    sums = {path.relative_to(marker.parent).as_posix(): checksum(path) for path in files}
    write_yaml(marker, {**values, "files": dict(sorted({**values["files"], **sums}.items()))})


def differing(marker: Path, values: Mapping[str, Any] | None = None) -> list[str] | None:
    """Which files are not those that a marker vouches for, as ``NAME is missing`` or ``NAME was changed``.

    Args:
        marker: A YAML file that :func:`commit` wrote, or the card of a model.

    Returns:
        None where it vouches for nothing (an unfinished artefact, or one of an earlier version).
    """
    values = read_yaml(marker) if values is None else values
    sums = values.get("files")
    if not isinstance(sums, Mapping) and marker.name == "model.yaml":
        sums = {"generator.safetensors": values.get("checksum")}
    if not isinstance(sums, Mapping):
        return None
    wrong = []
    for name, expected in _listed_checksums(marker, sums).items():
        path = marker.parent / str(name)
        if not path.is_file():
            wrong.append(f"{path} is missing")
        elif checksum(path) != expected:
            wrong.append(f"{path} was changed")
    return wrong


def _listed_checksums(marker: Path, sums: Mapping[str, Any]) -> dict[str, Any]:
    """Checksums with those that a list of them (:data:`CHECKSUMS`) holds in turn."""
    if CHECKSUMS not in sums or not (marker.parent / CHECKSUMS).is_file():
        return dict(sums)
    with (marker.parent / CHECKSUMS).open(newline="", encoding="utf-8", errors="replace") as handle:
        rows = [row for row in csv.reader(handle) if len(row) == 2][1:]
    return {**sums, **{unescaped_cell(name): value for name, value in rows}}


def verify(folder: Path) -> tuple[int, list[str]]:
    """Check every artefact in a folder and below it against its marker; repairs nothing.

    Returns:
        How many markers vouch for files, and what differs.

    Raises:
        UserError: If there is no such folder, or no marker in it.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; expected one that taskgan made")
    by_marker = {path: differing(path) for path in sorted(folder.rglob("*.yaml")) if not path.name.startswith(".")}
    known = {path: wrong for path, wrong in by_marker.items() if wrong is not None}
    if not known:
        raise UserError(f"{folder} holds nothing finished that has checksums: there is nothing to verify")
    return len(known), [sentence for wrong in known.values() for sentence in wrong]


def request_digest(out: Path, **arguments: Any) -> str:
    """A name for what a verb was called with: other settings or other input files have another one.

    Args:
        out: Where the verb writes; not an input, also where it lies below one.
        arguments: By name. Files count by their bytes; folders by their tables and records (bytes) and by names,
            sizes and times of all files, but for recognisers, observers and a limit that verbs put there. Objects that
            have no values of their own (a network) are never the same.
    """
    return value_digest({name: _digestible(value, out.resolve()) for name, value in arguments.items()}, 64)


def _digestible(value: Any, out: Path) -> Any:
    if isinstance(value, Path):
        if not value.is_dir():
            return checksum(value) if value.is_file() else str(value)
        entries = {}
        for path in sorted(value.rglob("*")):
            name = path.relative_to(value)
            hidden = any(part.startswith(".") for part in name.parts)
            ours = {"recognisers", "lesion_observers"} & {*name.parts} or name.parts[:2] == ("derivatives", "limit")
            if hidden or ours or not path.is_file() or out in path.resolve().parents:
                continue
            status = path.stat()
            small = len(name.parts) == 1 and path.suffix in (".yaml", ".csv", ".json")
            entries[name.as_posix()] = checksum(path) if small else [status.st_size, status.st_mtime_ns]
        return entries
    if isinstance(value, Mapping):
        return {str(key): _digestible(item, out) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_digestible(item, out) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return _digestible(vars(value), out)
    if value is None or isinstance(value, str | int | float):
        return value
    dump = getattr(value, "model_dump", None)
    return dump(mode="json") if dump is not None else secrets.token_hex()


def is_done(marker: Path, request: str) -> bool:
    """Whether a finished artefact is what a verb was asked for; says so. False where there is none.

    Args:
        marker: Written by :func:`commit` with the value ``request``.
        request: See :func:`request_digest`.

    Raises:
        UserError: If it was made by another request, or its files are not those that it vouches for.
        LeftOut: If it was made without some of its inputs.
    """
    values = read_yaml(marker) if marker.is_file() else {}
    if "request" not in values or (wrong := differing(marker, values)) is None:
        return False
    if values["request"] != request:
        raise UserError(
            f"{marker.parent} already holds a result of other inputs or settings; say --overwrite to replace it"
        )
    if wrong:
        raise UserError(f"{wrong[0]} since {marker.name} was written; say --overwrite to make it anew")
    say(f"{marker.parent}: already done (--overwrite makes it anew)")
    check_left_out(marker.parent, values)
    return True


def check_left_out(folder: Path, values: Mapping[str, Any]) -> None:
    """Say again of a finished batch what it was made without.

    Args:
        values: What its marker says: ``left_out`` has a sentence for each input that could not be used.

    Raises:
        LeftOut: If there are any.
    """
    if left_out := values.get("left_out"):
        raise LeftOut(f"{folder} was made without {len(left_out)} of its inputs", [str(v) for v in left_out.values()])
