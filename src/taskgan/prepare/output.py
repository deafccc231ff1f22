"""Whether a cohort may be written to a folder."""

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from taskgan.cohort.folder import FILE, read_description, write_description
from taskgan.cohort.pairs import DEFAULT_SHARES, SPLITS, split_subjects
from taskgan.core.errors import UserError
from taskgan.core.files import LOCK, check_writable, folder_files
from taskgan.core.parse import quoted


def check_output(out: Path, made_by: str, *, overwrite: bool) -> None:
    """See, before any work, that a cohort of a verb may be written to a folder.

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
    """Remove a cohort that is to be made anew; a UserError where there is something else than the verb made."""
    check_output(out, made_by, overwrite=True)
    if not (out / FILE).is_file():
        return
    # It vouches for nothing any more, but says until the end whose folder this is.
    write_description(out, {k: v for k, v in read_description(out).items() if k not in ("complete", "files")})
    for path in out.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in (FILE, LOCK):
            path.unlink()
    (out / FILE).unlink()


def participant(name: str) -> str:
    """``P-01`` to ``sub-P01``: BIDS labels hold letters and digits only."""
    return "sub-" + re.sub(r"[^0-9A-Za-z]", "", name.removeprefix("sub-"))


def name_problems(names: Sequence[str]) -> list[str]:
    """What is wrong with subjects' names: those without a letter or digit, and those that become one name."""
    problems = [f"subject {quoted(name)} has no letter or digit" for name in names if participant(name) == "sub-"]
    before: dict[str, str] = {}
    for name in names:
        other = before.setdefault(participant(name).lower(), name)
        if other != name:
            problems.append(f"subjects {quoted(other)} and {quoted(name)} would both be called {participant(name)}")
    return problems


def assign_splits(
    strata: Mapping[str, str], *, shares: Sequence[float] = DEFAULT_SHARES, seed: int = 0
) -> dict[str, str]:
    """A split for each subject; fewer than three subjects are all ``test``, as there is nothing to learn from.

    ``strata``, by subject, is what is spread evenly over the splits; a UserError if one has fewer than three subjects
    although there are three.
    """
    if len(strata) < len(SPLITS):
        return dict.fromkeys(strata, "test")
    return split_subjects(strata, shares=shares, seed=seed)
