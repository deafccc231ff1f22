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
    numbers = {name: found.pop() for name, found in labels.items() if len(found) == 1}
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
        raise UserError(
            f"{where} has {data.condition} {quoted(name)}, expected one of {', '.join(data.conditions)}"
        )
    return name


def problems_of_conditions(selected: Pairs, data: Data) -> list[tuple[int, str]]:
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
    found: list[tuple[int, str]] = []
    seen: set[str] = set()
    for pair in selected:
        if pair.split not in ("train", "val"):
            continue
        try:
            name = condition_of(pair, data)
        except UserError as error:
            found.append((pair.row, str(error)))
            continue
        if pair.split == "train":
            seen.add(name)
    found += [
        (
            0,
            f"{data.condition} {quoted(name)} has a slash, expected what can be part of a restored image's file name",
        )
        for name in data.conditions
        if "/" in name or "\\" in name
    ]
    untaught = [name for name in data.conditions if name not in seen]
    if untaught:
        found.append((0, f"no training row has {data.condition} {', '.join(untaught)} (data.conditions)"))
    return found


def one_hot(condition: str, data: Data) -> Array:
    """(K,) float32 with a one in the condition's place; (0,) where the settings have no conditions.

    Raises:
        UserError: If the condition is not known, or one is needed and none is given.
    """
    if not data.conditions and not condition:
        return np.zeros(0, dtype=np.float32)
    if condition not in data.conditions:
        known = ", ".join(data.conditions) or "no condition at all"
        asked = (
            f"{data.condition or 'condition'} {quoted(condition)}" if condition else f"no {data.condition}"
        )
        raise UserError(f"{asked} is asked for, the model knows {known}")
    told: Array = np.zeros(len(data.conditions), dtype=np.float32)
    told[data.conditions.index(condition)] = 1
    return told


def with_planes(images: Array, told: Array) -> Array:
    """Input channels with the planes of a condition after them.

    Args:
        images: (I, H, W).
        told: (K,), see :func:`one_hot`.

    Returns:
        (I + K, H, W); ``images`` itself where K is 0.
    """
    if not len(told):
        return images
    planes = np.broadcast_to(told[:, None, None], (len(told), *images.shape[1:]))
    return np.concatenate([images, planes])


def _check_column(data: Data, pairs: Pairs) -> None:
    if data.condition not in pairs.columns:
        raise UserError(
            f"{pairs.source} has no column {quoted(data.condition)} (data.condition); its columns are "
            f"{', '.join(pairs.columns)}"
        )
