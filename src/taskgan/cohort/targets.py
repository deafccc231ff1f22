"""y of every row and of every training slice: what the columns of a target hold, as tensors want it."""

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from taskgan.cohort.conditions import resolved_conditions, resolved_numeric, resolved_projection
from taskgan.cohort.grids import resolved_axes
from taskgan.cohort.pairs import Pair, Pairs
from taskgan.cohort.slices import AFFINE_MM, to_slices
from taskgan.core.errors import UserError
from taskgan.core.parse import field_number
from taskgan.images.volumes import Volume, read_volume
from taskgan.objective.kinds import task_kind
from taskgan.objective.task import TaskKind
from taskgan.recipe import Recipe, Target
from taskgan.recipe.phases import check_phases

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Targets:
    """Reads y of the rows of one table. ``identities``: number of each identity (``embedding``), in the order of their
    names; empty for other kinds.
    """

    target: Target
    kind: TaskKind
    identities: Mapping[str, int]

    @classmethod
    def for_table(cls, target: Target, pairs: Pairs) -> "Targets":
        """For all rows of a table, so that an identity has one number in all its parts."""
        kind = task_kind(target, "squared")
        names: set[str] = set()
        if kind.label_from_clean:
            names = {pair.columns.get(target.columns[0], "") for pair in pairs} - {""}
        return cls(target, kind, {name: number for number, name in enumerate(sorted(names))})

    def value(self, pair: Pair) -> Array:
        """y of a row that is no image: () for one column, (L,) for several; NaN where a field is empty.

        Raises:
            UserError: If a field is not a number.
        """
        if self.kind.dense:
            raise ValueError("masks are read by Targets.mask")
        if self.kind.label_from_clean:
            name = pair.columns.get(self.target.columns[0], "")
            return np.asarray(self.identities.get(name, math.nan), dtype=np.float32)
        values = np.array([parse_number(pair, column) for column in self.target.columns], dtype=np.float32)
        return values if self.kind.multiple_columns else np.asarray(values[0])

    def mask(self, pair: Pair, source: Volume) -> Array:
        """The mask of a row as slices (S, H, W) of class numbers.

        Args:
            source: Its degraded image, on whose grid the mask must be.

        Raises:
            UserError: If there is none, it cannot be read, is on another grid or holds no classes.
        """
        column = self.target.columns[0]
        path = pair.path(column)
        if path is None:
            raise UserError(f"row {pair.row} (case {pair.case}) names no mask in the column {column}")
        volume = read_volume(path, axes=source.axes)
        if volume.data.shape != source.data.shape or not np.allclose(
            volume.affine, source.affine, rtol=0, atol=AFFINE_MM
        ):
            raise UserError(f"{path} is on another grid than {pair.degraded}, expected a mask on the same")
        problem = self.mask_problem(volume.data)
        if problem:
            raise UserError(f"{path} {problem}")
        return to_slices(volume.data)

    def mask_problem(self, mask: Array) -> str:
        """What is wrong with the values of a mask, as the end of a sentence; empty where they are class numbers."""
        wrong = [float(v) for v in np.unique(mask) if self.kind.label_problem(float(v))]
        if not wrong:
            return ""
        return (
            f"holds the values {', '.join(f'{v:g}' for v in wrong[:3])}, expected {self.kind.label_problem(wrong[0])}"
        )

    def resolved(self, pairs: Pairs) -> Target:
        """The target with what its recipe left to the training subjects: centre and scale of a regression.

        Args:
            pairs: The rows; each training subject counts once, by the mean of its rows.

        Returns:
            The same where nothing is open, or no training row has a value. Four significant digits are kept, so
            that the recipe that is written down is the one that is meant.

        Raises:
            UserError: If all training subjects have one value.
        """
        if not self.kind.standardised or None not in (self.target.centre, self.target.scale):
            return self.target
        by_subject: dict[str, list[float]] = {}
        for pair in pairs.split("train"):
            value = float(self.value(pair))
            if not math.isnan(value):
                by_subject.setdefault(pair.subject, []).append(value)
        means = [float(np.mean(values)) for values in by_subject.values()]
        if not means:
            return self.target
        centre, scale = float(f"{np.mean(means):.4g}"), float(f"{np.std(means):.4g}")
        if scale == 0:
            raise UserError(
                f"{pairs.source}: all training subjects have {self.target.columns[0]} {centre:g}, expected "
                "different values to learn from"
            )
        return self.target.model_copy(
            update={
                "centre": centre if self.target.centre is None else self.target.centre,
                "scale": scale if self.target.scale is None else self.target.scale,
            }
        )


def parse_number(pair: Pair, column: str) -> float:
    """A field as a number; NaN where it is empty or there is no such column.

    Raises:
        UserError: If it is something else.
    """
    if column == "label":
        return math.nan if pair.label is None else pair.label
    return field_number(pair.columns.get(column, ""), f"row {pair.row} (case {pair.case}) has {column}")


def resolved_recipe(recipe: Recipe, pairs: Pairs) -> Recipe:
    """The recipe with what its property left to the training subjects (see :meth:`Targets.resolved`), the conditions,
    ranges of numbers and axes that it left to the training rows, and a projection's steps that it left to the cohort.

    Raises:
        UserError: If labels are no numbers, or all the same; if there is no column of conditions; if a projection is
            wanted of inputs that were not made by blur and down-sampling.
    """
    recipe = resolved_projection(recipe, pairs)
    data = resolved_axes(resolved_numeric(resolved_conditions(recipe.data, pairs), pairs), pairs)
    if data != recipe.data:
        recipe = recipe.model_copy(update={"data": data})
        try:
            check_phases(recipe.schedule, steps=recipe.optimiser.steps, conditions=data.conditions)
        except ValueError as error:
            raise UserError(f"{pairs.source}: {error}") from None
    targets = [Targets.for_table(task.target, pairs).resolved(pairs) for task in recipe.tasks]
    first, *others = (
        task.model_copy(update={"centre": target.centre, "scale": target.scale})
        for task, target in zip(recipe.tasks, targets, strict=True)
    )
    return recipe.model_copy(update={"task": first.model_copy(update={"others": tuple(others)})})


_NEEDED = ("train", "val")
_SHOWN = 10  # classes that nobody has
_WITHOUT = " (objectives l1, gan and cycle_gan train without labels where data.balanced is false)"


def label_problems(selected: Pairs, targets: Targets) -> list[tuple[int, str]]:
    """Unknown columns, missing and impossible labels of training and validation rows, classes nobody has. Returns row
    and sentence of each problem.
    """
    columns = targets.target.columns
    absent = [column for column in columns if column not in selected.columns]
    if absent:
        return [(1, f"there is no column {column}{_WITHOUT}") for column in absent]
    known = Pairs(selected.source, tuple(pair for pair in selected if pair.split in _NEEDED))
    issues = [
        (row, text + (_WITHOUT if text.partition(") ")[2].startswith("has no ") else ""))
        for row, text in invalid_labels(known, targets)
    ]
    if issues:
        return issues
    if targets.target.kind == "binary":
        issues = _contradicting_labels(known, targets)
    return issues + [(0, text) for text in missing_classes(selected.split("train"), targets)]


def invalid_labels(pairs: Pairs, targets: Targets) -> list[tuple[int, str]]:
    """Rows whose labels are missing or impossible: row and sentence."""
    return [
        (pair.row, f"row {pair.row} (case {pair.case}) {text}")
        for pair in pairs
        for text in _row_problems(pair, targets)
    ]


def _contradicting_labels(pairs: Pairs, targets: Targets) -> list[tuple[int, str]]:
    """Subjects that have both labels, which a diagnosis cannot (a contrast or a value may well differ)."""
    issues = []
    first: dict[str, Pair] = {}
    for pair in pairs:
        before = first.setdefault(pair.subject, pair)
        ours, theirs = float(targets.value(pair)), float(targets.value(before))
        if ours != theirs:
            issues.append(
                (
                    pair.row,
                    f"row {pair.row} (case {pair.case}) labels subject {pair.subject} {ours:g}, row {before.row} "
                    f"labels it {theirs:g}",
                )
            )
    return issues


def missing_classes(train: Pairs, targets: Targets) -> list[str]:
    """What the training rows lack for a network to learn the property from them, a sentence each."""
    kind, column = targets.kind, targets.target.columns[0]
    if kind.dense:
        return []
    values = [targets.value(pair) for pair in train]
    if kind.by_class:
        present = {float(value) for value in values if not np.isnan(value)}
        count = max(2, kind.outputs)
        if count == 2 and len(present) == 1:
            return [f"every training row has {column} {present.pop():g}; training needs both labels"]
        absent = [str(k) for k in range(count) if k not in present]
        if present and absent:
            listing = ", ".join(absent[:_SHOWN]) + f" and {len(absent) - _SHOWN} more" * (len(absent) > _SHOWN)
            hint = "; names of whom or what an image shows are of kind embedding" if len(absent) > _SHOWN else ""
            return [f"no training row has {column} {listing}; training needs all {count} classes{hint}"]
    if kind.multiple_columns:
        both = {0.0, 1.0}
        alike = [name for k, name in enumerate(targets.target.columns) if not both <= {float(v[k]) for v in values}]
        if alike:
            return [f"the training rows do not hold both labels of {', '.join(alike)}"]
    if kind.label_from_clean and len({float(value) for value in values}) < 2:
        return [f"the training rows hold one {column}; training needs several"]
    return []


def untrainable_reason(train: Pairs, targets: Targets) -> str:
    """Why training rows can teach no network the property; empty where they can."""
    columns = targets.target.columns
    if targets.target.kind == "binary":
        values = {float(targets.value(pair)) for pair in train}
        return "" if len({v for v in values if not math.isnan(v)}) > 1 else "the training rows do not hold both labels"
    absent = [column for column in columns if column not in train.columns]
    if absent:
        return f"the training rows have no column {', '.join(absent)}"
    wrong = invalid_labels(train, targets) or [(0, text) for text in missing_classes(train, targets)]
    return wrong[0][1] if wrong else ""


def _row_problems(pair: Pair, targets: Targets) -> list[str]:
    """What is wrong with one row's labels, as the ends of sentences."""
    kind, columns = targets.kind, targets.target.columns
    if kind.dense:
        return [] if pair.path(columns[0]) else [f"names no mask in the column {columns[0]}"]
    try:
        values = targets.value(pair).reshape(-1)
    except UserError as error:
        return [str(error).partition(") ")[2]]
    empty = [column for column, value in zip(columns, values, strict=True) if math.isnan(value)]
    if len(empty) == len(columns):
        return [f"has no {' and no '.join(columns)}"]
    if empty and not kind.partial:
        return [f"has no {column}" for column in empty]
    return [
        f"has {column} {value:g}, expected {kind.label_problem(float(value))}"
        for column, value in zip(columns, values, strict=True)
        if not math.isnan(value) and kind.label_problem(float(value))
    ]


class SliceLabels:
    """y of all slices, of one property. ``masks``: of every slice (S, H, W), where it is one and is wanted."""

    def __init__(self, targets: Targets, rows: Sequence[Pair], size: tuple[int, ...], *, wanted: bool) -> None:
        self.targets = targets
        self.labels = [self._label(pair, wanted) for pair in rows]
        self.masks = torch.zeros(size, dtype=torch.uint8) if wanted and targets.kind.dense else None

    def y(self, number: int, at: slice) -> np.ndarray:
        """Of some slices of a pair: its label, or their masks."""
        return self.labels[number] if self.masks is None else self.masks.numpy()[at].astype(np.float32)

    def _label(self, pair: Pair, wanted: bool) -> np.ndarray:
        """y of a pair that is no mask; NaN where it is not wanted and cannot be had."""
        if not self.targets.kind.dense:
            with nullcontext() if wanted else suppress(UserError):
                return self.targets.value(pair)
        return np.asarray(np.nan, dtype=np.float32)
