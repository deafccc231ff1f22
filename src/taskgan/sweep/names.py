"""Readable names of settings: for folders, tables and figures."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from taskgan.core.files import value_digest
from taskgan.recipe import Recipe
from taskgan.train.folder import run_settings

_LONGEST = 120  # file systems take 255 bytes; paths have an end too


def short_key(key: str) -> str:
    """The shortest end of a dotted key that no other setting shares: ``mu_task``, but ``generator.norm``.

    It depends on the recipe's schema alone, so that a name stays the same when a grid changes.
    """
    parts = key.split(".")
    for first in range(len(parts) - 1, 0, -1):
        end = ".".join(parts[first:])
        if sum(known == end or known.endswith(f".{end}") for known in _keys()) == 1:
            return end
    return key


@cache
def _keys() -> tuple[str, ...]:
    return tuple(run_settings(Recipe()))


def yaml_text(value: Any) -> str:
    """A value as YAML writes it in a line; floats with every digit that they need."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{','.join(yaml_text(one) for one in value)}]"
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 1e6 else repr(value)
    return str(value)


def setting_label(values: Mapping[str, Any]) -> str:
    """``mu_task=0.1, conditional=true``; ``as in the recipe`` where nothing is changed."""
    return (
        ", ".join(f"{short_key(key)}={yaml_text(value)}" for key, value in values.items())
        or "as in the recipe"
    )


def run_folder_name(values: Mapping[str, Any], seed: int) -> str:
    """A file name of letters, digits and ``. _ = + , -``; what that cannot tell apart gets a digest.

    Args:
        values: The settings, by dotted key.
        seed: Of the run.
    """
    parts = [f"{short_key(key)}={_safe(yaml_text(value))}" for key, value in values.items()] or ["recipe"]
    lossless = all(_plain(yaml_text(value)) for value in values.values())
    name = ",".join([*parts, f"seed={seed}"])
    if lossless and len(name) <= _LONGEST:
        return name
    tail = f"-{value_digest({'values': dict(values)}, 8)},seed={seed}"
    return ",".join(parts)[: _LONGEST - len(tail)] + tail


def _safe(value: str) -> str:
    """``[1,2]`` to ``1+2``."""
    return re.sub(r"[^A-Za-z0-9._+-]", "-", value.strip("[]").replace(",", "+"))


def _plain(value: str) -> bool:
    flat = r"[A-Za-z0-9._-]+"
    return re.fullmatch(rf"{flat}|\[{flat}(,{flat})+\]", value) is not None
