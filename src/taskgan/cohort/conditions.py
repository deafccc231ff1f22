"""What a run leaves to the cohort: the condition (which clean image of a case is meant), and a projection's steps.

One acquisition can be restored to several contrasts. A row of the table is then about one of them, and a column
(``data.condition``, for example ``contrast``) says which.
"""

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

Array = NDArray[np.float32]


def resolved_conditions(data: Data, pairs: Pairs) -> Data:
    """The settings with the values of the condition, where they were left to the training rows.

    Raises:
        UserError: If the table has no such column, or no training row has a value there.
    """
    if not data.condition or data.conditions:
        return data
    _check_column(data, pairs)
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
    """What is wrong with the conditions of training and validation rows: row and sentence of each problem. ``data``:
    with its conditions resolved.
    """
    if not data.condition:
        return []
    try:
        _check_column(data, selected)
    except UserError as error:
        return [(1, str(error))]
    issues: list[tuple[int, str]] = []
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


def _check_column(data: Data, pairs: Pairs) -> None:
    if data.condition not in pairs.columns:
        raise UserError(
            f"{pairs.source} has no column {quoted(data.condition)} (data.condition); its columns are "
            f"{', '.join(pairs.columns)}"
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
