"""What ``taskgan limit`` left, for those who show it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskgan.core.artefact import read_record
from taskgan.core.errors import UserError

RECORD, FIGURE = "limit.yaml", "limit.png"


@dataclass(frozen=True)
class LimitResult:
    """A finished limit.

    Attributes:
        folder: Where it is.
        record: Its ``limit.yaml``.
    """

    folder: Path
    record: Mapping[str, Any]

    @property
    def sentence(self) -> str:
        """Whether a task network has anything to win."""
        return str(self.record.get("sentence", ""))


def default_folder(cohort: Path) -> Path:
    """Where a limit is looked for that nobody named."""
    return cohort / "derivatives" / "limit"


def find_limit(folder: Path | None, cohorts: Iterable[Path], task: Mapping[str, Any]) -> LimitResult | None:
    """The limit that a user names, or one beside a cohort, of the same property.

    Args:
        folder: As named; None looks beside the cohorts.
        cohorts: Cohort folders.
        task: The property, as records have it: ``kind`` and ``labels``.

    Raises:
        UserError: If the folder that was named holds none, or one of another property.
    """
    for place in [folder] if folder is not None else map(default_folder, dict.fromkeys(cohorts)):
        record = read_record(place / RECORD)
        own = (record.get("recipe") or {}).get("task") or {}
        if record and all(own.get(key) == task.get(key) for key in ("kind", "labels")):
            return LimitResult(place, record)
        if folder is not None:
            what = f"a limit of {own.get('kind')} {own.get('labels')}" if record else f"no {RECORD}"
            raise UserError(f"{folder} holds {what}, expected one that taskgan limit made of the same property")
    return None
