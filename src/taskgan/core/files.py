"""Files that are whole or absent: atomic writes, YAML and JSON with clear errors, checksums, versions."""

import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from taskgan import __version__
from taskgan.core.errors import UserError
from taskgan.core.parse import parse_yaml, read_text

PathLike = str | os.PathLike[str]
"""A path as every public function takes it."""

_LIBRARIES = ("torch", "lightning-fabric", "numpy", "scipy", "nibabel", "nilearn", "scikit-image")


@contextmanager
def atomic(target: Path, *, durable: bool = True) -> Iterator[Path]:
    """Give a temporary path beside ``target``; it takes the target's place only if the block succeeds.

    The temporary name keeps the target's suffixes, because writers such as nibabel choose the format by them.

    Args:
        target: The file to be written. Parent folders are made.
        durable: Wait until the disk has it. One of thousands of small files that can be made again need not wait.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    suffix = "".join(target.suffixes[-2:])
    handle, name = tempfile.mkstemp(prefix=".partial-", suffix=suffix, dir=target.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(0o644)
        if durable:
            with partial.open("rb") as written:
                os.fsync(written.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def check_writable(folder: Path, what: str) -> None:
    """See, before hours of work, that a folder can be written to or be made. Writes nothing.

    Args:
        folder: Where results will go; need not exist.
        what: What will be written, e.g. ``the evaluation``.

    Raises:
        UserError: If it, or the folder that it would be made in, is a file or may not be written to.
    """
    place = next(p for p in (folder, *folder.absolute().parents) if p.exists() or p.is_symlink())
    if not place.is_dir():
        raise UserError(f"{place} is a file, expected a folder to write {what} to")
    if not os.access(place, os.W_OK | os.X_OK):
        raise UserError(f"{place} may not be written to; choose another folder for {what}")


def write_text(target: Path, text: str) -> None:
    """Write text atomically (UTF-8, as given)."""
    with atomic(target) as partial:
        partial.write_text(text, encoding="utf-8", newline="")


def write_json(target: Path, value: Any) -> None:
    """Write JSON atomically: two spaces of indentation, keys in the order given, NaN refused."""
    write_text(target, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def write_yaml(target: Path, value: Any) -> None:
    """Write YAML atomically, keys in the order given."""
    write_text(target, yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100))


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        UserError: If the file is missing, is not YAML, or is not a mapping at the top.
    """
    value = parse_yaml(read_text(path), str(path))
    if not isinstance(value, dict):
        found = "nothing" if value is None else f"a {type(value).__name__}"
        raise UserError(f"{path} holds {found}, expected a mapping of settings")
    return value


def checksum(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def digest(value: Mapping[str, Any], length: int = 12) -> str:
    """A short stable name for a set of settings: SHA-256 of its canonical JSON, cut to ``length`` hex digits."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:length]


def versions() -> dict[str, str]:
    """Versions of this package, Python and the libraries that can change a number; absent ones are left out."""
    found = {"taskgan": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
