"""Evaluation folders as one table: what is compared, on which subjects, and what has to be said about it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from taskgan.cohort.restorations import RESERVED
from taskgan.core.artefact import differing, read_record
from taskgan.core.errors import UserError
from taskgan.core.parse import quoted
from taskgan.evaluate.cases import TEXT_COLUMNS, read_case_table
from taskgan.images.photos import is_photo_name
from taskgan.page.cells import NAMES, display_name
from taskgan.report import paper
from taskgan.report.metrics import METRICS, Inference

_FACES = "faces"  # what prepare lfw calls its cohorts; earlier evaluations do not say
_IMAGES = ("degraded", "clean", "restored", "cortex", "reference", "brain", "lesions")


@dataclass(frozen=True)
class EvaluationFolder:
    """One evaluation folder and its ``evaluation.yaml``."""

    folder: Path
    record: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Comparison:
    """Everything that is compared.

    Attributes:
        frame: Rows of all evaluations, each ``input`` and ``clean`` row once; image columns are paths that can
            be opened from here.
        methods: Restoring methods, in the order of the tables.
        baseline: What the others are compared with: one of ``methods``, or ``input`` where it has rows.
        focus: The method that the figures set against the baseline.
        evaluations: The folders.
        notes: What a reader must know about the comparison, a sentence each.
        inference: Margins of equivalence and the correction over methods.
    """

    frame: pd.DataFrame
    methods: tuple[str, ...]
    baseline: str
    focus: str
    evaluations: tuple[EvaluationFolder, ...]
    notes: tuple[str, ...]
    inference: Inference = field(default_factory=Inference)

    def rows(self, method: str) -> pd.DataFrame:
        """Rows of one method, not to be changed."""
        return self._by_method.get(method, self.frame.iloc[:0])

    @cached_property
    def _by_method(self) -> dict[str, pd.DataFrame]:
        return {str(name): rows for name, rows in self.frame.groupby("method", sort=False)}

    @cached_property
    def cases(self) -> pd.DataFrame:
        """Subject and label of every case, indexed by case."""
        return self.frame.drop_duplicates("case").set_index("case")[["subject", "label"]]

    @cached_property
    def references(self) -> tuple[str, ...]:
        """``input`` where the degraded images have rows: where they are of the kind that is restored."""
        return ("input",) if len(self.rows("input")) else ()

    @property
    def contrast_method(self) -> str | None:
        """What the focus method is set against: the baseline, else (where it is itself) the input, else nothing."""
        if self.baseline != self.focus:
            return self.baseline
        return self.references[0] if self.references else None

    @cached_property
    def conditions(self) -> dict[str, "Comparison"]:
        """The same comparison of each condition by itself, e.g. an MR contrast; empty where there is one kind."""
        names = [str(name) for name in self.frame["condition"].drop_duplicates() if name]
        return {name: replace(self, frame=self.frame[self.frame["condition"] == name]) for name in names}

    @property
    def pictured(self) -> dict[str, "Comparison"]:
        """What figures show at a lesion: every condition; of one kind of image with lesions, all without a name."""
        sick = (self.frame["lesions_true"] > 0).any() and self.frame["grey_white"].notna().any()
        return self.conditions or ({"": self} if sick else {})

    @property
    def condition(self) -> str:
        """What the conditions are: the column of the cohort, e.g. ``contrast``."""
        recipe = self.evaluations[0].record.get("recipe") or {}
        return str((recipe.get("data") or {}).get("condition") or "condition")

    @property
    def kind(self) -> str:
        """Kind of the property that the readers read."""
        return str(self._property.get("kind", "binary"))

    @property
    def reader_error(self) -> tuple[str, str]:
        """Name of the readers' error, and what it is."""
        name, description = self._property.get(
            "measure", ("slice MAE", "Mean |probability − label| over the middle slices")
        )
        return str(name), str(description).removesuffix(" over the middle slices" if self.photos else "")

    @property
    def _property(self) -> dict[str, Any]:
        return dict(self.evaluations[0].record.get("property") or {})

    @cached_property
    def photos(self) -> bool:
        """Whether the clean images are photos: shown as they are, and of no slices, heads or uptake."""
        clean = self.rows("clean")["restored"]
        return bool(len(clean)) and all(is_photo_name(Path(path)) for path in clean)

    @property
    def images(self) -> str:
        """What one case is, in the plural."""
        return "photos" if self.photos else "volumes"

    @property
    def experiment(self) -> str:
        """The experiment of the paper that figures are set beside: of photos only faces of LFW can be meant."""
        if not self.photos:
            return paper.PET
        faces = self.kind == "embedding" and self.evaluations[0].record.get("cohort_kind", _FACES) == _FACES
        return paper.LFW if faces else paper.NONE

    @property
    def suvr_cut(self) -> float:
        """The SUVR cut that the evaluations used."""
        return float(self.evaluations[0].record.get("settings", {}).get("suvr_cut", 1.38))

    @property
    def compared_methods(self) -> tuple[str, ...]:
        """Methods that are set against the baseline."""
        return tuple(m for m in self.methods if m != self.baseline)


def load_comparison(
    folders: Sequence[Path], baseline: str | None = None, inference: Inference | None = None
) -> Comparison:
    """Read evaluation folders and join them.

    Args:
        folders: One per method, seed or fold.
        baseline: Method that the others are compared with. None is ``gan``, or where no folder holds it the
            degraded input, and a note says so; the first method where the input has no rows.
        inference: Margins and correction; None is no margin and Holm's.

    Raises:
        UserError: If a folder is no evaluation, none holds the baseline that was asked for, no row the measure of a
            margin, two hold the same restorations, or the rows of the cohort's own images differ between them, so
            that they cannot be compared; or a file of one is not what its record vouches for.
    """
    if not folders:
        raise UserError("no evaluation folder given; expected at least one that taskgan evaluate made")
    evaluations = tuple(EvaluationFolder(Path(f), read_record(Path(f) / "evaluation.yaml")) for f in folders)
    if wrong := [text for e in evaluations for text in differing(e.folder / "evaluation.yaml", e.record) or ()]:
        raise UserError(f"{wrong[0]} since it was evaluated; make it again with taskgan evaluate --overwrite")
    frame = pd.concat([_rows(e.folder) for e in evaluations], ignore_index=True)
    cuts = {e.record.get("settings", {}).get("suvr_cut") for e in evaluations if e.record}
    if len(cuts) > 1:
        raise UserError(f"the evaluations used different SUVR cuts ({', '.join(map(str, cuts))}), expected one")
    judged = [e.record["property"] for e in evaluations if e.record.get("property")]
    properties = {", ".join([str(one.get("kind")), *map(str, one.get("labels", ()))]) for one in judged}
    if len(properties) > 1:
        raise UserError(f"the evaluations judged different properties ({'; '.join(sorted(properties))}), expected one")
    frame = _without_duplicates(frame)
    restoring = [m for m in frame["method"].drop_duplicates() if m not in RESERVED]
    if not restoring:
        raise UserError(f"{folders[0]} holds no rows of a restoring method, only of the cohort's own images")
    known = [m for m in NAMES if m in restoring]
    methods = (*known, *sorted(m for m in restoring if m not in NAMES))
    notes = [*_evaluation_notes(evaluations), *_coverage(frame, methods), *_doses(frame)]
    if frame["subject"].nunique() == 1:
        notes.append("There is one subject: no interval can be given, and nothing is said about other people.")
    references = ["input"] if (frame["method"] == "input").any() else []
    if baseline is None:
        baseline = "gan" if "gan" in methods else (*references, methods[0])[0]
        if baseline == "input":
            notes.append("No evaluation of GAN was given, so the methods are compared with the degraded input.")
    elif baseline not in (*methods, *references):
        raise UserError(
            f"no evaluation of the baseline {quoted(baseline)}; there are {', '.join((*methods, *references))}"
        )
    others = [m for m in methods if m != baseline]
    focus = "task_gan" if "task_gan" in others else (others or [baseline])[-1]
    inference = inference or Inference()
    for metric in METRICS:
        if metric.name in inference.margins and frame[metric.column].isna().all():
            raise UserError(f"--margin {metric.name}: the evaluations hold no value of {metric.phrase}")
    return Comparison(frame, methods, baseline, focus, evaluations, tuple(notes), inference)


def _rows(folder: Path) -> pd.DataFrame:
    frame = read_case_table(folder)
    for column in _IMAGES:
        frame[column] = [str(folder / text) if text else "" for text in frame[column]]
    frame["suvr_calibrated_error"] = frame["suvr_calibrated"] - frame["suvr_reference"]
    frame["evaluation"] = str(folder)
    return frame


def _without_duplicates(frame: pd.DataFrame) -> pd.DataFrame:
    """Each ``input`` and ``clean`` row once, after a check that its copies agree."""
    own = frame["method"].isin(RESERVED)
    numbers = [c for c in frame.columns if c not in (*TEXT_COLUMNS, "evaluation", "seed", "fold")]
    for (case, method), copies in frame[own].groupby(["case", "method"], sort=False):
        values = copies[numbers].to_numpy(dtype=np.float64)
        agree = np.isclose(values, values[0], rtol=1e-3, atol=1e-4, equal_nan=True)
        if not agree.all():
            column = numbers[int(np.argwhere(~agree)[0][1])]
            raise UserError(
                f"case {case} ({method}) has different values of {column} in {copies['evaluation'].iloc[0]} and "
                f"another evaluation: they were made on different cohorts or with different recognisers; evaluate "
                f"both with the same --recipe on the same cohort"
            )
    key = ["case", "method", "seed", "fold"]
    restored = frame[~own]
    doubled = restored[restored.duplicated(key, keep=False)]
    if len(doubled):
        row = doubled.iloc[0]
        where = " and ".join(dict.fromkeys(doubled[doubled["case"] == row["case"]]["evaluation"]))
        raise UserError(
            f"{where} hold the same method {quoted(row['method'])} with the same seed and fold; evaluate one of them "
            f"again with another --method name"
        )
    return pd.concat([frame[own].drop_duplicates(["case", "method"]), restored], ignore_index=True)


def _evaluation_notes(evaluations: Sequence[EvaluationFolder]) -> list[str]:
    """The evaluations' own notes, each once, with the methods that it is about unless it is about all."""
    methods_by_note: dict[str, list[str]] = {}
    for one in evaluations:
        for note in one.record.get("notes") or ():
            methods_by_note.setdefault(str(note), []).append(display_name(str(one.record.get("method"))))
    notes = []
    for note, methods in methods_by_note.items():
        prefix = "" if len(methods) == len(evaluations) else f"{', '.join(dict.fromkeys(methods))}: "
        text = f"{prefix}{note}."
        notes.append(text[0].upper() + text[1:] if not prefix else text)
    return notes


def _coverage(frame: pd.DataFrame, methods: Sequence[str]) -> list[str]:
    cases = {m: set(frame[frame["method"] == m]["case"]) for m in methods}
    common = set.intersection(*cases.values())
    if all(method_cases == common for method_cases in cases.values()):
        return []
    counts = ", ".join(f"{display_name(m)} {len(method_cases)}" for m, method_cases in cases.items())
    return [
        f"The methods were not evaluated on the same cases ({counts}): means are over each method's own cases, "
        f"differences over the cases that two methods share ({len(common)} are common to all)."
    ]


def _doses(frame: pd.DataFrame) -> list[str]:
    doses = sorted(frame["dose"].dropna().unique())
    if len(doses) < 2:
        return []
    return [
        f"The cases are of {len(doses)} doses ({', '.join(f'{dose:g}' for dose in doses)} %), and every figure is of "
        f"the mixture; for one dose, restore with --select dose={doses[0]:g} and evaluate that."
    ]
