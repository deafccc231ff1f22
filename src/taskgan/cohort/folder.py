"""``cohort.yaml``: what a cohort is, how it was made, with which seeds and versions."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from taskgan.cohort.pairs import Pair, Pairs
from taskgan.core.artefact import CHECKSUMS, commit
from taskgan.core.errors import UserError
from taskgan.core.files import (
    checksum,
    folder_files,
    read_yaml,
    value_digest,
    write_json,
    write_rows,
    write_text,
    write_yaml,
)
from taskgan.core.version import __version__

FILE = "cohort.yaml"


def write_description(folder: Path, description: dict[str, Any]) -> None:
    """Write ``cohort.yaml``. Keys by convention: ``kind``, ``made_by``, ``settings``, ``seed``, ``versions``,
    ``measured``."""
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


def is_complete(out: Path, description: Mapping[str, Any], sections: Sequence[str]) -> bool:
    """Whether a cohort is complete; False also where there is nothing yet.

    Args:
        sections: Its sections that must be those that the folder was begun with.

    Raises:
        UserError: If the folder holds something else, or was begun with other settings.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file, expected a folder to write the cohort to")
    if not folder_files(out):
        return False
    stored = read_description(out)
    if any(stored.get(key) != description[key] for key in ("kind", "made_by")):
        verb = str(description["made_by"]).removeprefix("taskgan ")
        raise UserError(f"{out} is not empty and was not begun by {verb}; expected a new or empty folder")
    for part in sections:
        old, new = stored.get(part) or {}, description[part]
        changed = [name for name in {**new, **old} if old.get(name) != new.get(name)]
        if changed:
            name = changed[0]
            raise UserError(
                f"{out} was begun with {name} = {old.get(name)}, now asked for {name} = {new.get(name)}; "
                "take another folder or the same settings"
            )
    return bool(stored.get("complete"))


BIDS_VERSION = "1.10.0"


def write_dataset_files(
    folder: Path,
    *,
    name: str,
    readme: str,
    derivative: Path | None = None,
    derivative_name: str = "",
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """The files of the folder that do not depend on the subjects.

    Args:
        readme: Text of its README.
        derivative: Where in the cohort a data set of masks or truth lies, if there is one.
        metadata: Further fields of the data set, such as ``License`` and ``Authors``.
    """
    _write_dataset_description(folder, name, "raw", metadata)
    if derivative is not None:
        write_derivative_description(folder / derivative, derivative_name)
    write_text(folder / "README", readme)
    write_text(folder / ".bidsignore", f"pairs.csv\ncohort.yaml\n{CHECKSUMS}\n")


def write_derivative_description(folder: Path, name: str) -> None:
    """``dataset_description.json`` of a data set that was made of another one."""
    _write_dataset_description(folder, name, "derivative")


def _write_dataset_description(folder: Path, name: str, kind: str, metadata: Mapping[str, Any] | None = None) -> None:
    values = {"Name": name, "BIDSVersion": BIDS_VERSION, "DatasetType": kind, **(metadata or {})}
    values["GeneratedBy"] = [{"Name": "taskgan", "Version": __version__}]
    write_json(folder / "dataset_description.json", values)


def write_participants(folder: Path, columns: Mapping[str, str], rows: Iterable[Mapping[str, object]]) -> None:
    """``participants.tsv`` and what its columns mean. ``columns``: name and description of each column after
    ``participant_id``.
    """
    write_json(folder / "participants.json", {name: {"Description": text} for name, text in columns.items()})
    write_rows(folder / "participants.tsv", ["participant_id", *columns], rows, delimiter="\t")
