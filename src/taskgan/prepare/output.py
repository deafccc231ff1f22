"""A folder that is whole or absent: it is built under another name and takes its place in one step."""

import fcntl
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from taskgan.cohort.description import read_description
from taskgan.core.errors import UserError
from taskgan.core.files import check_writable

_LOCK, _MADE, _REPLACED = "lock", "made", "replaced"


def check_output(out: Path, made_by: str, *, overwrite: bool) -> None:
    """See, before any work, that a cohort may be written to a folder.

    Args:
        out: Where it will go.
        made_by: The verb. Only a cohort that it made is replaced.
        overwrite: Whether the user asked for that.

    Raises:
        UserError: If there is something else, or a cohort that was not asked to be replaced.
    """
    check_writable(out.parent, "the cohort")
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UserError(f"{out} is not a folder, expected a new or empty one to write the cohort to")
    if not out.is_dir() or not any(out.iterdir()):
        return
    if read_description(out).get("made_by") != made_by:
        verb = made_by.removeprefix("taskgan ")
        raise UserError(f"{out} is not empty and was not made by {verb}; expected a new or empty folder")
    if not overwrite:
        raise UserError(f"{out} holds a cohort; --overwrite replaces it")


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Give a folder beside ``out`` to build in; it takes its place only if the block succeeds.

    An existing ``out`` is replaced: ask :func:`check_output` first. What a killed call had begun to build there is
    removed, and what another process is building is not.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    _clear_left(out)
    room = Path(tempfile.mkdtemp(prefix=f".partial-{out.name}-", dir=out.parent))
    with (room / _LOCK).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # let go of when the process ends, however it does
        try:
            made = room / _MADE
            made.mkdir()
            yield made
            if out.exists():
                out.rename(room / _REPLACED)
            made.rename(out)
        finally:
            shutil.rmtree(room, ignore_errors=True)


def _clear_left(out: Path) -> None:
    """Remove what killed calls left beside a folder; one that died between two renames gives back what it took."""
    left = re.compile(rf"\.partial-{re.escape(out.name)}-[a-z0-9_]{{8}}")  # as tempfile calls them
    for room in [place for place in out.parent.iterdir() if left.fullmatch(place.name)]:
        try:
            with (room / _LOCK).open() as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if (room / _REPLACED).is_dir() and not out.exists():
                    (room / _REPLACED).rename(out)
                shutil.rmtree(room, ignore_errors=True)
        except OSError:  # nobody's, or another process is at it
            continue


def clear(out: Path, made_by: str) -> None:
    """Remove a cohort that is to be made anew. Nothing happens where there is none.

    Args:
        out: The cohort folder.
        made_by: The verb. Only a cohort that it made is removed.

    Raises:
        UserError: If there is something else.
    """
    check_output(out, made_by, overwrite=True)
    if out.is_dir():
        shutil.rmtree(out)
