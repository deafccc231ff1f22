"""The maps of one flipped case, for the figure: one slice of evidence and of what of it stands against the data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from taskgan.audit.judges import Judge, audited_target
from taskgan.audit.outcome import AuditResult
from taskgan.cohort.slices import to_slices
from taskgan.judges.properties import OBSERVER
from taskgan.judges.read import LoadedCase
from taskgan.judges.readings import CLEAN, INPUT
from taskgan.judges.volumes import middle_slices
from taskgan.metrics.hallucination import (
    contradiction,
    hallucination_map,
    logit_of,
    sigma_of,
    support_map,
    suvr_evidence,
)
from taskgan.page.cells import number
from taskgan.page.style import axial_view

Array = NDArray[np.float32]
EVIDENCE, AGAINST, SUPPORT, DEPARTURE = "Evidence", "Against the data", "Support z", "|Restored − clean|"
_MIN_CORRELATION = 0.9
_OTHER_CONTRAST = (
    "The measured image is too unlike the clean one to contradict anything (smoothed, they correlate under "
    f"{_MIN_CORRELATION} inside the head: another contrast, or too much noise)."
)


@dataclass(frozen=True)
class CaseMaps:
    """Maps of one case in the file's axes.

    Attributes:
        judge: Whose decision they explain.
        index: The slice that is shown, along the file's third axis.
        volumes: (X, Y, Z) by title; evidence is smoothed by G_σ in the plane for display, which keeps its sum.
        unit: Of evidence.
        caption: What the figures say, for the caption.
        min_limit: The colours reach at least so far from zero.
    """

    judge: str
    index: int
    volumes: Mapping[str, Array] = field(repr=False)
    unit: str
    caption: str
    min_limit: float = 1e-9

    def axial_slice(self, affine: NDArray[np.float64], count: int) -> int:
        """The shown slice's place among the ``count`` slices of the displayed volume."""
        volume = next(iter(self.volumes.values()))
        marker = np.zeros(volume.shape, dtype=np.float32)
        marker[:, :, self.index] = 1
        return min(int(np.argmax(axial_view(marker, affine).sum(axis=(0, 1)))), count - 1)


def case_maps(outcome: AuditResult, row: pd.Series, case: LoadedCase, steps: int) -> CaseMaps:
    """Explain a flip: by the fit network that flipped by the largest margin, else by the observer.

    ``row`` is one of the table of flipped cases, ``steps`` are points along the path.
    """
    method = outcome.method
    sigma = sigma_of(case.source.voxel_size)
    support = support_map(case.images[method], case.images[INPUT], sigma) if same_contrast(case, sigma) else None
    turned = [name for name in outcome.readings.deciding_judges if row[f"{name}_direction"]]
    ordered = sorted(turned, key=lambda n: (n not in outcome.fit, n == OBSERVER, -float(row[f"{n}_margin"])))
    networks = {judge.name: judge for judge in outcome.judges}
    for name in ordered:
        if name == OBSERVER:
            return _observer_maps(case, method, support, sigma, steps)
        if hasattr(networks[name].reader, "network"):  # whose gradient can be taken
            return _network_maps(outcome, networks[name], row, case, support, sigma, steps)
    departure = np.abs(case.images[method] - case.images[CLEAN])
    index = int(np.argmax(departure.sum(axis=(0, 1))))
    if support is None:
        return CaseMaps(ordered[0], index, {DEPARTURE: departure}, "image units", _OTHER_CONTRAST)
    caption = "Support z: departure of the restoration from the measured image, in local standard deviations."
    return CaseMaps(ordered[0], index, {SUPPORT: support}, "SD", caption, 4.0)


def same_contrast(case: LoadedCase, sigma: tuple[float, ...]) -> bool:
    """Whether the measured image shows what the clean one does, up to noise, so that it can contradict at all.

    A synthesised image, such as an MR contrast, is of another contrast than what it was made of. Inside the head
    only: the head's outline is alike in all of them. Measured on simulated images, smoothed by 4 mm: .97 to .99
    between 1 % and standard dose PET, −.7 to .88 between an MR acquisition and T1w, T1-FLAIR, T2w, T2-FLAIR and STIR.
    """
    clean = case.images[CLEAN]
    head = clean > 0.1 * float(np.percentile(clean, 99))
    ours, theirs = (ndimage.gaussian_filter(case.images[k].astype(np.float64), sigma)[head] for k in (INPUT, CLEAN))
    if not (ours.size and np.ptp(ours) > 0 and np.ptp(theirs) > 0):
        return True
    return float(np.corrcoef(ours, theirs)[0, 1]) >= _MIN_CORRELATION


@dataclass(frozen=True)
class _ScoreOutput:
    """What moved a judge's decision, as one number of a slice.

    Attributes:
        positive: Output of the network.
        negative: Output that it stands against, of classes.
        scale: Of the output, in the unit of the score.
        name: What the score of a slice is called.
        unit: What the evidence adds up to.
    """

    positive: int = 0
    negative: int | None = None
    scale: float = 1.0
    name: str = "probability"
    unit: str = "logit"

    def score(self, predictions: Array) -> Array:
        """(S,) of what was read of slices, (S,) or (S, n)."""
        return predictions if predictions.ndim == 1 else predictions[:, self.positive]


def _score_output(outcome: AuditResult, judge: Judge, row: pd.Series) -> _ScoreOutput:
    prop, names = outcome.readings.property_of(judge.name), outcome.readings.outputs(judge.name)
    if prop.kind == "regression":
        scale = audited_target(judge, outcome.inputs).scale or 1.0
        return _ScoreOutput(scale=scale, name=prop.unit, unit=prop.unit)
    if not prop.has_several_outputs:
        return _ScoreOutput()
    now = names.index(str(row[f"{judge.name}_output"]))
    called = f"probability of {names[now]}"
    if prop.kind == "multi_label":
        return _ScoreOutput(now, name=called)
    then = names.index(str(row[f"{judge.name}_direction"]).removesuffix(f" to {names[now]}"))
    return _ScoreOutput(now, then, name=called, unit=f"logit of {names[now]} against {names[then]}")


def _network_maps(
    outcome: AuditResult,
    judge: Judge,
    row: pd.Series,
    case: LoadedCase,
    support: Array | None,
    sigma: tuple[float, ...],
    steps: int,
) -> CaseMaps:
    method = outcome.method
    output = _score_output(outcome, judge, row)
    before, after = (
        output.score(judge.reader.read(case.reader_slices(image, outcome.slices))) for image in (CLEAN, method)
    )
    gap = after - before
    place = int(np.argmax(gap * np.sign(gap.mean(dtype=np.float64) or 1.0)))
    stacks = {k: to_slices(v) for k, v in case.images.items()}
    count = len(next(iter(stacks.values())))
    index = int(middle_slices(np.arange(count, dtype=np.float32), len(gap))[place])
    slices = {k: v[index : index + 1] / np.float32(case.scale) for k, v in stacks.items()}
    reader: Any = judge.reader
    maps = hallucination_map(
        logit_of(reader.network, output.positive, output.negative, output.scale),
        slices[method],
        slices[INPUT],
        slices[CLEAN],
        (0.0, *sigma[:2]),
        support=None if support is None else to_slices(support)[index : index + 1],
        steps=steps,
    )
    change, digits = float(maps.change[0]), outcome.readings.property_of(judge.name).digits
    caption = (
        f"Slice {index + 1}, where {judge.name} changes its mind most ({output.name} "
        f"{number(float(before[place]), digits)} → {number(float(after[place]), digits)}): the evidence adds up "
        f"to a change of the {output.unit} of {number(change, 2, sign=True)} (path error "
        f"{abs(float(maps.residual[0])):.2f})"
    )
    shape = case.images[CLEAN].shape
    volumes = {EVIDENCE: _smooth_in_plane(_as_volume(maps.evidence[0], index, shape), sigma)}
    if support is not None:
        volumes[AGAINST] = _smooth_in_plane(_as_volume(maps.against[0], index, shape), sigma)
    caption += _contradicted_share(maps.evidence, None if support is None else maps.against)
    return CaseMaps(judge.name, index, volumes, f"{output.unit.partition(' ')[0]} per voxel", caption)


def _observer_maps(
    case: LoadedCase, method: str, support: Array | None, sigma: tuple[float, ...], steps: int
) -> CaseMaps:
    evidence = suvr_evidence(
        case.images[method], case.images[CLEAN], case.masks["cortex"], case.masks["reference"], steps
    )
    against = None if support is None else evidence * contradiction(support)
    total = float(evidence.sum(dtype=np.float64))
    index = int(np.argmax(evidence.sum(axis=(0, 1)) * (np.sign(total) or 1.0)))
    caption = f"The evidence of the whole volume adds up to a change of the SUVR of {number(total, 3, sign=True)}"
    volumes = {EVIDENCE: _smooth_in_plane(evidence, sigma)}
    if against is not None:
        volumes[AGAINST] = _smooth_in_plane(against, sigma)
    return CaseMaps(OBSERVER, index, volumes, "SUVR per voxel", caption + _contradicted_share(evidence, against))


def _contradicted_share(evidence: Array, against: Array | None) -> str:
    """How a caption ends: how much of the evidence the measured image contradicts, if it can."""
    if against is None:
        return f". {_OTHER_CONTRAST}"
    total, part = float(evidence.sum(dtype=np.float64)), float(against.sum(dtype=np.float64))
    if abs(total) < 1e-9:
        return ", which is none."
    return f", of which {number(100 * part / total, 0)} % against what the measured image says."


def _as_volume(plane: Array, index: int, shape: tuple[int, ...]) -> Array:
    volume = np.zeros(shape, dtype=np.float32)
    volume[:, :, index] = plane
    return volume


def _smooth_in_plane(volume: Array, sigma: tuple[float, ...]) -> Array:
    smoothed: Array = ndimage.gaussian_filter(volume, (sigma[0] / 2, sigma[1] / 2, 0), mode="constant")
    return smoothed
