"""A cohort folder that was begun, and whether it is gone on with."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from taskgan.cohort.description import read_description
from taskgan.core.errors import UserError
from taskgan.core.files import folder_files


def is_complete(out: Path, description: Mapping[str, Any], sections: Sequence[str]) -> bool:
    """Whether a cohort is complete; False also where there is nothing yet.

    Args:
        out: The cohort folder.
        description: Of the cohort that is asked for.
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
        changed = [name for name in new if old.get(name) != new[name]]
        if changed:
            name = changed[0]
            raise UserError(
                f"{out} was begun with {name} = {old.get(name)}, now asked for {name} = {new[name]}; "
                "take another folder or the same settings"
            )
    return bool(stored.get("complete"))
