"""Which kind of folder it is, and its summary, short or whole."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskgan.core.artefact import verify
from taskgan.core.console import say
from taskgan.core.errors import Problems, UserError
from taskgan.info.cohort import COHORT
from taskgan.info.evaluation import EVALUATION
from taskgan.info.kind import FolderKind
from taskgan.info.lines import nested_lines
from taskgan.info.model import MODEL, RECOGNISER
from taskgan.info.pages import AUDIT, DEMO, EXPLAIN, REPORT
from taskgan.info.run import RESTORED, RUN
from taskgan.info.sweep import SWEEP

# The first whose marker is there counts: a demo holds a cohort, a sweep and a restored folder a recipe.
KINDS = (
    DEMO, COHORT, AUDIT, SWEEP, RUN, MODEL, RECOGNISER, RESTORED, EVALUATION, REPORT, EXPLAIN
)  # fmt: skip


def describe(path: Path, *, everything: bool = False) -> str:
    """A screenful about a folder that taskgan made: what it is, its main figures, what to do next.

    Args:
        path: The folder, or the file that makes it one (``pairs.csv``, ``model.yaml``).
        everything: All that is recorded in it instead.

    Raises:
        UserError: If it does not exist or is nothing of ours.
    """
    kind, where = _find(path)
    record = kind.read_record(where)
    if everything:
        return "\n".join([f"{kind.name} {where}", *nested_lines(record, "  ")])
    return "\n".join(kind.summarise(where, record))


def as_json(path: Path) -> str:
    """All that is recorded in a folder, as JSON; ``info`` says which kind it is. Unknown numbers are null.

    Raises:
        UserError: As :func:`describe`.
    """
    kind, where = _find(path)
    whole = {"info": {"kind": kind.name, "place": str(where)}, **kind.read_record(where)}
    return json.dumps(_plain(whole), indent=2, ensure_ascii=False, allow_nan=False, default=str)


def check(place: Path) -> None:
    """Compare every file that a marker in a folder vouches for with its checksum; changes nothing.

    Raises:
        Problems: Each file that is missing or was changed.
        UserError: If there is nothing to verify.
    """
    count, wrong = verify(place)
    if wrong:
        raise Problems(f"{place} is not what was written", wrong)
    say(f"{place}: every file is as it was written ({count} artefact{'s' * (count != 1)})")


def _find(path: Path) -> tuple[FolderKind, Path]:
    if not path.exists():
        raise UserError(f"{path} does not exist; expected a folder that taskgan made or a pairs.csv")
    folder = path if path.is_dir() else path.parent
    for kind in KINDS:
        if (folder / kind.marker).is_file() and (path.is_dir() or path.name == kind.marker):
            return kind, folder
    if path.is_file() and path.suffix == ".csv":  # a table may have another name
        return COHORT, path
    markers = ", ".join(kind.marker for kind in KINDS)
    raise UserError(f"{path} is nothing that taskgan made; expected one of {markers} in it")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(own) for key, own in value.items()}
    if isinstance(value, list):
        return [_plain(own) for own in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
