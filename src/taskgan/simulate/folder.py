"""What the cohort folders of all simulations have."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from taskgan.cohort import bids
from taskgan.core.parse import parse_json, read_text
from taskgan.errors import UserError

TRUTH = Path("derivatives") / "truth"


def anatomies_sentence(one_template: bool, sources: Sequence[Path]) -> str:
    """What the subjects' heads were made from, for ``cohort.yaml``."""
    if one_template:
        return (
            f"one template ({sources[0].name if sources else 'MNI ICBM152 2009a'}) deformed per subject; "
            "the anatomy of a subject is its own deformation"
        )
    return "BrainWeb heads, each of them in one split only, deformed per subject"


def read_record(path: Path) -> dict[str, Any]:
    """What was written of a subject.

    Raises:
        UserError: If it is missing or damaged.
    """
    found = parse_json(read_text(path), str(path))
    if not isinstance(found, dict):
        raise UserError(f"{path} holds a {type(found).__name__}, expected the record of a subject")
    return found


def write_top(folder: Path, *, name: str, truth: str, verb: str, readme: str) -> None:
    """The files of the folder that do not depend on the subjects.

    Args:
        folder: The cohort.
        name: Of the data set.
        truth: Name of the truth that goes with it.
        verb: Which made it, e.g. ``simulate pet``.
        readme: Text of its README.
    """
    bids.write_top(
        folder,
        name=name,
        readme=readme,
        derivative=TRUTH,
        derivative_name=truth,
        about={"License": "CC0", "Authors": ["taskgan", verb]},
    )
