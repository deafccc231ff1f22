"""What ``taskgan limit`` left, for those who show it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from taskgan.core.artefact import read_record
from taskgan.core.errors import UserError
from taskgan.page.style import PageFigure

RECORD, FIGURE = "limit.yaml", "limit.png"
DEFAULT = Path("derivatives", "limit")  # where in a cohort a limit is looked for that nobody named


class LimitResult(NamedTuple):
    """A finished limit: its folder, its sentence and its picture."""

    folder: Path
    sentence: str
    figure: PageFigure


def find_limit(folder: Path | None, cohorts: Iterable[Path], recipe: Mapping[str, Any]) -> LimitResult | None:
    """The limit that a user names, or (``folder`` is None) one in a cohort folder, of the property of a recipe.

    Raises:
        UserError: If the folder that was named holds none of this property.
    """
    caption = "Filled: readers taught on clean images; hollow: on what they read. Dotted: readers of the inputs."
    for place in [folder] if folder is not None else [cohort / DEFAULT for cohort in dict.fromkeys(cohorts)]:
        record = read_record(place / RECORD)
        own, task = ((one or {}).get("task") or {} for one in (record.get("recipe"), recipe))
        if record and all(own.get(key) == task.get(key) for key in ("kind", "labels")):
            picture = PageFigure(place / FIGURE, "What readers find", caption)
            return LimitResult(place, str(record.get("sentence")), picture)
        if folder is not None:
            raise UserError(f"{folder} holds no {RECORD} that taskgan limit made of the same property")
    return None
