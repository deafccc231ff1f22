"""One process at a time in an output folder: a lock that says who holds it."""

import functools
import inspect
import itertools
import json
import os
import platform
import secrets
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from taskgan.core.console import say
from taskgan.core.errors import UserError
from taskgan.core.files import LOCK, PART, check_writable, is_running, remove_partial, remove_replaced, restore_previous

P = ParamSpec("P")
R = TypeVar("R")
_START = secrets.token_hex(8)  # after a restart of a container process numbers come again


@contextmanager
def locked(
    place: Path,
    what: str = "the results",
    *,
    beside: bool = False,
    wait: bool = False,
    name: str = LOCK,
    part: str = "",
) -> Iterator[None]:
    """Hold the lock of an output for the block. What killed processes had begun to write there is removed first.

    The system lets go of the lock when its holder ends, however that ends: no file of a dead process is in the way.
    On network file systems the lock is as good as their ``flock`` (NFS from version 4, Lustre and GPFS with ``flock``
    mounted); where there is none, filelock takes the file's existence for the lock, and removes that of a process
    that is dead on the same host. One process may take the same lock again inside of the block.

    Args:
        place: The output folder, made where it is absent (and removed again if it stays empty).
        beside: The lock lies beside ``place``, because that is a file or is replaced as a whole.
        name: Of the lock's file, where several kinds of work share a folder.
        part: Which part of a call begins or brings all parts together: it waits for others that do, and does not mind
            those that work.

    Raises:
        UserError: If somebody else holds it or works on a part (the message says who), or the folder cannot be
            written to.
    """
    from filelock import FileLock, SoftFileLock

    folder = place.parent if beside else place
    file = folder / (f".{place.name}.lock" if beside else name)
    check_writable(folder, what)
    created = [path for path in (folder, *folder.absolute().parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    lock: Any = FileLock(file)
    try:
        if _holder(file).get("process") == _process():
            yield
            return
        _acquire(lock, file, place, wait=wait, part=part)
        try:
            if not isinstance(lock, SoftFileLock):  # that has a record of its own in it
                file.write_text(json.dumps(_own_process() | ({"part": part} if part else {})), encoding="utf-8")
            if name == LOCK and not part and (busy := busy_part(place)):
                raise UserError(f"{place} is in use by {busy}; wait until that has ended, or take another folder")
            remove_partial(folder, deep=not beside)
            remove_replaced(place)
            yield
        except Exception as error:
            if not hasattr(error, "output"):
                error.output = place  # type: ignore[attr-defined]  # a report of a crash goes beside it
            raise
        finally:
            file.unlink(missing_ok=True)  # before it is let go of: who gets an unlinked file tries again
            lock.release()
    finally:
        for path in created:
            try:
                path.rmdir()
            except OSError:
                break


def exclusive(parameter: str, what: str, *, beside: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function hold the lock of its output (:func:`locked`) while it works. ``beside``: see :func:`locked`."""

    def _decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def _work(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                place = signature.bind(*args, **kwargs).arguments[parameter]
            except TypeError:
                return function(*args, **kwargs)  # which says what is missing, under its own name
            with locked(Path(place), what, beside=beside):
                return function(*args, **kwargs)

        return _work

    return _decorate


@contextmanager
def locked_part(place: Path, what: str, part: str, *, beside: bool = False) -> Iterator[None]:
    """Hold the lock of a part of a call for the block: parts work side by side, a whole call does so alone.

    It is taken under the lock of the folder, so that no whole call begins meanwhile.

    Args:
        place: The output folder, as in :func:`locked`, as ``beside``; the lock of the part lies in it.
        part: Its name, such as ``2-of-8``.

    Raises:
        UserError: If a whole call or the same part is at work.
    """
    there = place.exists()
    try:
        with ExitStack() as stack:
            with locked(place, what, part=part, beside=beside):
                restore_previous(place)
                stack.enter_context(locked(place, what, name=f"{PART}{part}.lock"))
            yield
    finally:
        if not there:
            with suppress(OSError):
                place.rmdir()  # which was made for nothing


def busy_part(place: Path) -> str:
    """Who works on a part of a call in a folder whose lock is held; empty where nobody does."""
    from filelock import FileLock, Timeout

    for file in sorted(place.glob(f"{PART}*.lock")):
        lock: Any = FileLock(file)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return _holder_text(file)
        file.unlink(missing_ok=True)  # of a process that was killed
        lock.release()
    return ""


_PATIENCE = 50  # times 0.2 s: how long a lock may say nothing of its holder


def _acquire(lock: Any, file: Path, place: Path, *, wait: bool, part: str) -> None:
    from filelock import Timeout

    for number in itertools.count():
        try:
            lock.acquire(timeout=0.2)  # a lock that is just being let go of is free at once
            return
        except Timeout:
            held, holder = _holder(file), _holder_text(file)
            if part and (held.get("part") or (not held and number < _PATIENCE)):  # which lets go of it soon
                if number == _PATIENCE:
                    say(f"waiting for {place}: it is in use by {holder}")
                continue
            if not wait:
                raise UserError(
                    f"{place} is in use by {holder}; wait until that has ended, or take another folder"
                ) from None
            say(f"waiting for {place}: it is in use by {holder}")
            lock.acquire()
            return
        except OSError as error:
            raise UserError(f"{file} cannot be locked: {error.strerror or error}") from None


def _process() -> str:
    """This process, and not one that was forked from it."""
    return f"{_START}-{os.getpid()}"


def command_line() -> str:
    """The command that was called, with the last part of absolute paths alone."""
    return shlex.join(Path(word).name if word.startswith("/") else word for word in sys.argv)


def _own_process() -> dict[str, Any]:
    return {
        "host": platform.node(),
        "pid": os.getpid(),
        "process": _process(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        "command": command_line(),
    }


def _holder(file: Path) -> dict[str, Any]:
    """What the lock's file says; empty where it says nothing."""
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def holder(place: Path) -> str:
    """Who holds the lock of an output folder now, as far as this machine can know; empty where nobody does."""
    held = _holder(place / LOCK)
    here = held.get("host") == platform.node() and isinstance(held.get("pid"), int)
    return _holder_text(place / LOCK) if held and not (here and not is_running(held["pid"])) else ""


def _holder_text(file: Path) -> str:
    held = _holder(file)
    if not {"host", "pid", "since", "command"} <= held.keys():
        return "another process"
    here = held["host"] == platform.node()
    gone = here and isinstance(held["pid"], int) and not is_running(held["pid"])
    ended = ", which has ended but left workers behind" if gone else ""
    return f"process {held['pid']} on {held['host']} since {held['since']} ({held['command']}){ended}"
