"""How a setting is shown: what it is to the choice, its sign in tables, its marker in figures, its order."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from taskgan.sweep.choose import SettingChoice
from taskgan.sweep.results import SettingResult

CHOSEN, OTHER, PALE, REFERENCE = "#C44601", "#0072B2", "#767676", "#000000"


@dataclass(frozen=True)
class MarkerStyle:
    """How one kind of setting looks.

    Attributes:
        name: In legends.
        sign: In the printed table.
        marker: Of matplotlib, with its face and edge colour and size in points.
        face: See ``marker``.
        edge: See ``marker``.
        size: See ``marker``.
    """

    name: str
    sign: str
    marker: str
    face: str
    edge: str
    size: float


MARKER_STYLES = (
    MarkerStyle("chosen", "*", "*", CHOSEN, "white", 15),
    MarkerStyle("tie with the chosen", "=", "o", OTHER, OTHER, 6),
    MarkerStyle("differs from the chosen", " ", "o", "white", OTHER, 6),
    MarkerStyle("not eligible", "-", "s", "white", PALE, 5),
    MarkerStyle("reference", "r", "D", REFERENCE, REFERENCE, 5.5),
)


def marker_style(result: SettingResult, choice: SettingChoice) -> MarkerStyle:
    """What a finished setting is to the choice. A tie that is not eligible is not eligible."""
    chosen, tie, differs, barred, reference = MARKER_STYLES
    if result.label == choice.chosen:
        return chosen
    if not result.candidate:
        return reference
    if result.label not in choice.eligible:
        return barred
    return tie if result.label in choice.ties else differs


def ranked(results: Sequence[SettingResult], choice: SettingChoice) -> list[SettingResult]:
    """The chosen setting first, then the eligible by the measure that decided, the others, the reference, and what
    came to no end.
    """
    order = {"chosen": 0, "not eligible": 2, "reference": 3}

    def rank(result: SettingResult) -> tuple[int, float]:
        """Group of a setting, and its place within it: the best first."""
        if result.status != "finished":
            return 4, 0.0
        value = result.intervals[choice.metric].estimate
        value = -value if choice.metric == "psnr" else value
        return order.get(marker_style(result, choice).name, 1), math.inf if math.isnan(value) else value

    return sorted(results, key=rank)
