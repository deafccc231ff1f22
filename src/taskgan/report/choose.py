"""Which cases, slice and detail Figure 3 shows: by rule, so that nobody can pick what looks well."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from taskgan.report.load import Comparison
from taskgan.report.metrics import PSNR
from taskgan.report.names import display_name
from taskgan.report.paired import by_case

RULE = (
    "Cases: sorted by the PSNR difference of {focus} to {baseline}, the median and the worst one for {focus} among "
    "the positive and among the negative cases. Slice: the axial one with the most cortex (without a cortex "
    "mask, with the highest uptake). Detail: where {focus} and {baseline} differ most. Seed: the lowest."
)
_RULE_OF_PHOTOS = (
    "Cases: sorted by the PSNR difference of {focus} to {baseline}, the median and the worst one for {focus}. "
    "Detail: where {focus} and {baseline} differ most. Seed: the lowest."
)


@dataclass(frozen=True)
class SelectedCase:
    """A case of Figure 3.

    Attributes:
        case: Its name.
        criterion: The rule that picked it, e.g. ``median positive``.
        psnr_difference: PSNR difference of the focus method to the baseline, dB.
    """

    case: str
    criterion: str
    psnr_difference: float


def selection_rule(comparison: Comparison) -> str:
    """The rule in words, with the methods' names."""
    template = _RULE_OF_PHOTOS if comparison.photos else RULE
    return template.format(focus=display_name(comparison.focus), baseline=display_name(comparison.baseline))


def choose_cases(comparison: Comparison) -> list[SelectedCase]:
    """Median and worst case of each label (of all cases where labels are unknown), each case once."""
    gap = psnr_differences(comparison)
    labels = comparison.frame.drop_duplicates("case").set_index("case")["label"]
    groups: list[tuple[str, pd.Series]] = []
    # Of photos labels are mostly names, as those of people, and not signs of a disease.
    for word, positive in () if comparison.photos else (("positive", True), ("negative", False)):
        cases = [c for c in gap.index if labels[c] == labels[c] and (labels[c] > 0.5) == positive]
        groups.append((word, gap[cases]))
    if not any(len(differences) for _, differences in groups):
        groups = [("case", gap)]
    chosen: dict[str, SelectedCase] = {}
    for word, differences in groups:
        ordered = differences.sort_values(kind="stable")
        if not len(ordered):
            continue
        for why, place in (("median", (len(ordered) - 1) // 2), ("worst", 0)):
            case = str(ordered.index[place])
            chosen.setdefault(case, SelectedCase(case, f"{why} {word}", float(ordered.iloc[place])))
    return list(chosen.values())


def psnr_differences(comparison: Comparison) -> pd.Series:
    """PSNR of the focus method minus that of what it is set against, by case; its own where there is nothing."""
    own = by_case(comparison, comparison.focus, PSNR)
    if comparison.contrast_method is not None:
        own = own - by_case(comparison, comparison.contrast_method, PSNR)
    return own.dropna()


def choose_slice(clean: NDArray[np.float32], cortex: NDArray[np.bool_] | None) -> int:
    """Index along the third axis of the slice with the most cortex, else with the highest uptake."""
    amount = cortex.sum(axis=(0, 1)) if cortex is not None and cortex.any() else clean.sum(axis=(0, 1))
    return int(np.argmax(amount))


def choose_detail(difference: NDArray[np.float32], share: float = 0.36) -> tuple[slice, slice]:
    """The square window in which |gap| is largest.

    Args:
        psnr_difference: Difference of two images (H, W).
        share: Side of the window over the shorter side of the image.

    Returns:
        Slices of rows and columns, inside the image.
    """
    side = max(4, round(share * min(difference.shape)))
    mass = ndimage.uniform_filter(np.abs(difference).astype(np.float64), side, mode="constant")
    half = side // 2
    inside = mass[half : difference.shape[0] - side + half + 1, half : difference.shape[1] - side + half + 1]
    row, column = (int(i) for i in np.unravel_index(int(np.argmax(inside)), inside.shape))
    return slice(row, row + side), slice(column, column + side)
