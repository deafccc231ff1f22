"""The hallucination rate: the share of patches with structure that neither clean nor measured image holds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.audit.certainty_tables import share_cell
from taskgan.audit.inputs import AuditInputs
from taskgan.audit.maps import same_contrast
from taskgan.audit.read import load_case
from taskgan.cohort.pairs import Pair
from taskgan.core.console import progress
from taskgan.images.photos import is_photo_name
from taskgan.images.volumes import read_volume
from taskgan.judges.readings import CLEAN, INPUT
from taskgan.metrics.hallucination import SIGMA_MM, patch_extremes, sigma_of, unsupported_structure
from taskgan.page.cells import Table, count_cell, display_name, name_cell, text_columns, text_table
from taskgan.page.style import axes_figure, method_style, save_figure
from taskgan.stats import Interval, mean_interval

PATCH_MM = 2 * SIGMA_MM
AGAIN = "clean, repeated"
_USUAL, _FALSE = 3.0, 0.05
_THRESHOLDS = np.linspace(0.25, 8.0, 32)
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class InventedStructure:
    """Extremes of every patch (:func:`~taskgan.metrics.hallucination.patch_extremes`).

    Attributes:
        patches: By image (a method, or :data:`AGAIN`, another clean acquisition of the same subject), then by subject.
    """

    patches: dict[str, dict[str, list[Floats]]]

    @property
    def threshold(self) -> float:
        """That 5 % of the patches of clean repeats exceed; three SD without any."""
        repeats = [abs(score) for mine in self.patches.get(AGAIN, {}).values() for part in mine for score in part]
        return float(np.quantile(repeats, 1 - _FALSE)) if repeats else _USUAL

    def rate(self, image: str, threshold: float, *, brighter: bool = False) -> Interval:
        """Share of patches beyond the threshold, mean over subjects; ``brighter``: above clean and measured only."""
        own = {subject: np.concatenate(parts) for subject, parts in self.patches[image].items()}
        sizes = (p if brighter else np.abs(p) for p in own.values())
        return mean_interval([float((p > threshold).mean()) if p.size else np.nan for p in sizes], list(own))

    def record(self) -> dict[str, Any]:
        """Threshold and rates, for ``audit.yaml``."""
        return {"threshold": self.threshold, "rates": {k: self.rate(k, self.threshold) for k in self.patches}}


def invented_structure(inputs: AuditInputs) -> InventedStructure:
    """Score all audited volumes whose measured image shows what the clean one does, and clean repeats of them."""
    patches: dict[str, dict[str, list[Floats]]] = {}
    volumes = [pair for pair in inputs.cases if not is_photo_name(pair.degraded)]
    with progress("patches", len(volumes), "cases") as bar:
        for pair in volumes:
            case = load_case(pair, inputs)
            clean, size, sigma = case.images[CLEAN], case.source.voxel_size, sigma_of(case.source.voxel_size)
            if same_contrast(case, sigma):
                shown = {r.method: case.images[r.method] for r in inputs.restorations if r.method in case.images}
                shown |= _repeat(pair, inputs, clean.shape)
                head = clean > 0.1 * float(np.percentile(clean, 99))
                x, y, z = (max(1, round(PATCH_MM / edge)) for edge in size)
                for name, image in shown.items():
                    structure = unsupported_structure(image, clean, case.images[INPUT], sigma)
                    own = patches.setdefault(name, {}).setdefault(pair.subject, [])
                    own.append(patch_extremes(structure, head, (x, y, z)))
            bar.advance()
    return InventedStructure(patches)


def _repeat(pair: Pair, inputs: AuditInputs, shape: tuple[int, ...]) -> dict[str, Floats]:
    """Another clean acquisition of the same subject, where the cohort has repeats (on the same grid)."""
    paths = {p.clean for p in inputs.pairs if p.subject == pair.subject and p.columns.get("repeat")}
    others = sorted(path for path in paths - {pair.clean} if path is not None)
    image = read_volume(others[0], axes=inputs.recipe.data.axes).data if others else None
    return {AGAIN: image} if image is not None and image.shape == shape else {}


def invented_table(structure: InventedStructure) -> Table:
    """A row an image; none where no measured image can contradict."""
    threshold = structure.threshold
    rows = []
    for name, by_subject in structure.patches.items():
        patches = sum(part.size for parts in by_subject.values() for part in parts)
        shares = (structure.rate(name, threshold, brighter=brighter) for brighter in (False, True))
        counts = count_cell(len(by_subject)), count_cell(patches)
        rows.append((name_cell(name, tone="strong"), *counts, *(share_cell(one, 1) for one in shares)))
    repeated = AGAIN in structure.patches
    how = "5 % of the patches of clean repeats exceed" if repeated else "is set: nobody was scanned again"
    return text_table("invented", text_columns("invented"), rows, threshold=threshold, how=how)


def invented_chart(structure: InventedStructure, path: Path) -> Path | None:
    """Operating curve: rate of each method against that of clean repeats, or against the threshold without any."""
    methods = [name for name in structure.patches if name != AGAIN]
    if not methods:
        return None
    repeated = AGAIN in structure.patches
    false = [structure.rate(AGAIN, t).estimate for t in _THRESHOLDS] if repeated else list(_THRESHOLDS)
    with axes_figure(1, 1, (5.2, 3.4)) as (figure, axes):
        axis = axes[0][0]
        for method in methods:
            rates = [structure.rate(method, t).estimate for t in _THRESHOLDS]
            axis.plot(false, rates, color=method_style(method, methods)[0], label=display_name(method))
        if repeated:
            axis.plot([0, 1], [0, 1], color="#444444", linewidth=0.8)
        else:
            axis.axvline(structure.threshold, color="#444444", linewidth=0.8, linestyle=(0, (4, 3)))
        axis.set_xlabel("Rate on clean repeats" if repeated else "Threshold (SD of the measured image’s noise)")
        axis.set_ylabel("Rate on restored images")
        axis.legend()
        return save_figure(figure, path)
