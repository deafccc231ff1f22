"""Files that are whole or absent: atomic writes, YAML, JSON and CSV, versions, what was measured on this machine."""

import contextlib
import csv
import errno
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import yaml

from taskgan.core.console import printable
from taskgan.core.errors import UserError, name_disk_errors
from taskgan.core.parse import parse_yaml, read_text
from taskgan.core.version import __version__

PathLike = str | os.PathLike[str]
"""A path as every public function takes it."""

_LIBRARIES = ("torch", "lightning-fabric", "numpy", "scipy", "nibabel", "nilearn", "scikit-image")


LOCK = ".taskgan.lock"
PART = ".part-"
"""How the names of what parts of a call leave in a folder begin, see :mod:`taskgan.core.parts`."""
_DAY_S = 24 * 3600
_QUERY_LIMITED_INFORMATION = 0x1000  # what Windows lets anybody ask of a process
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


@contextmanager
def atomic(target: Path, *, durable: bool = True) -> Iterator[Path]:
    """Give a temporary path beside ``target``; it takes the target's place only if the block succeeds.

    The temporary name keeps the target's suffixes, because writers such as nibabel choose the format by them, and
    holds host and process, so that nobody takes the file of a living neighbour for litter. The file gets the
    permissions that the umask leaves.

    Args:
        durable: Wait until the disk has file and folder. One of thousands of small files that can be made again need
            not wait.

    Raises:
        OSError: If the disk does not take it; its ``filename`` is the target.
    """
    with name_disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = _partial(target)
        partial.touch(0o666, exist_ok=False)
        mode = stat.S_IMODE(partial.stat().st_mode)
        try:
            yield partial
            partial.chmod(mode)  # some writers (safetensors) keep a file to its owner
            if durable:
                _sync_to_disk(partial)
            partial.replace(target)
            if durable:
                _sync_to_disk(target.parent)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Give a folder beside ``target`` to build in; it takes the target's place only if the block succeeds.

    The new folder is whole on the disk before the old one moves aside (:func:`previous_folder`), which is removed
    last: who reads the folder finds the old or the new one under one of two names. Killed between the two moves,
    the next call puts the old one back.

    Raises:
        OSError: If the disk does not take it; its ``filename`` is the target.
    """
    with name_disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        old = previous_folder(target)
        restore_previous(target)
        partial = _partial(target)
        partial.mkdir()
        try:
            yield partial
            for path in [*partial.rglob("*"), partial]:
                _sync_to_disk(path)
            if target.exists():
                shutil.rmtree(old, ignore_errors=True)
                target.replace(old)
            partial.replace(target)
            _sync_to_disk(target.parent)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def previous_folder(folder: Path) -> Path:
    """Where the old folder is while :func:`atomic_folder` puts a new one into its place."""
    return folder.with_name(f".{folder.name}.previous")


def restore_previous(folder: Path) -> None:
    """Put back the old folder if :func:`atomic_folder` was killed between its two moves."""
    if previous_folder(folder).exists() and not folder.exists():
        previous_folder(folder).replace(folder)


def _partial(target: Path) -> Path:
    suffix = "".join(target.suffixes[-2:])
    return target.with_name(f".partial-{_host()}-{os.getpid()}-{secrets.token_hex(4)}{suffix}")


def _host() -> str:
    """This machine's name, as six hex digits."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:6]


def _sync_to_disk(path: Path) -> None:
    """Wait until the disk has a file or the entries of a folder (which Windows does not open)."""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP) or not path.is_dir():
            raise  # some network file systems cannot sync a folder
    finally:
        os.close(handle)


def remove_partial(folder: Path, *, deep: bool = True) -> None:
    """Remove what killed processes had begun to write; call it while the folder's lock is held.

    What a living process of this machine is writing stays, and of other machines what is less than a day old.

    Args:
        deep: Below the folder too, not only in it.
    """
    for left in list(folder.rglob(".*") if deep else folder.glob(".partial-*")):
        if left.name.endswith(".previous"):
            remove_replaced(left.with_name(left.name[1:].removesuffix(".previous")))
        if not left.name.startswith(".partial-"):
            continue
        named = re.fullmatch(r"\.partial-([0-9a-f]{6})-(\d+)-[0-9a-f]{8}.*", left.name)
        try:
            if named is None and not deep:  # beside an output, others' files are none of our business
                continue
            if named and named[1] == _host() and int(named[2]) != os.getpid() and is_running(int(named[2])):
                continue
            if named and named[1] != _host() and time.time() - left.stat().st_mtime < _DAY_S:
                continue
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)
        except FileNotFoundError:  # its writer was faster
            continue


def remove_replaced(target: Path) -> None:
    """Remove an old folder whose successor stands: :func:`atomic_folder` was killed before its last step."""
    if target.exists():
        shutil.rmtree(previous_folder(target), ignore_errors=True)


def is_running(pid: int) -> bool:
    """Whether this machine has a process of that number."""
    if os.name == "nt":  # where signal 0 is Ctrl-C
        import ctypes

        kernel: Any = vars(ctypes)["windll"].kernel32
        handle = kernel.OpenProcess(_QUERY_LIMITED_INFORMATION, False, pid)
        return bool(handle and kernel.CloseHandle(handle))
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def usable_cores() -> int:
    """Cores that this process may use; all of the machine where the system does not say (macOS, Windows)."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def folder_files(folder: Path) -> list[Path]:
    """What a folder holds apart from locks and what a killed process had begun to write; empty where it is none."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if not p.name.startswith((".partial-", PART)) and p.name != LOCK)


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
        kind = "nothing" if value is None else f"a {type(value).__name__}"
        raise UserError(f"{path} holds {kind}, expected a mapping of settings")
    return value


def checksum(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex; of a folder, of the names and checksums of its files (not below it)."""
    if path.is_dir():
        return value_digest({file.name: checksum(file) for file in folder_files(path) if file.is_file()}, 64)
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def value_digest(value: Mapping[str, Any], length: int = 12) -> str:
    """A short stable name for a set of settings: SHA-256 of its canonical JSON, cut to ``length`` hex digits."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:length]


def versions() -> dict[str, str]:
    """Versions of this package, Python and the libraries that can change a number; absent ones are left out."""
    by_name = {"taskgan": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            by_name[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return by_name


def write_rows(
    target: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]], *, delimiter: str = ","
) -> None:
    """Write a CSV table atomically; every field goes through :func:`csv_cell`. ``rows``: values by column; absent ones
    are empty, others are left out.
    """
    with atomic(target) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n", delimiter=delimiter)
        writer.writerow([csv_cell(name) for name in columns])
        writer.writerows([csv_cell(row.get(name, "")) for name in columns] for row in rows)


def csv_cell(value: object) -> object:
    """A field that no spreadsheet takes for a formula and no terminal for a command; numbers stay.

    Text that begins with ``=``, ``+``, ``-`` or ``@`` gets an apostrophe before it, which :func:`unescaped_cell`
    takes away; control characters become ``\\x1b``.
    """
    if not isinstance(value, str):
        return value
    if _FORMULA.match(value):
        try:
            float(value)
        except ValueError:
            value = f"'{value}"
    return printable(value)


def unescaped_cell(text: str) -> str:
    """The text that :func:`csv_cell` made a field of."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


T = TypeVar("T")


def measured_path(kind: str, key: Mapping[str, Any]) -> Path:
    """Where a measurement of a kind is kept, by all that it depends on: versions, device, network, sizes."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "taskgan" / f"{kind}-{value_digest(key)}.yaml"


def read_measured(kind: str, key: Mapping[str, Any], parse: Callable[[dict[str, Any]], T]) -> T | None:
    """An earlier measurement; None where there is none that can be read."""
    try:
        return parse(read_yaml(measured_path(kind, key)))
    except UserError:
        return None


def write_measured(kind: str, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Keep a measurement. A read-only home costs a measurement a run, nothing else."""
    with contextlib.suppress(OSError):
        write_yaml(measured_path(kind, key), dict(values))


def processor_name() -> str:
    """The CPU in its maker's words."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
