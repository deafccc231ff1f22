"""What a sweep asks for, checked, and its runs: every combination and seed as a recipe, equal ones once."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from taskgan.core.errors import Problems, UserError
from taskgan.core.files import value_digest
from taskgan.core.parse import parse_yaml, truncated
from taskgan.recipe import Recipe, dump_recipe, parse_recipe
from taskgan.sweep.folder import has_effect, run_digest
from taskgan.train.folder import run_settings


@dataclass(frozen=True)
class GridAxis:
    """One swept key and its values, in the order given."""

    key: str
    values: tuple[Any, ...]


def parse_grid(texts: Sequence[str]) -> tuple[GridAxis, ...]:
    """Read every ``--grid``.

    Args:
        texts: ``section.key=value,value,…`` each. The values are a list in YAML without its brackets:
            ``loss.feature_layers=[1,2],[2,3]`` is two lists.

    Raises:
        UserError: If there is none, one is not of that form, or a key comes twice.
    """
    axes = tuple(_axis(text) for text in texts)
    if not axes:
        raise UserError("there is nothing to sweep; say what with --grid, e.g. --grid loss.mu_task=0.01,0.1,1")
    keys = [axis.key for axis in axes]
    for key in keys:
        if keys.count(key) > 1:
            raise UserError(f"--grid {key} is given twice; expected all its values in one --grid")
    return axes


def _axis(text: str) -> GridAxis:
    key, equals, rest = text.partition("=")
    key = key.strip()
    if not equals or not key:
        raise UserError(f"--grid {text}: expected section.key=value,value, e.g. loss.mu_task=0.01,0.1,1")
    if not rest.strip() or rest.rstrip().endswith(","):
        raise UserError(f"--grid {truncated(text)}: a value is empty; expected {key}=value,value (null is a value)")
    return GridAxis(key, tuple(parse_yaml(f"[{rest}]", f"--grid {truncated(text)}, as a list")))


def grid_values(axes: Sequence[GridAxis], number: int) -> dict[str, Any]:
    """The ``number``-th combination (from 0); the last key changes fastest."""
    values: dict[str, Any] = {}
    for axis in reversed(axes):
        number, place = divmod(number, len(axis.values))
        values[axis.key] = axis.values[place]
    return {axis.key: values[axis.key] for axis in axes}


def parse_seeds(text: str | None, default: int) -> tuple[int, ...]:
    """``0,1,2`` as seeds, else the default; UserError if they are not different whole numbers from 0."""
    if text is None:
        return (default,)
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"\d+", part) for part in parts) or len({*map(int, parts)}) < len(parts):
        raise UserError(f"--seeds {text}: expected different whole numbers from 0, e.g. 0,1,2")
    return tuple(int(part) for part in parts)


_LONGEST = 120  # file systems take 255 bytes; paths have an end too


def short_key(key: str) -> str:
    """The shortest end of a dotted key that no other setting shares: ``mu_task``, but ``generator.norm``.

    It depends on the recipe's schema alone, so that a name stays the same when a grid changes.
    """
    parts = key.split(".")
    if any(part.isdecimal() for part in parts):  # an item of a list, which the schema does not name
        return key
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
    return ", ".join(f"{short_key(key)}={yaml_text(value)}" for key, value in values.items()) or "as in the recipe"


def run_folder_name(values: Mapping[str, Any], seed: int) -> str:
    """A file name of letters, digits and ``. _ = + , -``; what that cannot tell apart gets a digest."""
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


_MOST = 20_000
_REFUSED = {
    "seed": "seeds are averaged, not chosen among: say --seeds 0,1,2",
    "fold": "the fold is in the cohort's table, which all settings share",
    "judge": "all settings must be read by one judge",
    "data.select": "all settings must be judged on the same cases",
    "data.inputs": "all settings must be judged on the same cases",
    "data.condition": "all settings must be judged on the same cases",
    "data.conditions": "all settings must be judged on the same cases",
}


@dataclass(frozen=True)
class Trial:
    """One run.

    Attributes:
        recipe: Complete, with its seed.
        values: The swept keys that say something about it, with the recipe's values.
        name: Of its folder.
        reference: Asked for by ``--against`` alone: compared with, not chosen.
    """

    recipe: Recipe
    values: dict[str, Any]
    name: str
    reference: bool = False


@dataclass(frozen=True)
class SweepPlan:
    """All runs in the order in which they are made: every setting once, then again with the next seed.

    Attributes:
        trials: The runs.
        against: The settings of the reference; empty where there is none.
        reference: The recipe of the reference, with the base's seed; None where there is none.
        merged: For every setting that is the same run as an earlier one: both labels.
    """

    trials: tuple[Trial, ...]
    against: dict[str, Any]
    reference: Recipe | None
    merged: tuple[tuple[str, str], ...]

    def resolved(self, settle: Callable[[Recipe], Recipe]) -> "SweepPlan":
        """The plan with what recipes left to the data, as training will write it into the run folders."""
        trials = tuple(replace(trial, recipe=settle(trial.recipe)) for trial in self.trials)
        return replace(self, trials=trials, reference=self.reference and settle(self.reference))


def plan_sweep(
    base: Recipe,
    axes: Sequence[GridAxis],
    seeds: Sequence[int],
    *,
    draw: int = 0,
    draw_seed: int = 0,
    against: dict[str, Any] | None = None,
) -> SweepPlan:
    """Combine, check and name the settings of a grid on a base recipe, each to be trained with every seed.

    ``draw`` combinations are drawn at random (0 takes all; a larger draw with the same seed holds the smaller one);
    ``against`` are the settings of the reference run.

    Raises:
        UserError: If a key cannot be swept, there are too many combinations, or a setting restores nothing.
        Problems: Every unknown key and value out of range.
    """
    _check(base, axes)
    reference = against or {}
    for key in reference:
        _sweepable(base, key, "--against")
    chosen = [grid_values(axes, number) for number in _combination_numbers(axes, draw, draw_seed)]
    settings = [*_parse_recipes(base, chosen), *((_parse_recipes(base, [reference])) if reference else [])]
    if any(recipe.trains_recognisers_only for recipe in settings):
        raise UserError(
            "objective recogniser trains readers and no restorer, so there is nothing to restore and choose by; "
            "expected l1, gan, task_gan or cycle_gan"
        )
    keys = [*(axis.key for axis in axes), *(key for key in reference if key not in {a.key for a in axes})]
    trials: dict[str, Trial] = {}
    merged: dict[str, str] = {}
    for seed in seeds:
        for place, recipe in enumerate(settings):
            apart = bool(reference) and place == len(chosen)
            setting = reference if apart else chosen[place]
            own = recipe.model_copy(update={"seed": seed})
            values = effective_values(own, [key for key in keys if key in setting])
            trial = Trial(own, values, run_folder_name(values, seed), reference=apart)
            first = trials.setdefault(run_digest(own), trial)
            if first is not trial and not apart:
                flat = run_settings(own)
                merged[setting_label({key: flat[key] for key in setting})] = setting_label(first.values)
    apart_recipe = settings[-1] if reference else None
    return SweepPlan(tuple(trials.values()), reference, apart_recipe, tuple(merged.items()))


def effective_values(recipe: Recipe, keys: Sequence[str]) -> dict[str, Any]:
    """The recipe's values of the keys that say something about it."""
    flat = run_settings(recipe)
    return {key: flat[key] for key in keys if key in flat and has_effect(recipe, key)}


def _combination_numbers(axes: Sequence[GridAxis], draw: int, seed: int) -> Iterator[int]:
    total = math.prod(len(axis.values) for axis in axes)
    if total > _MOST:
        raise UserError(f"the grid has {total:,} combinations, expected at most {_MOST:,}; take fewer values")
    if not draw or draw >= total:
        return iter(range(total))
    order = np.random.default_rng(seed).permutation(total)[:draw]
    return iter(int(number) for number in order)


def _check(base: Recipe, axes: Sequence[GridAxis]) -> None:
    """Every value by itself, so that a message names it once and not once a combination."""
    problems: list[str] = []
    for axis in axes:
        _sweepable(base, axis.key, "--grid")
        for value in axis.values:
            try:
                with_values(base, {axis.key: value})
            except Problems as error:
                # A value that only goes with another key's is judged in the combinations.
                problems += [p for p in error.problems if _concerns_key(p, axis.key) and p not in problems]
    if problems:
        raise Problems("the grid cannot be swept", problems)


def _concerns_key(problem: str, key: str) -> bool:
    """Whether a sentence is about this very key (pydantic names it), not about how settings go together."""
    parts = key.split(".")
    names = {".".join(parts[: i + 1]) for i in range(len(parts))}
    place = problem.removeprefix("unknown key ").split(";")[0].split(":")[0]
    return place in names or place.startswith(f"{key}.")


def _sweepable(base: Recipe, key: str, option: str) -> None:
    for refused, reason in _REFUSED.items():
        if key == refused or key.startswith(f"{refused}."):
            raise UserError(f"{option} {key} cannot be swept: {reason}")
    place: Any = dump_recipe(base)
    for part in key.split("."):
        place = place.get(part) if isinstance(place, dict) else None
    if isinstance(place, dict):
        inside = ", ".join(f"{key}.{name}" for name in list(place)[:3])
        raise UserError(f"{option} {key} is a section of the recipe, expected one of its settings, e.g. {inside}")
    known = key in run_settings(base)
    if not known and place is not None:
        raise UserError(f"{option} {key} says where a run happens, which changes no result")


def with_values(base: Recipe, values: dict[str, Any]) -> Recipe:
    """The recipe with some of its settings replaced.

    Raises:
        Problems: Every unknown key and bad value.
    """
    new = deepcopy(dump_recipe(base))
    for key, value in values.items():
        *parents, last = key.split(".")
        place: Any = new
        for parent in parents:
            place = place.setdefault(parent, {}) if isinstance(place, dict) else None
            if not isinstance(place, dict):
                raise Problems("the settings do not fit", [f"unknown key {key}; {parent} is no section"])
        place[last] = value
    return parse_recipe(new, "the recipe with these settings")


def _parse_recipes(base: Recipe, chosen: Sequence[dict[str, Any]]) -> list[Recipe]:
    recipes, problems = [], []
    for values in chosen:
        try:
            recipes.append(with_values(base, values))
        except Problems as error:
            problems += [f"{setting_label(values)}: {problem}" for problem in error.problems]
    if problems:
        listed = problems[:10]
        more = [f"and {len(problems) - 10} more"] if len(problems) > 10 else []
        raise Problems("settings of the grid do not go together", [*listed, *more])
    return recipes
