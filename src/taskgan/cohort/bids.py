"""The files of a BIDS folder that do not depend on the modality: data sets, participants."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from taskgan import __version__
from taskgan.core.artefact import CHECKSUMS
from taskgan.core.files import write_json, write_rows, write_text

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
        folder: The cohort.
        name: Of the data set.
        readme: Text of its README.
        derivative: Where in the cohort a data set of masks or truth lies, if there is one.
        derivative_name: What that is called.
        metadata: Further fields of the data set, such as ``License`` and ``Authors``.
    """
    generated = [{"Name": "taskgan", "Version": __version__}]
    write_json(
        folder / "dataset_description.json",
        {
            "Name": name,
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "raw",
            **(metadata or {}),
            "GeneratedBy": generated,
        },
    )
    if derivative is not None:
        write_json(
            folder / derivative / "dataset_description.json",
            {
                "Name": derivative_name,
                "BIDSVersion": BIDS_VERSION,
                "DatasetType": "derivative",
                "GeneratedBy": generated,
            },
        )
    write_text(folder / "README", readme)
    write_text(folder / ".bidsignore", f"pairs.csv\ncohort.yaml\n{CHECKSUMS}\n")


def write_participants(
    folder: Path, columns: Mapping[str, str], rows: Iterable[Mapping[str, object]]
) -> None:
    """``participants.tsv`` and what its columns mean.

    Args:
        folder: The cohort.
        columns: Name and description of each column after ``participant_id``.
        rows: The participants.
    """
    write_json(folder / "participants.json", {name: {"Description": text} for name, text in columns.items()})
    write_rows(folder / "participants.tsv", ["participant_id", *columns], rows, delimiter="\t")
