"""``cohort.yaml``: what a cohort is, how it was made, with which seeds and versions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from taskgan.cohort.pairs import Pair, Pairs
from taskgan.core.artefact import CHECKSUMS, commit
from taskgan.core.files import checksum, read_yaml, value_digest, write_rows, write_yaml

FILE = "cohort.yaml"


def write_description(folder: Path, description: dict[str, Any]) -> None:
    """Write ``cohort.yaml`` atomically. Keys by convention: ``kind``, ``made_by``, ``settings``, ``seed``,
    ``versions``, ``measured``.
    """
    write_yaml(folder / FILE, description)


def complete(folder: Path, description: dict[str, Any]) -> None:
    """Write ``checksums.csv`` of all files of a cohort and, last, ``cohort.yaml``, which says that it is complete."""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and _counts(p.relative_to(folder))]
    sums = [{"file": p.relative_to(folder).as_posix(), "sha256": checksum(p)} for p in files]
    write_rows(folder / CHECKSUMS, ("file", "sha256"), sums)
    commit(folder / FILE, {**description, "complete": True}, [folder / CHECKSUMS])


def _counts(path: Path) -> bool:
    """Neither what hides nor what verbs put there later."""
    hidden = any(part.startswith(".") for part in path.parts)
    return not hidden and "recognisers" not in path.parts and path.name not in (CHECKSUMS, FILE)


def read_description(folder: Path) -> dict[str, Any]:
    """Read ``cohort.yaml``; empty where a user's own cohort has none."""
    path = folder / FILE
    return read_yaml(path) if path.is_file() else {}


def fingerprint(pairs: Pairs, columns: Sequence[str] = ()) -> str:
    """A name for the training data of a cohort: it changes when rows, labels or image files change.

    Files count by name, size and modification time, not by content: a cohort of gigabytes is
    named in milliseconds.

    Args:
        pairs: The rows.
        columns: Further columns that decide what is learnt: their text counts, and the file where it names one.
    """
    rows = []
    for pair in pairs:
        files = [pair.degraded, *([pair.clean] if pair.clean else [])]
        row: list[Any] = [pair.case, pair.subject, pair.split, pair.label, [_stat(p) for p in files]]
        if columns:
            row.append([_field(pair, column) for column in columns])
        rows.append(row)
    return value_digest({"rows": rows})


def _stat(path: Path) -> tuple[str, int, int]:
    return (path.name, path.stat().st_size, path.stat().st_mtime_ns) if path.exists() else (path.name, 0, 0)


def _field(pair: Pair, column: str) -> Any:
    text, path = pair.columns.get(column, ""), pair.path(column)
    return _stat(path) if path is not None and path.is_file() else text
