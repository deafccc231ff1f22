"""``cohort.yaml``: what a cohort is, how it was made, with which seeds and versions."""

from pathlib import Path
from typing import Any

from taskgan.cohort.pairs import Pairs
from taskgan.files import digest, read_yaml, write_yaml


def write_description(folder: Path, description: dict[str, Any]) -> None:
    """Write ``cohort.yaml`` atomically. Keys by convention: ``kind``, ``made_by``, ``settings``, ``seed``,
    ``versions``, ``measured``.
    """
    write_yaml(folder / "cohort.yaml", description)


def read_description(folder: Path) -> dict[str, Any]:
    """Read ``cohort.yaml``; empty where a user's own cohort has none."""
    path = folder / "cohort.yaml"
    return read_yaml(path) if path.is_file() else {}


def fingerprint(pairs: Pairs) -> str:
    """A name for the training data of a cohort: it changes when rows, labels or image files change.

    Files count by name, size and modification time, not by content: a cohort of gigabytes is
    named in milliseconds.
    """
    rows = []
    for pair in pairs:
        files = [pair.degraded, *([pair.clean] if pair.clean else [])]
        stats = [
            (p.name, p.stat().st_size, p.stat().st_mtime_ns) if p.exists() else (p.name, 0, 0) for p in files
        ]
        rows.append([pair.case, pair.subject, pair.split, pair.label, stats])
    return digest({"rows": rows})
