"""Observers that are not networks: what they measure of one image, for every row that names the masks they need.

An observer is asked where a row has its masks, and nothing else decides: a cohort with tissue masks gets its
contrasts. A cohort that says how its inputs were made gets back-projection errors, for which no mask is needed. The
SUVR, which decides, is read as judges read (:func:`taskgan.judges.read.read_suvr`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from taskgan.degrade.degradation import Degradation
from taskgan.judges.lesions import (
    LEAST,
    Detector,
    detectability,
    detected_lesions,
    false_lesions,
    map_lesions,
    observer_image,
    signal_to_noise,
)
from taskgan.metrics.quality import checkerboard, data_range
from taskgan.metrics.regions import brain_csf_border, region_ratio, rim_ratio

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]
Columns = dict[str, float | int | None]
SMALL_MM3 = np.pi / 6 * 15.0**3
"""Volume under which a finding counts as small: three times the resolution of a clinical scanner across."""


@dataclass(frozen=True)
class ObserverView:
    """One image as it is shown to an observer.

    Attributes:
        image: (X, Y, Z) in its own units.
        clean: (X, Y, Z) of the same case.
        masks: Of the row, by column; those that it names.
        voxel_mm: Edges of a voxel.
        condition: Which of several images of a subject it is, e.g. the contrast; empty where there is one kind.
        degraded: (X, Y, Z), the input of the same case; None where nobody asks for it.
        truth: (X, Y, Z), what was really there, in the image's units; None where that is not known.
        span: Width of the values that the images can have, or None for that of the clean image.
    """

    image: Image = field(repr=False)
    clean: Image = field(repr=False)
    masks: Mapping[str, Mask] = field(repr=False)
    voxel_mm: tuple[float, float, float]
    condition: str = ""
    degraded: Image | None = field(default=None, repr=False)
    span: float | None = None
    truth: Image | None = field(default=None, repr=False)


@dataclass(frozen=True)
class ImageValue:
    """A value of an image and, as ``_error``, what it is more than that of the clean image.

    Attributes:
        name: Of the value.
        needs: Masks.
        prepared: Gives what measures an image, by the masks of its row.
    """

    name: str
    needs: tuple[str, ...]
    prepared: Callable[[Mapping[str, Mask]], Callable[[Image], float]]

    def measure(self, view: ObserverView) -> Columns:
        """The value and its error."""
        return _with_error(self.name, view, self.prepared(view.masks))


def _with_error(name: str, view: ObserverView, measure: Callable[[Image], float]) -> Columns:
    value = measure(view.image)
    truth = value if view.image is view.clean else measure(view.clean)
    return {name: value, f"{name}_error": value - truth}


def _white_ratio(region: str, least: int) -> Callable[[Mapping[str, Mask]], Callable[[Image], float]]:
    """A region's mean over that of white matter (:func:`taskgan.metrics.regions.region_ratio`)."""
    return lambda masks: partial(region_ratio, region=masks[region], reference=masks["white"], least=least)


def _rim(masks: Mapping[str, Mask]) -> Callable[[Image], float]:
    """The bright rim at CSF, see :mod:`taskgan.metrics.regions`; lesions are left out where they are known."""
    edge = brain_csf_border(masks["brain"], masks["csf"], without=masks.get("lesions"))
    return partial(rim_ratio, edge=edge, white=masks["white"])


@dataclass(frozen=True)
class Lesions:
    """What a matched filter, one for each condition, finds, see :mod:`taskgan.judges.lesions`."""

    detectors: Mapping[str, Detector]
    needs: tuple[str, ...] = ("lesions", "brain", "white")

    def measure(self, view: ObserverView) -> Columns:
        """``lesion_auc`` and ``lesion_snr``; numbers of lesions: ``lesions_true``, ``_found`` and ``_false``."""
        lesions, brain, white = (view.masks[name] for name in self.needs)
        detector = self.detectors.get(view.condition)
        lesion_map = map_lesions(lesions, white, view.voxel_mm)
        columns: Columns = {"lesions_true": lesion_map.count}
        if detector is None:
            return columns
        observed = observer_image(view.image, view.clean, brain, white, lesion_map, view.voxel_mm)
        if observed is None:
            return columns
        response = detector.respond(observed)
        columns["lesion_auc"] = detectability(response, lesion_map)
        columns["lesion_snr"] = signal_to_noise(response, lesion_map)
        if np.isfinite(detector.threshold):
            columns["lesions_found"] = detected_lesions(response, lesion_map, detector.threshold)
            columns["lesions_false"] = false_lesions(response, lesion_map, detector.threshold)
        return columns


def _coefficients(image: Image, truth: Image, parts: NDArray[Any], count: int) -> NDArray[np.float64]:
    numbers = np.arange(1, count + 1)
    return np.asarray(ndimage.mean(image, parts, numbers) / ndimage.mean(truth, parts, numbers), dtype=np.float64)


def findings(view: ObserverView) -> list[dict[str, float]]:
    """Each finding of :class:`Recovery` by itself, for ``recovery.csv``; none without the truth.

    ``diameter_mm`` is that of a ball of its volume, ``contrast`` its true mean over the true median of what lies within
    two voxels around it, ``recovery`` its coefficient.
    """
    parts, count = ndimage.label(view.masks.get("findings", np.zeros(1, dtype=bool)))
    if view.truth is None or not count:
        return []
    rows = []
    for number, recovery in enumerate(_coefficients(view.image, view.truth, parts, count), start=1):
        own = parts == number
        shell = view.truth[ndimage.binary_dilation(own, iterations=2) & (parts == 0)]
        around = float(np.median(shell)) if shell.size else 0.0
        contrast = float(view.truth[own].mean()) / around if around > 0 else np.nan
        diameter = float(np.cbrt(6 * own.sum() * np.prod(view.voxel_mm) / np.pi))
        rows.append({"finding": number, "diameter_mm": diameter, "contrast": contrast, "recovery": float(recovery)})
    return rows


@dataclass(frozen=True)
class Recovery:
    """How much of the true uptake of lesions and spheres an image shows (NEMA NU 2's recovery coefficients).

    A finding is a connected part of ``findings``; its coefficient is the image's mean there over the true one.
    """

    needs: tuple[str, ...] = ("findings",)

    def measure(self, view: ObserverView) -> Columns:
        """``recovery`` of all and ``recovery_small`` of those under a 15 mm sphere's volume, with errors."""
        parts, count = ndimage.label(view.masks["findings"])
        if view.truth is None or not count:
            return {}
        coefficients = partial(_coefficients, truth=view.truth, parts=parts, count=count)
        small = np.bincount(parts.ravel())[1:] * np.prod(view.voxel_mm) < SMALL_MM3
        columns = _with_error("recovery", view, lambda image: float(coefficients(image).mean()))
        if small.any():
            columns |= _with_error("recovery_small", view, lambda image: float(coefficients(image)[small].mean()))
        return columns


@dataclass(frozen=True)
class BackProjection:
    """Whether an image, degraded again by what made the cohort's inputs, gives the input (``consistency``)."""

    degradation: Degradation
    needs: tuple[str, ...] = ()

    def measure(self, view: ObserverView) -> Columns:
        """``back_projection``: RMSE over the low-resolution pixels of all slices, as a share of the range."""
        if view.degraded is None:
            return {}
        span = view.span if view.span is not None else data_range(view.clean)
        return {"back_projection": self.degradation.consistency(view.image, view.degraded) / span}


Observer = ImageValue | Lesions | Recovery | BackProjection
"""Measures an image by the masks of its row; without those in ``needs`` it has nothing to say."""


def observers(detectors: Mapping[str, Detector], degradation: Degradation | None = None) -> tuple[Observer, ...]:
    """All observers of an evaluation.

    Args:
        detectors: Of lesions, by condition; may be empty.
        degradation: What made the inputs, where the cohort says so.
    """
    ratios = (("grey_white", "grey", 1), ("csf_white", "csf", 1), ("lesion_white", "lesions", LEAST))
    return (
        *(ImageValue(name, (region, "white"), _white_ratio(region, least)) for name, region, least in ratios),
        ImageValue("rim", ("brain", "csf", "white"), _rim),
        ImageValue("checkerboard", ("brain",), lambda masks: partial(checkerboard, region=masks["brain"])),
        Lesions(detectors),
        Recovery(),
        *([] if degradation is None else [BackProjection(degradation)]),
    )


def observe(selected: Sequence[Observer], view: ObserverView) -> Columns:
    """The columns of all observers whose masks the row has."""
    columns: Columns = {}
    for one in selected:
        if view.masks.keys() >= set(one.needs):
            columns |= one.measure(view)
    return columns
