"""What a run leaves to the cohort: the condition (which clean image of a case is meant), the range of numbers that its
generator is told, and a projection's steps.

One acquisition can be restored to several contrasts. A row of the table is then about one of them, and a column
(``data.condition``, for example ``contrast``) says which.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.folder import read_description
from taskgan.cohort.pairs import Pair, Pairs
from taskgan.core.errors import Problems, UserError
from taskgan.core.parse import quoted
from taskgan.core.settings import validated
from taskgan.degrade.degradation import Degradation
from taskgan.images.volumes import read_shape
from taskgan.recipe import Data, Generator, Recipe
from taskgan.recipe.data import NumericScale

Array = NDArray[np.float32]


def resolved_conditions(data: Data, pairs: Pairs) -> Data:
    """The settings with the values of the condition, where they were left to the training rows.

    Raises:
        UserError: If the table has no such column, or no training row has a value there.
    """
    if not data.condition or data.conditions:
        return data
    _check_column(data.condition, "data.condition", pairs)
    labels: dict[str, set[float | None]] = {}
    for pair in pairs.split("train"):
        if name := pair.columns[data.condition]:
            labels.setdefault(name, set()).add(pair.label)
    if not labels:
        raise UserError(f"{pairs.source} has no training row with a {data.condition} (data.condition)")
    return data.model_copy(update={"conditions": _in_order(labels)})


def _in_order(labels: dict[str, set[float | None]]) -> tuple[str, ...]:
    """By label, where every value has one of its own; else by name."""
    numbers = {name: values.pop() for name, values in labels.items() if len(values) == 1}
    own = {name: label for name, label in numbers.items() if label is not None}
    if len(own) == len(labels) and len(set(own.values())) == len(own):
        return tuple(sorted(own, key=lambda name: own[name]))
    return tuple(sorted(labels))


def condition_of(pair: Pair, data: Data) -> str:
    """The condition of a row; empty where the settings have none.

    Raises:
        UserError: If the row has none, or one that is not known.
    """
    if not data.condition:
        return ""
    name = pair.columns.get(data.condition, "")
    where = f"row {pair.row} (case {pair.case})"
    if not name:
        raise UserError(f"{where} has no {data.condition}, expected one of {', '.join(data.conditions)}")
    if name not in data.conditions:
        raise UserError(f"{where} has {data.condition} {quoted(name)}, expected one of {', '.join(data.conditions)}")
    return name


def condition_problems(selected: Pairs, data: Data) -> list[tuple[int, str]]:
    """What is wrong with the conditions and numbers of training and validation rows: row and sentence of each problem.
    ``data``: with its conditions and scales resolved.
    """
    numbers = []
    for pair in selected if data.numeric else ():
        if pair.split in ("train", "val"):
            try:
                numbers_of(pair, data)
            except UserError as error:
                numbers.append((pair.row, str(error)))
    if not data.condition:
        return numbers
    try:
        _check_column(data.condition, "data.condition", selected)
    except UserError as error:
        return [(1, str(error))]
    issues: list[tuple[int, str]] = numbers
    trained: set[str] = set()
    for pair in selected:
        if pair.split not in ("train", "val"):
            continue
        try:
            name = condition_of(pair, data)
        except UserError as error:
            issues.append((pair.row, str(error)))
            continue
        if pair.split == "train":
            trained.add(name)
    issues += [
        (0, f"{data.condition} {quoted(name)} has a slash, expected what can be part of a restored image's file name")
        for name in data.conditions
        if "/" in name or "\\" in name
    ]
    untrained = [name for name in data.conditions if name not in trained]
    if untrained:
        issues.append((0, f"no training row has {data.condition} {', '.join(untrained)} (data.conditions)"))
    return issues


def one_hot(condition: str, data: Data) -> Array:
    """(K,) float32 with a one in the condition's place; (0,) where the settings have no conditions.

    Raises:
        UserError: If the condition is not known, or one is needed and none is given.
    """
    if not data.conditions and not condition:
        return np.zeros(0, dtype=np.float32)
    if condition not in data.conditions:
        known = ", ".join(data.conditions) or "no condition at all"
        requested = f"{data.condition or 'condition'} {quoted(condition)}" if condition else f"no {data.condition}"
        raise UserError(f"{requested} is asked for, the model knows {known}")
    code: Array = np.zeros(len(data.conditions), dtype=np.float32)
    code[data.conditions.index(condition)] = 1
    return code


def resolved_numeric(data: Data, pairs: Pairs) -> Data:
    """The settings with the scales of their numbers, where they were left to the training rows.

    Raises:
        UserError: If the table lacks a column, a training row has no number, or all have the same.
    """
    if not data.numeric or data.numeric_scales:
        return data
    scales = {}
    rows = pairs.split("train")
    for column in data.numeric:
        _check_column(column, "data.numeric", pairs)
        values = [_number(pair, column) for pair in rows]
        if len(set(values)) < 2:
            found = f"{column} {values[0]:g} alone" if values else "no training rows"
            raise UserError(f"{pairs.source} has {found}, expected several values to tell a generator (data.numeric)")
        low, high = min(values), max(values)
        scales[column] = NumericScale(log=low > 0 and high >= _BY_FACTORS * low, low=low, high=high)
    return data.model_copy(update={"numeric_scales": scales})


_BY_FACTORS = 4.0


def _number(pair: Pair, column: str) -> float:
    text = pair.columns.get(column, "")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        where = f"row {pair.row} (case {pair.case})" if pair.row else str(pair.degraded)
        what = f"{column} {quoted(text)}, expected a number" if text else f"no {column}, expected a number"
        hint = "" if pair.row else f" (--set {column}=VALUE)"
        raise UserError(f"{where} has {what}{hint}: the generator is told it")
    return value


def numbers_of(pair: Pair, data: Data) -> dict[str, float]:
    """The numbers of a row that the generator is told, by column.

    Raises:
        UserError: If one is missing or cannot be told.
    """
    numbers = {column: _number(pair, column) for column in data.numeric}
    numeric_code(numbers, data)
    return numbers


def numeric_code(numbers: Mapping[str, float], data: Data) -> Array:
    """(N,) float32, one number a column of ``data.numeric``: −1 and 1 at the ends of the training range.

    Raises:
        UserError: If a number is missing, one too many, or not above 0 where its logarithm is told.
    """
    if set(numbers) != set(data.numeric):
        given = ", ".join(f"{name} {value:g}" for name, value in numbers.items()) or "none"
        raise UserError(f"the model is told {', '.join(data.numeric) or 'no numbers'}, found {given}")
    code = []
    for column in data.numeric:
        scale, value = data.numeric_scales[column], numbers[column]
        if scale.log and value <= 0:
            raise UserError(f"{column} is {value:g}, expected a number above 0: the model is told its logarithm")
        low, high, at = ((math.log(v) if scale.log else v) for v in (scale.low, scale.high, value))
        code.append((2 * at - low - high) / (high - low))
    return np.array(code, dtype=np.float32)


def numeric_warnings(numbers: Mapping[str, float], data: Data) -> list[str]:
    """The numbers that lie outside of what the model saw, a phrase each."""
    ranges = data.numeric_scales
    return [
        f"{name} {value:g}, the model saw {ranges[name].low:g} to {ranges[name].high:g}"
        for name, value in numbers.items()
        if name in ranges and not ranges[name].low <= value <= ranges[name].high
    ]


def plane_code(condition: str, numbers: Mapping[str, float], data: Data) -> Array:
    """(K + N,): what the constant planes hold, see :func:`one_hot` and :func:`numeric_code`."""
    return np.concatenate([one_hot(condition, data), numeric_code(numbers, data)])


def with_condition_planes(images: Array, code: Array) -> Array:
    """Input channels with the planes of a condition after them.

    Args:
        images: (I, H, W), or a block (I, D, H, W).
        code: (K,), see :func:`one_hot`.

    Returns:
        (I + K, H, W) or (I + K, D, H, W); ``images`` itself where K is 0.
    """
    if not len(code):
        return images
    planes = np.broadcast_to(code.reshape(-1, *[1] * (images.ndim - 1)), (len(code), *images.shape[1:]))
    return np.concatenate([images, planes])


def _check_column(column: str, setting: str, pairs: Pairs) -> None:
    if column not in pairs.columns:
        raise UserError(
            f"{pairs.source} has no column {quoted(column)} ({setting}); its columns are {', '.join(pairs.columns)}"
        )


def resolved_projection(recipe: Recipe, pairs: Pairs) -> Recipe:
    """The recipe with the steps of its projection, where it has one and leaves them to the cohort.

    Args:
        pairs: Rows of the cohort, beside whose table ``cohort.yaml`` is.

    Raises:
        UserError: If the cohort does not say how its inputs were made.
        Problems: If it was not by blur and down-sampling alone.
    """
    settings = recipe.generator
    if not settings.projection or settings.degradation:
        return recipe
    degradation = Degradation.from_description(read_description(pairs.folder))
    if degradation is None:
        raise UserError(
            f"generator.projection is {settings.projection:g}, but {pairs.folder} does not say by which blur and "
            "down-sampling its inputs were made; expected a cohort of taskgan prepare lfw or folder, "
            "generator.degradation in the recipe, or projection 0"
        )
    values = settings.model_dump() | {"degradation": degradation.to_dicts()}
    generator = validated(Generator, values, f"{pairs.folder} cannot be trained on with a projection")
    return recipe.model_copy(update={"generator": generator})


def check_projection(recipe: Recipe, train: Pairs) -> None:
    """Refuse a projection where inputs are not what the steps make of the clean images as they are learnt from.

    Raises:
        Problems: Every reason, each in a sentence.
    """
    if not recipe.generator.projection:
        return
    data, problems = recipe.data, []
    if recipe.unpaired:
        problems.append("cycle_gan shows the generator images that were never degraded; expected another objective")
    if data.condition:
        problems.append(
            f"with data.condition ({data.condition}) the input is another kind of image than what is restored; "
            "expected none"
        )
    changes = data.augment.model_dump(exclude={"flip", "preserve"})
    changed = [name for name, value in changes.items() if value]
    if changed:
        problems.append(
            f"data.augment changes images after they were degraded ({', '.join(changed)}), which moves them off the "
            "grid of the low-resolution pixels; expected 0 (flip may stay)"
        )
    axes = recipe.data.axes
    shapes = {read_shape(pair.degraded, axes, series=pair.series("degraded"))[0][:2] for pair in train}
    if len(shapes) > 1:
        low, high = (tuple(pick(axis) for axis in zip(*shapes, strict=True)) for pick in (min, max))
        problems.append(
            f"training images are of several sizes ({low[0]}×{low[1]} to {high[0]}×{high[1]}) and would be padded, "
            "so that their low-resolution pixels are others; expected one size, e.g. by taskgan prepare --crop"
        )
    if problems:
        raise Problems(f"generator.projection is {recipe.generator.projection:g}, which cannot be had here", problems)
