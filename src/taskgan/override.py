"""``--set section.key=value``: one setting of a recipe replaced from the command line."""

from typing import Any

from taskgan.core.parse import cut, parse_yaml, quoted
from taskgan.errors import UserError


def apply_override(values: dict[str, Any], override: str) -> None:
    """Put a value into a recipe's values, in place.

    Args:
        values: As read from YAML; sections that are not there are made.
        override: ``section.key=value``, the value in YAML. A number names an item of a list, from 0:
            ``schedule.0.steps=500``.

    Raises:
        UserError: If it is not of that form, or names something that cannot be.
    """
    name, equals, text = override.partition("=")
    shown = cut(override)
    if not equals or not name.strip():
        raise UserError(f"--set {shown}: expected section.key=value, e.g. loss.mu_task=0.3")
    value = parse_yaml(text, f"--set {shown}: {quoted(text)}")
    *parents, last = name.strip().split(".")
    place: Any = values
    for parent in parents:
        if isinstance(place, dict):
            place.setdefault(parent, {})
        place = place[_key(place, parent, shown)]
        if not isinstance(place, dict | list):
            raise UserError(f"--set {shown}: {cut(parent)} is a value, not a section")
    place[_key(place, last, shown)] = value


def _key(place: Any, name: str, override: str) -> Any:
    """The key in a section, or the place in a list, that a part of the name means."""
    if isinstance(place, dict):
        return name
    if not name.isdecimal() or len(name) > 9 or int(name) >= len(place):
        raise UserError(
            f"--set {override}: {quoted(name)} is no item of a list of {len(place)}, counted from 0"
        )
    return int(name)
