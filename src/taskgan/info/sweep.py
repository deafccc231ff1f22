"""A sweep: where it stands, what was chosen, what failed."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskgan.core.files import read_yaml
from taskgan.info.kind import FolderKind, read_optional_yaml
from taskgan.info.lines import (
    UNKNOWN,
    entry_lines,
    interval_text,
    lookup,
    next_step,
    sentence_lines,
    short_text,
    table_lines,
)

_MOST = 8


def _read(folder: Path) -> dict[str, Any]:
    ends = {
        path.parent.name: read_optional_yaml(path)
        for path in sorted((folder / "runs").glob("*/outcome.yaml"))
    }
    begun = [path.parent.name for path in sorted((folder / "runs").glob("*/recipe.yaml"))]
    return {**read_yaml(folder / "sweep.yaml"), "begun": begun, "outcomes": ends}


def _screen(folder: Path, record: Mapping[str, Any]) -> list[str]:
    ends = record["outcomes"]
    counts = Counter(str(end.get("status")) for end in ends.values())
    lines = [f"sweep {folder}: recipe {record.get('recipe')}, {record.get('status')}"]
    ended = ", ".join(f"{n} {status}" for status, n in counts.items())
    lines += entry_lines("runs", f"{len(record['begun'])} begun, {ended or 'none ended'}")
    grid = record.get("grid")
    if isinstance(grid, Mapping):
        lines += entry_lines("grid", "; ".join(f"{key} {_values(own)}" for key, own in grid.items()))
    lines += entry_lines("rule", str(record.get("rule") or ""))
    lines += entry_lines("chosen", str(lookup(record, "chosen", "setting") or ""))
    ties = record.get("ties")
    lines += entry_lines("no different", "; ".join(map(str, ties[:_MOST])) if isinstance(ties, list) else "")
    settings = record.get("settings")
    lines += _settings(settings if isinstance(settings, list) else [], lookup(record, "chosen", "setting"))
    failed = [f"{name}: {end['message']}" for name, end in ends.items() if end.get("message")]
    lines += sentence_lines("failed (--retry makes them once more)", failed, most=5)
    chosen = lookup(record, "chosen", "command")
    return lines + next_step(str(chosen) if chosen else "the same taskgan sweep command goes on where it was")


def _settings(settings: list[Any], chosen: Any) -> list[str]:
    """The chosen setting first, then the others in the order of their values."""
    known = [one for one in settings if isinstance(one, Mapping)]
    rows = [["", "PSNR (dB)", "judge MAE", "|SUVR error|"]]
    for one in sorted(known, key=lambda one: one.get("setting") != chosen)[:_MOST]:
        cells = [
            interval_text(one.get(name), n) for name, n in (("psnr", 2), ("judge_mae", 3), ("suvr_error", 3))
        ]
        if all(cell == UNKNOWN for cell in cells):
            cells = [str(one.get("status")), "", ""]
        rows.append([f"{'*' if one.get('setting') == chosen else ' '} {one.get('setting')}", *cells])
    more = [f"    and {len(known) - _MOST} more in sweep.csv"] if len(known) > _MOST else []
    return [*table_lines(rows), *more] if known else []


def _values(values: Any) -> str:
    return ", ".join(short_text(own) for own in values) if isinstance(values, list) else short_text(values)


SWEEP = FolderKind("sweep", "sweep.yaml", _read, _screen)
