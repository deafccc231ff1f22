"""Settings of an audit."""

from typing import Any

from pydantic import Field

from taskgan.core.settings import validated
from taskgan.judges.properties import Property
from taskgan.judges.settings import EvaluationSettings


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


def audit_settings(**values: Any) -> AuditSettings:
    """Settings from single values.

    Raises:
        Problems: Every value that is out of range.
    """
    return validated(AuditSettings, values, "audit cannot start")


_CHANGED = {"multi_class": "class", "multi_label": "labels", "regression": "value", "segmentation": "masks"}
UNIT = "The unit is the subject: one with several cases counts once, as flipped or wrongly read if any of them is."


def audit_question(prop: Property) -> str:
    """The page's title."""
    return f"Audit: did the restoration change the {_CHANGED.get(prop.kind, 'diagnosis')}?"


def term_definitions(prop: Property, *, decided: bool) -> tuple[tuple[str, str, str], ...]:
    """What the words of the verdict mean: article, term and the rest of its sentence.

    ``decided`` says whether anybody decides, and so can flip.
    """
    ways = {
        "multi_class": "sees another class in the restored image than in the clean one",
        "multi_label": "sets or takes back a label in the restored image, against the clean one",
        "regression": f"puts the restored image on the other side of the cut ({prop.cut:g}) than the clean one",
    }
    terms: list[tuple[str, str, str]] = []
    if decided:
        way = ways.get(prop.kind) if prop.decides else None
        way = way or "decides otherwise on the restored image than on the clean one"
        terms.append(("A", "flip", f"is a judge that {way} of the same subject, whoever is right."))
        terms.append(("An", "error", "is a decision that differs from the label."))
    if prop.kind == "regression":
        meaning = (
            "is the mean of restored − clean value, limits of agreement say where the difference of a single case "
            "lies, the slope is that of restored on clean values (1 keeps differences between subjects)."
        )
        terms.append(("The", "bias", meaning))
    if prop.kind == "segmentation":
        meaning = "is twice the overlap of two masks over the sum of their sizes; 1 is the same mask."
        terms.append(("The", "Dice coefficient", meaning))
    return tuple(terms)


def evidence_legend(prop: Property) -> str:
    """What the colours of an evidence map stand for."""
    return {
        "multi_class": "towards the class of the restored image (orange) or away from it (purple)",
        "regression": "to a higher (orange) or lower value (purple)",
    }.get(prop.kind, "towards “positive” (orange) or “negative” (purple)")


def p_value_text(p: float) -> str:
    """A p-value for a cell; small ones are not shown as zero."""
    return "–" if p != p else "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
