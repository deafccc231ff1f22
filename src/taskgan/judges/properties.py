"""What a judge reads, how its decisions are put in words, and the settings of an evaluation."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from taskgan.cohort.pairs import REQUIRED, Pairs
from taskgan.core.errors import UserError
from taskgan.core.settings import Settings, validated

if TYPE_CHECKING:
    from taskgan.recipe import Target

OBSERVER = "SUVR"
VALUE_KINDS = ("regression", "segmentation")
_MIN_CLASS_ROWS = 2  # of a class, or a column that numbers the rows would name the classes


@dataclass(frozen=True)
class Property:
    """What one judge reads.

    Attributes:
        kind: Kind of property; ``observer`` for the SUVR that is not learned.
        outputs: Names of what it says: the column, the columns of several labels, the classes.
        cut: From which (above which, for probabilities) it says yes; NaN where it has none or takes the most
            probable class.
    """

    kind: str = "binary"
    outputs: tuple[str, ...] = ("label",)
    cut: float = 0.5

    @property
    def is_value(self) -> bool:
        """Whether it reads a number on a scale of its own rather than probabilities."""
        return self.kind in (*VALUE_KINDS, "observer")

    @property
    def decides(self) -> bool:
        """Whether it writes down a decision that can flip."""
        return self.kind == "multi_class" or not math.isnan(self.cut)

    @property
    def has_several_outputs(self) -> bool:
        """Whether a case has several outputs that are decided: classes or labels."""
        return self.kind in ("multi_class", "multi_label")

    @property
    def digits(self) -> int:
        """Decimals of its score in a sentence: values lie close to their cuts."""
        return 3 if self.is_value else 2

    @property
    def flip_text(self) -> str:
        """What a subject did that flipped, in the past tense."""
        return {
            "multi_class": "changed class",
            "multi_label": "changed in at least one label",
            "regression": f"crossed the cut of {self.cut:g}",
        }.get(self.kind, "changed diagnosis")

    @property
    def unit(self) -> str:
        """What its score is, for axes and sentences."""
        units = {"observer": OBSERVER, "regression": self.outputs[0], "segmentation": "volume, ml"}
        return units.get(self.kind, "probability")

    def decision_text(self, output: str, decision: float) -> str:
        """A decision on one output: the class or label itself, or positive and negative."""
        if math.isnan(decision):
            return "unknown"
        decided = "positive" if decision > 0.5 else "negative"
        return f"{output} {decided}" if self.kind == "multi_label" else decided


def target_property(target: "Target", pairs: Pairs) -> Property:
    """The property that a judge's target names in a table, which may name the classes (:func:`class_names`)."""
    if target.kind == "multi_class":
        return Property(target.kind, class_names(target, pairs), math.nan)
    if target.kind == "segmentation":
        column = target.columns[0]
        outputs = tuple(f"{column} {k}" for k in range(1, target.classes)) if target.classes > 2 else (column,)
        return Property(target.kind, outputs, math.nan)
    if target.kind in ("regression", "embedding"):
        outputs = target.columns if target.kind == "regression" else ("identity",)
        return Property(target.kind, outputs, math.nan if target.cut is None else target.cut)
    return Property(target.kind, target.columns, 0.5)


def class_names(target: "Target", pairs: Pairs) -> tuple[str, ...]:
    """Names of the classes: of a column of words in which each class has one of its own, else ``class 0``, ….

    A cohort of MR contrasts numbers them in ``label`` and names them in ``contrast``.
    """
    plain = tuple(f"class {k}" for k in range(target.classes))
    column = target.columns[0]
    numbers = [row.columns.get(column, "") for row in pairs]
    known = [k for k, text in enumerate(numbers) if text]
    if not known or min(numbers.count(n) for n in set(numbers) if n) < _MIN_CLASS_ROWS:
        return plain
    for name in pairs.columns:
        if name in REQUIRED or name == column:
            continue
        both = {(numbers[k], pairs.rows[k].columns.get(name, "")) for k in known}
        by_text = dict(both)
        if len(both) == len(by_text) == len(set(by_text.values())) > 1 and all(map(_is_word, by_text.values())):
            return tuple(next((w for t, w in by_text.items() if float(t) == k), own) for k, own in enumerate(plain))
    return plain


def check_columns(name: str, target: "Target", pairs: Pairs) -> None:
    """Refuse a judge whose property the table does not hold.

    Raises:
        UserError: It names judge, column and table.
    """
    absent = [column for column in target.columns if column not in pairs.columns]
    if absent:
        raise UserError(
            f"judge {name} reads {', '.join(absent)}, which {pairs.source} does not hold; its columns are "
            f"{', '.join(pairs.columns)}"
        )


def _is_word(text: str) -> bool:
    """A name rather than a number, nothing, or the path of an image."""
    try:
        float(text)
    except ValueError:
        return bool(text) and "/" not in text and not text.endswith((".nii", ".nii.gz"))
    return False


class EvaluationSettings(Settings):
    """How restored images are judged.

    Attributes:
        slices: Middle slices that a network reads; the paper takes 40.
        suvr_cut: Composite SUVR from which a case is positive (18F-florbetaben, cerebellar grey matter).
        false_lesions: False lesions an image that the lesion observer makes on clean validation images; its threshold
            follows from it.
    """

    slices: int = Field(default=40, ge=1)
    suvr_cut: float = Field(default=1.38, gt=0)
    false_lesions: float = Field(default=1.0, gt=0)


def evaluation_settings(**values: float) -> EvaluationSettings:
    """Settings from single values; :class:`~taskgan.core.errors.Problems` name all that are out of range."""
    return validated(EvaluationSettings, values, "evaluate cannot start")
