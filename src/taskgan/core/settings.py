"""Typed settings and cards: closed models, and what is wrong with their values in sentences."""

import difflib
import re
from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from taskgan.core.errors import Problems, UserError
from taskgan.core.parse import parse_yaml, quoted, truncated

Model = TypeVar("Model", bound=BaseModel)


class Settings(BaseModel):
    """Frozen, closed to keys that it does not know and to infinite numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def validated(model: type[Model], values: Mapping[str, Any], summary: str) -> Model:
    """Check a mapping and make a model of it.

    Args:
        values: As read from a file or the command line.
        summary: What the message begins with, e.g. ``mine.yaml is not a valid recipe``.

    Raises:
        Problems: Every unknown key (with its nearest neighbour) and bad value, each in a sentence.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise Problems(summary, [_error_text(model, e) for e in error.errors()]) from None


def _error_text(model: type[BaseModel], error: Any) -> str:
    path = ".".join(str(part) for part in error["loc"])
    # A section that holds ``others`` is written as a list, of which it is the first.
    where = truncated(re.sub(r"\bothers\.(\d+)", lambda found: str(int(found[1]) + 1), path)) or "settings"
    if error["type"] == "extra_forbidden":
        known = _known_keys(model, error["loc"][:-1])
        near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
        return f"unknown key {where}; {hint}"
    value = error["input"]
    suffix = "" if isinstance(value, Mapping | BaseModel) else f" (found {quoted(value)})"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {message[:1].lower()}{message[1:]}{suffix}"


def _known_keys(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    place: Any = model
    for part in location:
        if isinstance(part, int):  # an item of a list
            place = next(iter(get_args(place)), None)
            continue
        field = getattr(place, "model_fields", {}).get(part)
        place = field.annotation if field is not None else None
    return list(getattr(place, "model_fields", {}))


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
    excerpt = truncated(override)
    if not equals or not name.strip():
        raise UserError(f"--set {excerpt}: expected section.key=value, e.g. loss.mu_task=0.3")
    value = parse_yaml(text, f"--set {excerpt}: {quoted(text)}")
    *parents, last = name.strip().split(".")
    place: Any = values
    for before, parent in zip(("", *parents), parents, strict=False):
        if isinstance(place, dict):
            if parent.isdecimal() and before and parent not in place:
                raise UserError(
                    f"--set {excerpt}: {truncated(before)} is one section and no list, expected no {parent}"
                )
            place.setdefault(parent, {})
        place = place[_key(place, parent, excerpt)]
        if not isinstance(place, dict | list):
            raise UserError(f"--set {excerpt}: {truncated(parent)} is a value, not a section")
    place[_key(place, last, excerpt)] = value


def _key(place: Any, name: str, override: str) -> Any:
    """The key in a section, or the place in a list, that a part of the name means."""
    if isinstance(place, dict):
        return name
    if not name.isdecimal() or len(name) > 9 or int(name) >= len(place):
        raise UserError(f"--set {override}: {quoted(name)} is no item of a list of {len(place)}, counted from 0")
    return int(name)
