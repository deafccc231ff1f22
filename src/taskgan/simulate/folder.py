"""The cohort folder that a simulation goes on with, and the files of BIDS that do not depend on the modality."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from taskgan import __version__
from taskgan.cohort.description import read_description
from taskgan.errors import UserError
from taskgan.files import atomic, write_json, write_text

BIDS_VERSION = "1.10.0"
TRUTH = Path("derivatives") / "truth"


def finished(out: Path, description: Mapping[str, Any], parts: Sequence[str]) -> bool:
    """Whether a cohort is complete; False also where there is nothing yet.

    Args:
        out: The cohort folder.
        description: Of the cohort that is asked for.
        parts: Its sections that must be those that the folder was begun with.

    Raises:
        UserError: If the folder holds something else, or was begun with other settings.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file, expected a folder to write the cohort to")
    if not out.is_dir() or not any(out.iterdir()):
        return False
    found = read_description(out)
    if any(found.get(key) != description[key] for key in ("kind", "made_by")):
        verb = str(description["made_by"]).removeprefix("taskgan ")
        raise UserError(f"{out} is not empty and was not begun by {verb}; expected a new or empty folder")
    for part in parts:
        old, new = found.get(part) or {}, description[part]
        changed = [name for name in new if old.get(name) != new[name]]
        if changed:
            name = changed[0]
            raise UserError(
                f"{out} was begun with {name} = {old.get(name)}, now asked for {name} = {new[name]}; "
                "take another folder or the same settings"
            )
    return bool(found.get("complete"))


def anatomies_sentence(one_template: bool, sources: Sequence[Path]) -> str:
    """What the subjects' heads were made from, for ``cohort.yaml``."""
    if one_template:
        return (
            f"one template ({sources[0].name if sources else 'MNI ICBM152 2009a'}) deformed per subject; "
            "the anatomy of a subject is its own deformation"
        )
    return "BrainWeb heads, each of them in one split only, deformed per subject"


def write_top(folder: Path, *, name: str, truth: str, verb: str, readme: str) -> None:
    """The files of the folder that do not depend on the subjects.

    Args:
        folder: The cohort.
        name: Of the data set.
        truth: Name of the truth that goes with it.
        verb: Which made it, e.g. ``simulate pet``.
        readme: Text of its README.
    """
    generated = [{"Name": "taskgan", "Version": __version__}]
    write_json(
        folder / "dataset_description.json",
        {
            "Name": name,
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "raw",
            "License": "CC0",
            "Authors": ["taskgan", verb],
            "GeneratedBy": generated,
        },
    )
    write_json(
        folder / TRUTH / "dataset_description.json",
        {
            "Name": truth,
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "derivative",
            "GeneratedBy": generated,
        },
    )
    write_text(folder / "README", readme)
    write_text(folder / ".bidsignore", "pairs.csv\ncohort.yaml\n")


def write_participants(
    folder: Path, columns: Mapping[str, str], rows: Iterable[Mapping[str, object]]
) -> None:
    """``participants.tsv`` and what its columns mean.

    Args:
        folder: The cohort.
        columns: Name and description of each column after ``participant_id``.
        rows: The participants.
    """
    listed = list(rows)
    write_json(folder / "participants.json", {name: {"Description": text} for name, text in columns.items()})
    with (
        atomic(folder / "participants.tsv") as partial,
        partial.open("w", newline="", encoding="utf-8") as handle,
    ):
        writer = csv.DictWriter(
            handle, fieldnames=["participant_id", *columns], delimiter="\t", lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(listed)
