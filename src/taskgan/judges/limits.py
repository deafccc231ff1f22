"""What ``taskgan limit`` left, for those who show it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskgan.core.artefact import read_record
from taskgan.core.errors import UserError
from taskgan.page.pictures import PageFigure

RECORD, FIGURE = "limit.yaml", "limit.png"
DEFAULT = Path("derivatives", "limit")
"""Where in a cohort a limit is looked for that nobody named."""


@dataclass(frozen=True)
class LimitResult:
    """A finished limit: its folder and what ``limit.yaml`` says."""

    folder: Path
    record: Mapping[str, Any]

    @property
    def figure(self) -> PageFigure:
        """Its picture."""
        caption = "Filled: readers taught on clean images; hollow: on what they read. Dotted: readers of the inputs."
        return PageFigure(self.folder / FIGURE, "What readers find", caption)


def find_limit(folder: Path | None, cohorts: Iterable[Path], recipe: Mapping[str, Any]) -> LimitResult | None:
    """The limit that a user names, or (``folder`` is None) one in a cohort folder, of the same property.

    Args:
        folder: As named.
        cohorts: Cohort folders.
        recipe: As records have it: the property is its ``task.kind`` and ``task.labels``.

    Raises:
        UserError: If the folder that was named holds none of this property.
    """
    for place in [folder] if folder is not None else [cohort / DEFAULT for cohort in dict.fromkeys(cohorts)]:
        record = read_record(place / RECORD)
        own, task = ((one or {}).get("task") or {} for one in (record.get("recipe"), recipe))
        if record and all(own.get(key) == task.get(key) for key in ("kind", "labels")):
            return LimitResult(place, record)
        if folder is not None:
            what = f"a limit of {own.get('kind')} {own.get('labels')}" if record else f"no {RECORD}"
            raise UserError(f"{folder} holds {what}, expected one that taskgan limit made of the same property")
    return None
