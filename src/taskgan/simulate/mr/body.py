"""A subject's body as the scanner has it: fractions of all tissues, healthy and not, and the masks of the truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from taskgan.physics.tissues import TISSUES, index
from taskgan.simulate.anatomy import DETAILED, Anatomy, regions_at
from taskgan.simulate.anatomy import index as region
from taskgan.simulate.deform import Grid, Head, HeadShape, Interpolation, sample
from taskgan.simulate.mr.lesions import Disease, replaced_fractions

Array = NDArray[np.float32]
Profile = Sequence[tuple[float, float]]

# A selective pulse's slice counts less at its faces than in its middle: heights in slices, weights.
PROFILE: Profile = ((-0.45, 0.18), (-0.15, 0.32), (0.15, 0.32), (0.45, 0.18))
_PURE = {"white": 0.9, "grey": 0.7, "csf": 0.7}
"""From which fraction a voxel counts as one tissue; thick slices leave little cortex that is purer."""
_BRAIN = ("grey", "white", "deep_grey", "plaque", "tumour", "oedema")
_LESIONS = ("plaque", "tumour", "oedema")


@dataclass(frozen=True)
class Movement:
    """Where the head is against the input: scanner coordinates r are the head's ``rotation @ r + shift``.

    Attributes:
        rotation: (3, 3).
        shift: (3,) mm.
    """

    rotation: NDArray[np.float64]
    shift: NDArray[np.float64]

    @classmethod
    def none(cls) -> "Movement":
        """The head as it lay in the input."""
        return cls(np.eye(3), np.zeros(3))


def scanned_head(anatomy: Anatomy | Interpolation, grid: Grid, shape: HeadShape, movement: Movement) -> Head:
    """The healthy head on the grid, resampled from its anatomy: a movement blurs nothing."""
    return sample(anatomy, grid, shape.moved(movement.rotation, movement.shift), PROFILE)


def body(head: Head, disease: Disease, grid: Grid, movement: Movement) -> Array:
    """Fractions of all tissues (T, X, Y, Z) in the order of ``tissues.TISSUES``; what is missing to 1 is air.

    A tumour replaces all of the brain, oedema white matter alone, and a plaque white matter and half as much
    grey. Grey matter of striatum and thalamus is deep grey.

    Args:
        head: Healthy, where it was scanned.
        disease: In the coordinates of the head.
        grid: The scanner's voxels.
        movement: The head's.
    """
    fractions = np.zeros((len(TISSUES), *grid.shape), dtype=np.float32)
    fractions[: len(DETAILED)] = head.fractions
    regions = regions_at(head.points)
    deep = np.isin(regions, (region("striatum"), region("thalamus")))
    grey = fractions[index("grey")]
    fractions[index("deep_grey")][deep] = grey[deep]
    grey[deep] = 0.0
    replaced = (
        ("tumour", disease.tumour, {"grey": 1.0, "white": 1.0, "csf": 1.0, "deep_grey": 1.0}),
        ("oedema", disease.oedema, {"white": 1.0}),
        ("plaque", disease.plaques, {"white": 1.0, "grey": 0.5}),
    )
    for name, blobs, taken in replaced:
        if not blobs:
            continue
        share = replaced_fractions(blobs, grid, PROFILE, movement.rotation, movement.shift)
        for tissue, part in taken.items():
            lost = fractions[index(tissue)] * share * np.float32(part)
            fractions[index(tissue)] -= lost
            fractions[index(name)] += lost
    return fractions


def truth_masks(fractions: Array) -> dict[str, NDArray[np.bool_]]:
    """The truth's masks (X, Y, Z) of a body.

    Args:
        fractions: From :func:`body`.

    Returns:
        ``head`` and ``brain``: most of the voxel. ``lesions``: at least half of it is plaque, tumour or oedema;
        ``tumour``: at least half is tumour. ``white``, ``grey`` and ``csf``: nearly pure, healthy voxels, grey
        without the deep nuclei, CSF without what touches bone.
    """
    total = fractions.sum(axis=0)
    part = {name: fractions[index(name)] for name in TISSUES}
    truth = {
        "head": total > 0.5,
        "brain": sum(part[name] for name in _BRAIN) > 0.5,
        "lesions": sum(part[name] for name in _LESIONS) >= 0.5,
        "tumour": part["tumour"] >= 0.5,
    }
    diseased = sum(part[name] for name in _LESIONS) > 0.01
    for name, pure in _PURE.items():
        truth[name] = (part[name] > pure) & ~diseased
    return truth
