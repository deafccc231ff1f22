"""Whether a cohort may be written to a folder."""

import shutil
from pathlib import Path

from taskgan.cohort.description import read_description
from taskgan.core.errors import UserError
from taskgan.core.files import check_writable, folder_files


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
    if not folder_files(out):
        return
    if read_description(out).get("made_by") != made_by:
        verb = made_by.removeprefix("taskgan ")
        raise UserError(f"{out} is not empty and was not made by {verb}; expected a new or empty folder")
    if not overwrite:
        raise UserError(f"{out} holds a cohort; --overwrite replaces it")


def remove_cohort(out: Path, made_by: str) -> None:
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
