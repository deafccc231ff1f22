"""Heads as tissue fractions on a grid of millimetres near MNI space.

Two sources: the MNI ICBM152 2009a maps that come with nilearn (offline, one template), and BrainWeb's
discrete tissue labels (``subjectNN_tissue.nii.gz``, one real head each).
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from taskgan.core.errors import UserError
from taskgan.core.parse import error_text
from taskgan.images.volumes import load_nifti, stem
from taskgan.physics.tissues import ANATOMY

Array = NDArray[np.float32]

TISSUES = ANATOMY[:5]
GREY, WHITE, CSF, SKULL, SOFT = range(len(TISSUES))
DETAILED = ANATOMY
FAT, VESSELS = len(TISSUES), len(TISSUES) + 1

# BrainWeb label -> tissue: CSF, grey, white, fat, muscle, muscle/skin, skull, vessels, around fat, dura, marrow.
_BRAINWEB = {1: CSF, 2: GREY, 3: WHITE, 4: SOFT, 5: SOFT, 6: SOFT, 7: SKULL, 8: SOFT, 9: SOFT, 10: SOFT, 11: SKULL}
_BRAINWEB_DETAILED = {**_BRAINWEB, 4: FAT, 8: VESSELS, 11: FAT}
_BRAINWEB_NAME = "*_tissue.nii*"

# What lies around the brain, from inside out, in mm. In the detailed head the skull has marrow between its tables
# and the scalp fat under the skin.
_SHELLS = ((CSF, 1.5), (SKULL, 7.0), (SOFT, 6.0))
_SHELLS_DETAILED = ((CSF, 1.5), (SKULL, 2.5), (FAT, 2.0), (SKULL, 2.5), (FAT, 3.5), (SOFT, 2.5))


@dataclass(frozen=True)
class Anatomy:
    """One head.

    Attributes:
        maps: Fractions of each tissue of :data:`TISSUES` (5, X, Y, Z), or of :data:`DETAILED` (7, X, Y, Z),
            float32 in 0..1; what is missing to 1 is air.
        affine: Voxel to MNI millimetres (4, 4).
    """

    name: str
    maps: Array
    affine: NDArray[np.float64]


@lru_cache(maxsize=2)
def mni_anatomy(resolution_mm: float = 2.0, *, detailed: bool = False) -> Anatomy:
    """The MNI template with a skull and a scalp built around it.

    The maps are means over 152 brains, so their partial volume is wider than one brain's: squaring and
    renormalising the fractions narrows it. CSF is the rest of the brain mask and a thin gap around it.
    The template has no face and no neck; skull (7 mm) and scalp (6 mm) are shells around the brain.

    Args:
        resolution_mm: Grid step; nilearn resamples its 1 mm maps.
        detailed: Tissues of :data:`DETAILED`; the template has no vessels.

    Raises:
        UserError: If nilearn is not installed.
    """
    try:
        from nilearn import datasets
    except ImportError:
        raise UserError(
            "the MNI anatomy needs nilearn, which is not installed: pip install 'taskgan[simulate]'"
        ) from None
    step = int(resolution_mm) if float(resolution_mm).is_integer() else resolution_mm
    grey_image: Any = datasets.load_mni152_gm_template(resolution=step)
    white_image: Any = datasets.load_mni152_wm_template(resolution=step)
    head_image: Any = datasets.load_mni152_template(resolution=step)
    grey, white, head = (
        np.clip(np.asarray(image.dataobj, dtype=np.float32), 0, 1) for image in (grey_image, white_image, head_image)
    )
    inside = ndimage.binary_fill_holes(ndimage.binary_closing((head > 0.1) | (grey + white > 0.2), iterations=2))
    rest = np.clip(1.0 - grey - white, 0.0, 1.0)
    squares = np.stack([grey, white, rest]) ** 2
    squares /= np.maximum(squares.sum(axis=0), 1e-6)
    shells = _SHELLS_DETAILED if detailed else _SHELLS
    reaches = np.cumsum([0.0, *(thickness for _, thickness in shells)])
    # Room for skull and scalp, which the template's box does not have on every side.
    pad = round((float(reaches[-1]) + 4.0) / resolution_mm)
    width = [(pad, pad)] * 3
    inside = np.pad(inside, width)
    affine = np.asarray(grey_image.affine, dtype=np.float64).copy()
    affine[:3, 3] -= affine[:3, :3] @ np.full(3, float(pad))
    maps = np.zeros((len(DETAILED if detailed else TISSUES), *inside.shape), dtype=np.float32)
    for tissue, fraction in zip((GREY, WHITE, CSF), squares, strict=True):
        maps[tissue] = np.pad(fraction, width) * inside
    outside = ndimage.distance_transform_edt(~inside, sampling=resolution_mm)
    shares = np.diff([_within(outside, float(reach), resolution_mm) for reach in reaches], axis=0)
    air = 1.0 - maps.sum(axis=0)
    for (tissue, _), fraction in zip(shells, shares, strict=True):
        maps[tissue] += (np.clip(fraction, 0, 1) * air).astype(np.float32)
    return Anatomy("mni152", maps, affine)


def _within(distance: NDArray[np.float64], reach: float, step: float) -> NDArray[np.float64]:
    """Share of a voxel that is nearer than ``reach``, linear across the edge voxel."""
    if reach == 0:
        return (distance <= 0).astype(np.float64)
    return np.asarray(np.clip((reach - distance) / step + 0.5, 0.0, 1.0), dtype=np.float64)


def brainweb_files(place: Path) -> list[Path]:
    """BrainWeb tissue files: the file itself, or those of a folder, by name.

    Raises:
        UserError: If there is none.
    """
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise UserError(f"{place} does not exist; expected a BrainWeb tissue file or a folder of them")
    paths = sorted(place.glob(_BRAINWEB_NAME))
    if not paths:
        raise UserError(f"{place} holds no file named {_BRAINWEB_NAME}, expected BrainWeb tissue labels")
    return paths


def brainweb_anatomy(path: Path, resolution_mm: float = 2.0, *, detailed: bool = False) -> Anatomy:
    """A BrainWeb head: one-hot labels averaged over blocks, so that edges become partial volumes.

    Args:
        path: Discrete labels 0 to 11 (Aubert-Broche 2006), in RAS, 0.5 mm.
        resolution_mm: Wanted step, reached by whole blocks of the file's voxels.
        detailed: Tissues of :data:`DETAILED`.

    Raises:
        UserError: If the file is not such a label map.
    """
    try:
        image = load_nifti(path)
        labels = np.asarray(image.dataobj)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{path} cannot be read as NIfTI: {error_text(error)}") from None
    if (
        labels.ndim != 3
        or labels.size == 0
        or labels.min() < 0
        or labels.max() > 11
        or not np.isin(labels[::4, ::4, ::4], range(12)).all()
    ):
        raise UserError(f"{path} does not hold BrainWeb tissue labels: expected a 3D map of whole numbers 0 to 11")
    labels = labels.astype(np.uint8)
    affine = np.asarray(image.affine, dtype=np.float64).copy()
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise UserError(f"{path} has an affine without three directions, expected that of a head in RAS, mm")
    step = float(np.linalg.norm(affine[:3, 0]))
    block = max(1, round(resolution_mm / step))
    shape = [n // block * block for n in labels.shape]
    labels = labels[: shape[0], : shape[1], : shape[2]]
    table = _BRAINWEB_DETAILED if detailed else _BRAINWEB
    tissues = np.full(256, 255, dtype=np.uint8)
    tissues[list(table)] = list(table.values())
    owner = tissues[labels]
    maps = np.zeros((len(DETAILED if detailed else TISSUES), *(n // block for n in shape)), dtype=np.float32)
    for tissue in range(len(maps)):
        maps[tissue] = _block_sums(owner == tissue, block) / np.float32(block**3)
    affine[:3, 3] += affine[:3, :3] @ np.full(3, 0.5 * (block - 1))
    affine[:3, :3] *= block
    return Anatomy(f"brainweb-{stem(path).removesuffix('_tissue')}", maps, affine)


def _block_sums(mask: NDArray[np.bool_], block: int) -> NDArray[np.uint32]:
    """How many voxels of every block (of ``block`` voxels' edge) are in a mask, one axis after the other."""
    x, y, z = (n // block for n in mask.shape)
    counts = mask.reshape(x, block, y * block, z * block).sum(axis=1, dtype=np.uint32)
    counts = counts.reshape(x, y, block, z * block).sum(axis=2, dtype=np.uint32)
    return np.asarray(counts.reshape(x, y, z, block).sum(axis=3, dtype=np.uint32))


COMPOSITE = ("frontal", "lateral_temporal", "parietal", "occipital", "anterior_cingulate", "posterior_cingulate")
"""Their unweighted mean is the table's composite: 1.21 from the six negative means, 1.58 from the positive."""
REGIONS = (
    *COMPOSITE,
    *("precuneus", "striatum", "thalamus", "cerebellar_grey", "mesial_temporal", "insula", "brainstem"),
)


def index(name: str) -> int:
    """Number of a region in :data:`REGIONS`."""
    return REGIONS.index(name)


def regions_at(points: NDArray[np.float32]) -> NDArray[np.int8]:
    """The region that grey matter belongs to.

    Args:
        points: MNI coordinates (3, ...) in mm: right, anterior, superior.

    Returns:
        (...) int8, indices into :data:`REGIONS`. Every point gets one; only grey matter means something.
    """
    side, y, z = np.abs(points[0]), points[1], points[2]
    central = -10.0 - 0.3 * (z - 20.0)
    sylvian = np.minimum(-8.0 + 0.55 * (10.0 - y), 20.0)
    # Each rule overrides the ones before it.
    regions = np.full(side.shape, index("parietal"), dtype=np.int8)
    regions[y > central] = index("frontal")
    temporal = (z < sylvian) & (y > -70) & (y < 24) & ((y < 6) | (z < -12))
    regions[temporal & (side >= 30)] = index("lateral_temporal")
    regions[temporal & (side < 30) & (z < -6)] = index("mesial_temporal")
    regions[(side < 32) & (y < -14) & (y > -60) & (z < 14)] = index("mesial_temporal")
    regions[((y < -72) & (z < 36)) | ((y < -58) & (z < 14) & (side < 36))] = index("occipital")
    regions[(side < 20) & (y < -42) & (y > -80) & (z > 22 + 0.35 * np.maximum(-58 - y, 0))] = index("precuneus")
    callosal = ((y + 5.0) / 52.0) ** 2 + ((z - 8.0) / 36.0) ** 2
    ring = (side < 14) & (callosal < 1.15) & (z > -10)
    regions[ring & (y > 0)] = index("anterior_cingulate")
    regions[ring & (y < -16) & (y > -62) & (z > 10)] = index("posterior_cingulate")
    regions[(side >= 30) & (side < 42) & (y > -20) & (y < 26) & (z > -12) & (z < 16)] = index("insula")
    regions[(side < 31) & (y > -20) & (y < 22) & (z > -12) & (z < 22) & (side > 5)] = index("striatum")
    regions[(side < 23) & (y > -34) & (y < -3) & (z > -4) & (z < 18)] = index("thalamus")
    regions[(side < 17) & (y > -46) & (y < -8) & (z < -8)] = index("brainstem")
    # The tentorium falls away from the midline and, under the temporal lobe, forwards.
    lateral = -18.0 - 0.2 * np.maximum(side - 14.0, 0.0) - 0.3 * np.maximum(y + 60.0, 0.0) * side / 40.0
    tentorium = np.where(side < 14, -8.0, lateral)
    regions[(y < -34) & (z < tentorium) & ((side >= 12) | (y < -46))] = index("cerebellar_grey")
    return regions


def reference_at(points: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where cerebellar grey is far enough from the occipital lobe to be the reference of an SUVR."""
    side, y, z = np.abs(points[0]), points[1], points[2]
    return np.asarray((y < -40) & (z < -28) & (side > 8))
