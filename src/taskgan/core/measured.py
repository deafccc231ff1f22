"""What was measured once on this machine, kept in the user's cache folder, so that nobody waits for it again."""

import contextlib
import os
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml, value_digest, write_yaml

T = TypeVar("T")


def measured_path(kind: str, key: Mapping[str, Any]) -> Path:
    """Where a measurement of a kind is kept, by all that it depends on: versions, device, network, sizes."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "taskgan" / f"{kind}-{value_digest(key)}.yaml"


def read_measured(kind: str, key: Mapping[str, Any], parse: Callable[[dict[str, Any]], T]) -> T | None:
    """An earlier measurement; None where there is none that can be read."""
    try:
        return parse(read_yaml(measured_path(kind, key)))
    except UserError:
        return None


def write_measured(kind: str, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Keep a measurement. A read-only home costs a measurement a run, nothing else."""
    with contextlib.suppress(OSError):
        write_yaml(measured_path(kind, key), dict(values))


def processor_name() -> str:
    """The CPU in its maker's words."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
