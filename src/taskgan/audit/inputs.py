"""What is audited, and how: settings, and the cases of a cohort or an evaluation with their restored images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import Field

from taskgan.cohort.grids import resolved_axes
from taskgan.cohort.pairs import REQUIRED, Pair, Pairs, read_pairs
from taskgan.cohort.restorations import Restorations, find_restorations, recorded_recipe
from taskgan.core.artefact import read_record
from taskgan.core.errors import UserError
from taskgan.judges.properties import EvaluationSettings
from taskgan.judges.readings import read_readings
from taskgan.recipe import Recipe


class AuditSettings(EvaluationSettings):
    """How restorations are audited.

    Attributes:
        alpha: Conformal intervals and label sets may miss the truth this often.
        by_class: Calibrate label sets for each label by itself (Mondrian), so that the rarer label is covered too.
        calibration: ``val``: the restored validation cases; a number: this share of the test subjects, drawn by
            ``seed``; ``none``; or the path of a ``conformal.yaml`` that an earlier audit wrote.
        seed: Of the draw of calibration subjects.
        figures: At most this many flipped cases are drawn.
        steps: Points along the path of an evidence map.
    """

    alpha: float = Field(default=0.1, gt=0, lt=1)
    by_class: bool = True
    calibration: str = "val"
    seed: int = Field(default=0, ge=0)
    figures: int = Field(default=24, ge=0)
    steps: int = Field(default=32, ge=4)


@dataclass(frozen=True)
class EvaluationReadings:
    """What an evaluation says of itself, and what it read.

    Attributes:
        folder: The evaluation.
        record: Its ``evaluation.yaml``.
        table: Its readings.
    """

    folder: Path
    record: Mapping[str, Any]
    table: pd.DataFrame = field(repr=False)

    @property
    def restored(self) -> Path:
        """The restored images that it is about."""
        return self.folder / str(self.record["restored"])

    def is_compatible(self, other: "EvaluationReadings") -> bool:
        """Whether both read alike: the same slices, cut, intensities and networks."""
        return all(self.record.get(key) == other.record.get(key) for key in ("settings", "recipe"))


@dataclass(frozen=True)
class AuditInputs:
    """What an audit works on.

    Attributes:
        pairs: The whole table; judges learn from its rows with the split ``train`` and ``val``.
        cases: The audited rows, all restored.
        validation: Restored rows of the split ``val``, for calibration.
        audited: The restorations that are audited.
        against: Others that they are compared with.
        recipe: Says how intensities are scaled and how judges are trained.
        has_recipe: Whether the restored folder or the user said so.
        notes: What makes the audit less than one, in sentences.
        evaluations: Evaluations of these restorations, whose readings need not be made again.
    """

    pairs: Pairs
    cases: tuple[Pair, ...]
    validation: tuple[Pair, ...]
    audited: Restorations
    against: tuple[Restorations, ...]
    recipe: Recipe
    has_recipe: bool
    notes: tuple[str, ...] = field(default=())
    evaluations: tuple[EvaluationReadings, ...] = field(default=())

    @property
    def restorations(self) -> tuple[Restorations, ...]:
        """The audited restorations first, then the others."""
        return (self.audited, *self.against)


def from_cohort(
    restored: Path,
    cohort: Path,
    *,
    against: Sequence[Path] = (),
    recipe: Recipe | None = None,
    task: str | None = None,
    method: str | None = None,
) -> AuditInputs:
    """The restored test cases of a cohort.

    Args:
        restored: Folder of restored images, ours or any tool's.
        cohort: Cohort folder or its table.
        against: Further folders of restored images.
        recipe: Where None, the one that ``restored.yaml`` recorded, else the defaults.
        task: Which of its properties is audited, by its name; None is the first.
        method: Name of the audited method; where None, what the folder says, else the folder's name.

    Raises:
        UserError: If a folder or table is missing, or no test case was restored.
    """
    pairs = read_pairs(cohort, REQUIRED)
    restorations = []
    for folder in (restored, *against):
        name = method if folder is restored else None
        if not name and not (folder / "restored.yaml").is_file():  # another tool's does not say what it is called
            name = folder.resolve().name
        restorations.append(find_restorations(folder, pairs, name))
    return select_cases(pairs, restorations, recipe, task)


def from_evaluation(evaluation: Path, *, against: Sequence[Path] = (), method: str | None = None) -> AuditInputs:
    """The test cases of an evaluation, with what it has read of them.

    Args:
        evaluation: Folder that ``taskgan evaluate`` made; it says what was restored, from which cohort, and the
            recipe.
        against: Further evaluations, or folders of restored images. What an evaluation with other settings has
            read is left out, and its images are read again.
        method: Name of the audited method; where None, what the evaluation says.

    Raises:
        UserError: If a folder or table is missing, or no test case was evaluated.
    """
    first = read_evaluation(evaluation)
    others = [read_evaluation(folder) if is_evaluation(folder) else folder for folder in against]
    folders = [first.restored, *(one if isinstance(one, Path) else one.restored for one in others)]
    recipe = recorded_recipe(first.record, evaluation / "evaluation.yaml")
    cohort = evaluation / str(first.record.get("table") or first.record["cohort"])
    name = method or str(first.record["method"])
    inputs = from_cohort(folders[0], cohort, against=folders[1:], recipe=recipe, method=name)
    names = {one.folder.resolve(): one.method for one in inputs.restorations}
    alike = [first, *(one for one in others if not isinstance(one, Path) and one.is_compatible(first))]
    renamed = [
        replace(one, table=one.table.replace({"image": {one.record["method"]: names[one.restored.resolve()]}}))
        for one in alike
    ]
    return replace(inputs, evaluations=tuple(renamed))


def is_evaluation(folder: Path) -> bool:
    """Whether a folder is one that ``taskgan evaluate`` made."""
    return (folder / "evaluation.yaml").is_file()


def read_evaluation(folder: Path) -> EvaluationReadings:
    """Read an evaluation's record and readings.

    Raises:
        UserError: If they are not what ``taskgan evaluate`` writes.
    """
    record = read_record(folder / "evaluation.yaml")
    missing = [key for key in ("method", "restored", "cohort") if not record.get(key)]
    if missing:
        raise UserError(
            f"{folder / 'evaluation.yaml'} does not say {missing[0]}, expected what taskgan evaluate writes"
        )
    return EvaluationReadings(folder, record, read_readings(folder))


def select_cases(
    pairs: Pairs, restorations: Sequence[Restorations], recipe: Recipe | None, task: str | None = None
) -> AuditInputs:
    """Choose the cases: test rows that the recipe selects and that were restored; audited restorations come first.

    Raises:
        UserError: If no test case was restored, an audited case has no clean image, or a folder is compared with
            itself.
    """
    _check_folders(restorations)
    audited, *others = _with_distinct_names(restorations)
    has_recipe = recipe is not None or "recipe" in audited.origin
    recipe = (recipe or audited.recipe).about(task)
    selected = pairs.select(recipe.data.select)
    recipe = recipe.model_copy(update={"data": resolved_axes(recipe.data, selected)})
    tested = selected.split("test")
    cases = tuple(p for p in tested if p.case in audited.images)
    if not cases:
        raise UserError(
            f"{audited.folder} holds no restored test case of {pairs.source}: an audit needs subjects that neither "
            "the restorer nor a judge has learnt from (taskgan restore MODEL PAIRS --split test)"
        )
    bare = [p for p in cases if p.clean is None]
    if bare:
        raise UserError(
            f"row {bare[0].row} of {pairs.source} (case {bare[0].case}) names no clean image to audit against"
        )
    notes = []
    missing = [p.case for p in tested if p.case not in audited.images]
    if missing:
        notes.append(
            f"{len(missing)} of {len(tested)} test cases were not restored and are not audited: {name_list(missing)}"
        )
    for other in others:
        both = sum(p.case in other.images for p in cases)
        if not both:
            raise UserError(f"{other.folder} holds none of the audited cases, so there is nothing to compare")
        if both < len(cases):
            notes.append(f"{other.method} restored {both} of the {len(cases)} audited cases; only these are compared")
    validation = tuple(p for p in selected.split("val") if p.case in audited.images and p.clean is not None)
    return AuditInputs(pairs, cases, validation, audited, tuple(others), recipe, has_recipe, tuple(notes))


def name_list(names: Sequence[str], most: int = 10) -> str:
    """Names in a row; what is beyond ``most`` is counted."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _check_folders(restorations: Sequence[Restorations]) -> None:
    """Nobody is compared with himself: McNemar would say that there is no difference."""
    places = [one.folder.resolve() for one in restorations]
    for k, (one, place) in enumerate(zip(restorations, places, strict=True)):
        if place in places[:k]:
            which = "the audited folder itself" if place == places[0] else "named twice"
            raise UserError(f"--against {one.folder} is {which}, expected another method's restored images")


def _with_distinct_names(restorations: Sequence[Restorations]) -> list[Restorations]:
    """Seeds and folds of one method get names of their own."""
    named: list[Restorations] = []
    for one in restorations:
        name, taken = one.method, {other.method for other in named}
        if name in taken and one.seed is not None:
            name = f"{one.method} seed {one.seed}"
        if name in taken:
            name = f"{one.method} ({one.folder.resolve().parent.name}/{one.folder.resolve().name})"
        named.append(replace(one, method=name))
    return named
