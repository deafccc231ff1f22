"""The maps of one flipped case, for the figure: one slice of evidence and of what of it stands against the data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from taskgan.audit.hallucination import (
    contradiction,
    hallucination_map,
    logit_of,
    sigma_of,
    support_map,
    suvr_evidence,
)
from taskgan.audit.judges import OBSERVER, Judge
from taskgan.audit.outcome import Outcome
from taskgan.audit.readings import CLEAN, INPUT, Loaded
from taskgan.cohort.slices import to_slices
from taskgan.recogniser.decision import middle_slices
from taskgan.report.cells import number
from taskgan.report.images import axial

Array = NDArray[np.float32]
EVIDENCE, AGAINST, SUPPORT = "Evidence", "Against the data", "Support z"


@dataclass(frozen=True)
class CaseMaps:
    """Maps of one case in the file's axes.

    Attributes:
        judge: Whose decision they explain.
        index: The slice that is shown, along the file's third axis.
        volumes: (X, Y, Z) by title; evidence is smoothed by G_σ in the plane for display, which keeps its sum.
        unit: Of evidence.
        words: What the figures say, for the caption.
        least: The colours reach at least so far from zero.
    """

    judge: str
    index: int
    volumes: Mapping[str, Array] = field(repr=False)
    unit: str
    words: str
    least: float = 1e-9

    def axial_slice(self, affine: NDArray[np.float64], count: int) -> int:
        """The shown slice's place among the ``count`` slices of the displayed volume."""
        volume = next(iter(self.volumes.values()))
        marker = np.zeros(volume.shape, dtype=np.float32)
        marker[:, :, self.index] = 1
        return min(int(np.argmax(axial(marker, affine).sum(axis=(0, 1)))), count - 1)


def case_maps(outcome: Outcome, row: pd.Series, case: Loaded, steps: int) -> CaseMaps:
    """Explain a flip: by the fit network that flipped by the largest margin, else by the observer.

    Args:
        outcome: For judges and readings.
        row: Of the table of flipped cases.
        case: Its images.
        steps: Points along the path.
    """
    method = outcome.method
    sigma = sigma_of(case.source.voxel_size)
    support = support_map(case.images[method], case.images[INPUT], sigma)
    turned = [name for name in outcome.readings.deciders if row[f"{name}_direction"]]
    ordered = sorted(turned, key=lambda n: (n not in outcome.fit, n == OBSERVER, -float(row[f"{n}_margin"])))
    networks = {judge.name: judge for judge in outcome.judges}
    for name in ordered:
        if name == OBSERVER:
            return _observer(case, method, support, sigma, steps)
        if _differentiable(networks[name]):
            return _network(outcome, networks[name], case, support, sigma, steps)
    departure = np.abs(case.images[method] - case.images[CLEAN]).sum(axis=(0, 1))
    words = "Support z: departure of the restoration from the measured image, in local standard deviations."
    return CaseMaps(ordered[0], int(np.argmax(departure)), {SUPPORT: support}, "SD", words, 4.0)


def _network(
    outcome: Outcome, judge: Judge, case: Loaded, support: Array, sigma: tuple[float, ...], steps: int
) -> CaseMaps:
    method, name = outcome.method, case.pair.case
    before, after = (outcome.readings.slices[name, image, judge.name] for image in (CLEAN, method))
    gap = after - before
    place = int(np.argmax(gap * np.sign(gap.mean(dtype=np.float64) or 1.0)))
    stacks = {k: to_slices(v) for k, v in case.images.items()}
    count = len(next(iter(stacks.values())))
    index = int(middle_slices(np.arange(count, dtype=np.float32), len(gap))[place])
    one = {k: v[index : index + 1] / np.float32(case.scale) for k, v in stacks.items()}
    reader: Any = judge.reader
    found = hallucination_map(
        logit_of(reader.network),
        one[method],
        one[INPUT],
        one[CLEAN],
        (0.0, *sigma[:2]),
        support=to_slices(support)[index : index + 1],
        steps=steps,
    )
    change = float(found.change[0])
    words = (
        f"Slice {index + 1}, where {judge.name} changes its mind most (probability {before[place]:.2f} → "
        f"{after[place]:.2f}): the evidence adds up to a change of the logit of {number(change, 2, sign=True)} (path "
        f"error {abs(float(found.residual[0])):.2g}), {_share(found.evidence, found.against)}."
    )
    volumes = {
        EVIDENCE: _smoothed(_back(found.evidence[0], index, support.shape), sigma),
        AGAINST: _smoothed(_back(found.against[0], index, support.shape), sigma),
    }
    return CaseMaps(judge.name, index, volumes, "logit per voxel", words)


def _observer(case: Loaded, method: str, support: Array, sigma: tuple[float, ...], steps: int) -> CaseMaps:
    evidence = suvr_evidence(
        case.images[method], case.images[CLEAN], case.masks["cortex"], case.masks["reference"], steps
    )
    against = (evidence * contradiction(support)).astype(np.float32)
    total = float(evidence.sum(dtype=np.float64))
    by_slice = evidence.sum(axis=(0, 1)) * (np.sign(total) or 1.0)
    words = (
        f"The evidence of the whole volume adds up to a change of the SUVR of {number(total, 3, sign=True)}, "
        f"{_share(evidence, against)}."
    )
    volumes = {EVIDENCE: _smoothed(evidence, sigma), AGAINST: _smoothed(against, sigma)}
    return CaseMaps(OBSERVER, int(np.argmax(by_slice)), volumes, "SUVR per voxel", words)


def _share(evidence: Array, against: Array) -> str:
    total, part = float(evidence.sum(dtype=np.float64)), float(against.sum(dtype=np.float64))
    if abs(total) < 1e-9:
        return "which is none"
    return f"of which {100 * part / total:.0f} % against what the measured image says"


def _back(plane: Array, index: int, shape: tuple[int, ...]) -> Array:
    volume = np.zeros(shape, dtype=np.float32)
    volume[:, :, index] = plane
    return volume


def _smoothed(volume: Array, sigma: tuple[float, ...]) -> Array:
    smoothed: Array = ndimage.gaussian_filter(volume, (sigma[0] / 2, sigma[1] / 2, 0), mode="constant")
    return smoothed


def _differentiable(judge: Judge) -> bool:
    """Whether the judge is a network with one logit."""
    reader = judge.reader
    return hasattr(reader, "network") and judge.card.get("outputs", 1) == 1
