"""Which of several clean images of a case is meant: the column, its values, and the planes that tell a generator.

One acquisition can be restored to several contrasts. A row of the table is then about one of them, and a column
(``data.condition``, for example ``contrast``) says which.
"""

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.pairs import Pair, Pairs
from taskgan.core.errors import UserError
from taskgan.core.parse import quoted
from taskgan.recipe import Data

Array = NDArray[np.float32]


def resolved_conditions(data: Data, pairs: Pairs) -> Data:
    """The settings with the values of the condition, where they were left to the training rows.

    Args:
        data: As the user wrote it.
        pairs: The rows that it selects.

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
    """What is wrong with the conditions of training and validation rows: row and sentence of each problem.

    Args:
        selected: The rows that a run uses.
        data: With its conditions resolved.
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
