"""y of every row: what the columns of a target hold, as tensors want it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.conditions import resolved_conditions
from taskgan.cohort.images import Volume, read_volume
from taskgan.cohort.pairs import Pair, Pairs
from taskgan.cohort.projection import resolved_projection
from taskgan.cohort.slices import AFFINE_MM, to_slices
from taskgan.core.errors import UserError
from taskgan.core.parse import quoted
from taskgan.objective.kinds import task_kind
from taskgan.objective.task import TaskKind
from taskgan.phases import check_phases
from taskgan.recipe import Recipe, Target

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Targets:
    """Reads y of the rows of one table.

    Attributes:
        target: The property.
        kind: Its kind.
        identities: Number of each identity (``embedding``), in the order of their names; empty for other kinds.
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
            pair: The row.
            source: Its degraded image, on whose grid the mask must be.

        Raises:
            UserError: If there is none, it cannot be read, is on another grid or holds no classes.
        """
        column = self.target.columns[0]
        path = pair.path(column)
        if path is None:
            raise UserError(f"row {pair.row} (case {pair.case}) names no mask in the column {column}")
        volume = read_volume(path)
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
            f"holds the values {', '.join(f'{v:g}' for v in wrong[:3])}, expected "
            f"{self.kind.label_problem(wrong[0])}"
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
    text = pair.columns.get(column, "")
    if not text:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if not math.isfinite(value):
        raise UserError(f"row {pair.row} (case {pair.case}) has {column} {quoted(text)}, expected a number")
    return value


def resolved_recipe(recipe: Recipe, pairs: Pairs) -> Recipe:
    """The recipe with what its property left to the training subjects (see :meth:`Targets.resolved`), the conditions
    that it left to the training rows, and the steps of a projection that it left to the cohort.

    Args:
        recipe: As the user wrote it.
        pairs: The rows that it selects.

    Raises:
        UserError: If labels are no numbers, or all the same; if there is no column of conditions; if a projection is
            wanted of inputs that were not made by blur and down-sampling.
    """
    recipe = resolved_projection(recipe, pairs)
    data = resolved_conditions(recipe.data, pairs)
    if data != recipe.data:
        recipe = recipe.model_copy(update={"data": data})
        try:
            check_phases(recipe.schedule, steps=recipe.optimiser.steps, conditions=data.conditions)
        except ValueError as error:
            raise UserError(f"{pairs.source}: {error}") from None
    target = Targets.for_table(recipe.task.target, pairs).resolved(pairs)
    if target == recipe.task.target:
        return recipe
    task = recipe.task.model_copy(update={"centre": target.centre, "scale": target.scale})
    return recipe.model_copy(update={"task": task})
