"""A subject's body: disease (lesions as in multiple sclerosis, a metastasis), tissue fractions, masks of the truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from taskgan.physics.tissues import TISSUES, index
from taskgan.simulate.anatomy import CSF, DETAILED, GREY, WHITE, Anatomy, regions_at
from taskgan.simulate.anatomy import index as region
from taskgan.simulate.deform import Grid, Head, HeadShape, Interpolation, rotation, sample

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
Profile = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Blob:
    """One ellipsoid.

    Attributes:
        centre: (3,) mm, in the head's coordinates (those of the scanner before the head moved).
        axes: Half axes (3,) mm.
        turn: Directions of the axes in its columns (3, 3).
        edge_mm: Width of the edge: the share falls from 73 to 27 % over twice this.
        waves: Phases (3,) of the bumps on its surface.
        uneven: Their height relative to the radius.
        strength: Share of tissue that is replaced in the middle.
    """

    centre: NDArray[np.float64]
    axes: NDArray[np.float64]
    turn: NDArray[np.float64]
    edge_mm: float
    waves: NDArray[np.float64]
    uneven: float = 0.12
    strength: float = 1.0

    @property
    def reach_mm(self) -> float:
        """Beyond this distance from the centre there is nothing of it."""
        return float(self.axes.max()) * (1.0 + self.uneven) + 6.0 * self.edge_mm

    def share(self, points: NDArray[np.float64]) -> Array:
        """Share of the tissue that it replaces at points (3, ...) in mm: (...) in 0..1."""
        local = np.tensordot(self.turn.T, points - self.centre.reshape(3, *([1] * (points.ndim - 1))), axes=1)
        radius = np.sqrt(((local / self.axes.reshape(3, *([1] * (points.ndim - 1)))) ** 2).sum(axis=0)).clip(1e-6)
        direction = local / np.sqrt((local**2).sum(axis=0)).clip(1e-6)
        bumps = sum(np.sin(5.0 * direction[k] + self.waves[k]) for k in range(3)) / 3.0
        depth = (1.0 + self.uneven * bumps - radius) * float(self.axes.mean())
        return np.asarray(self.strength * special.expit(depth / self.edge_mm), dtype=np.float32)


def replaced_fractions(
    blobs: Sequence[Blob],
    grid: Grid,
    profile: Sequence[tuple[float, float]],
    rotation: NDArray[np.float64],
    shift: NDArray[np.float64],
) -> Array:
    """What all blobs together replace on a grid, averaged through the slices; where several meet, the largest.

    Args:
        blobs: In the head's coordinates.
        grid: The scanner's voxels.
        profile: Of a slice: heights in slices from its middle, and weights.
        rotation: Of the head that moved: scanner coordinates r are the head's ``rotation @ r + shift``.
        shift: mm.

    Returns:
        (X, Y, Z) in 0..1.
    """
    total = np.zeros(grid.shape, dtype=np.float32)
    edges = np.asarray(grid.voxel_mm)
    middle = 0.5 * (np.asarray(grid.shape) - 1)
    boxes = []
    for blob in blobs:
        at = rotation.T @ (blob.centre - shift) / edges + middle
        reach = blob.reach_mm / edges + 1.0
        low = np.maximum(np.floor(at - reach).astype(int), 0)
        high = np.minimum(np.ceil(at + reach).astype(int) + 1, grid.shape)
        if (low < high).all():
            boxes.append((blob, low, high))
    for height, weight in profile:
        thin = np.zeros_like(total)
        for blob, low, high in boxes:
            axes = [np.arange(a, b) - m for a, b, m in zip(low, high, middle, strict=True)]
            axes[2] = axes[2] + height
            scanner = np.stack(np.meshgrid(*(a * e for a, e in zip(axes, edges, strict=True)), indexing="ij"))
            place = np.tensordot(rotation, scanner, axes=1) + shift.reshape(3, 1, 1, 1)
            box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
            thin[box] = np.maximum(thin[box], blob.share(place))
        total += np.float32(weight) * thin
    return total


# Assumptions after the usual description of multiple sclerosis: ovoid lesions of 3 mm and more, most of them at
# the ventricles and pointing away from them, some under the cortex, few elsewhere.
_PLACES = (("periventricular", 0.55), ("juxtacortical", 0.25), ("deep", 0.20))
_COUNT_MEDIAN, _COUNT_SIGMA, _COUNT_RANGE = 16.0, 0.5, (5, 45)
_DIAMETER_MM = {"periventricular": 7.5, "juxtacortical": 6.0, "deep": 6.0}
_DIAMETER_SIGMA, _DIAMETER_RANGE = 0.4, (3.0, 20.0)
_FIRST_MM = 10.0  # of at least one lesion, so that thick slices show that there is one
_TUMOUR_MM, _OEDEMA_MM = (12.0, 30.0), (5.0, 16.0)


@dataclass(frozen=True)
class Disease:
    """What a patient has; nothing for a control. ``oedema``: the white matter around it that is swollen; it holds the
    tumour.
    """

    plaques: tuple[Blob, ...] = ()
    tumour: tuple[Blob, ...] = ()
    oedema: tuple[Blob, ...] = ()
    places: tuple[tuple[str, int], ...] = ()


def draw_disease(kind: str, head: Head, grid: Grid, rng: np.random.Generator) -> Disease:
    """Draw what a subject of a kind has.

    Args:
        kind: ``control``, ``lesions`` or ``tumour``.
        head: Before it moved.
        grid: The scanner's voxels.
    """
    if kind == "lesions":
        return _plaques(head, grid, rng)
    if kind == "tumour":
        return _metastasis(head, grid, rng)
    return Disease()


def candidates(head: Head, grid: Grid) -> dict[str, Mask]:
    """Where lesions of each place can have their centre (X, Y, Z).

    Ventricles are the CSF in the middle of the cerebrum; periventricular white matter is 2 to 9 mm from it.
    Juxtacortical white matter has cortex beside it. Cerebellum and brainstem are left out.
    """
    white, grey = head.fractions[WHITE], head.fractions[GREY]
    x, y, z = head.points
    cerebrum = (z > -12.0) & ((y > -45.0) | (z > 4.0))
    ventricles = (
        (head.fractions[CSF] > 0.5)
        & (np.abs(x) < 28.0)
        & (np.abs(x) > 3.0)
        & (y > -48.0)
        & (y < 34.0)
        & (z > 0.0)
        & (z < 30.0)
    )
    if ventricles.any():
        away = ndimage.distance_transform_edt(~ventricles, sampling=grid.voxel_mm)
    else:
        away = np.full(grid.shape, np.inf)
    beside = ndimage.gaussian_filter(grey, [2.5 / d for d in grid.voxel_mm], mode="constant")
    inside = (white > 0.6) & cerebrum
    periventricular = inside & (away >= 2.0) & (away <= 9.0)
    juxtacortical = inside & (beside > 0.2) & (away > 12.0) & (z > 0.0)
    deep = (white > 0.9) & cerebrum & (away > 9.0) & (z > 0.0) & ~juxtacortical
    return {"periventricular": periventricular, "juxtacortical": juxtacortical, "deep": deep}


def _plaques(head: Head, grid: Grid, rng: np.random.Generator) -> Disease:
    count = int(np.clip(round(_COUNT_MEDIAN * np.exp(_COUNT_SIGMA * rng.normal())), *_COUNT_RANGE))
    places = {name: np.argwhere(mask) for name, mask in candidates(head, grid).items()}
    possible = [(name, share) for name, share in _PLACES if len(places[name])]
    if not possible:
        places["white"] = np.argwhere(head.fractions[WHITE] > 0.5)
        possible = [("white", 1.0)]
    weights = np.array([share for _, share in possible])
    plaques: list[Blob] = []
    numbers = dict.fromkeys((name for name, _ in possible), 0)
    for choice in rng.choice(len(possible), count, p=weights / weights.sum()):
        name = possible[int(choice)][0]
        numbers[name] += 1
        least = _DIAMETER_RANGE[0] if plaques else _FIRST_MM
        plaques.append(_plaque(name, _position(places[name], grid, rng), least, rng))
    return Disease(plaques=tuple(plaques), places=tuple(numbers.items()))


def _plaque(place: str, centre: NDArray[np.float64], least: float, rng: np.random.Generator) -> Blob:
    median = _DIAMETER_MM.get(place, 5.0)
    diameter = float(np.clip(median * np.exp(_DIAMETER_SIGMA * rng.normal()), least, _DIAMETER_RANGE[1]))
    long = float(rng.uniform(1.2, 1.8)) if place == "periventricular" else float(rng.uniform(1.0, 1.3))
    axes = 0.5 * diameter * np.array([long, 1.0, 1.0]) / long ** (1.0 / 3.0)
    # Beside the ventricles the long axis follows the medullary veins, outwards; elsewhere it lies anyhow.
    spread = 20.0 if place == "periventricular" else 90.0
    turn = rotation(np.radians(rng.normal(0.0, spread, 3)))
    return Blob(centre, axes, turn, 0.5, rng.uniform(0, 2 * np.pi, 3), strength=float(rng.uniform(0.8, 1.0)))


def _metastasis(head: Head, grid: Grid, rng: np.random.Generator) -> Disease:
    """One round mass at the border of grey and white matter, with vasogenic oedema in the white matter."""
    where = candidates(head, grid)
    spots = np.argwhere(where["juxtacortical"] & _far_from_ends(grid))
    for name in ("juxtacortical", "deep", "periventricular"):
        spots = spots if len(spots) else np.argwhere(where[name])
    if not len(spots):
        spots = np.argwhere(head.fractions[WHITE] > 0.5)
    centre = _position(spots, grid, rng)
    axes = 0.5 * float(rng.uniform(*_TUMOUR_MM)) * rng.uniform(0.85, 1.15, 3)
    turn = rotation(rng.uniform(-np.pi, np.pi, 3))
    reach = axes + float(rng.uniform(*_OEDEMA_MM)) * rng.uniform(0.7, 1.3, 3)
    offset = rng.normal(0.0, 2.0, 3)
    tumour = Blob(centre, axes, turn, 0.7, rng.uniform(0, 2 * np.pi, 3), uneven=0.1)
    oedema = Blob(centre + offset, reach, turn, 1.5, rng.uniform(0, 2 * np.pi, 3), uneven=0.3, strength=0.9)
    return Disease(tumour=(tumour,), oedema=(oedema,))


def _far_from_ends(grid: Grid) -> Mask:
    """Slices that are at least 15 mm from either end of the stack, where there are such."""
    height = np.arange(grid.shape[2]) * grid.voxel_mm[2]
    inner = (height >= 15.0) & (height <= height[-1] - 15.0)
    return np.broadcast_to(inner if inner.any() else np.ones_like(inner), grid.shape)


def _position(spots: NDArray[np.int64], grid: Grid, rng: np.random.Generator) -> NDArray[np.float64]:
    """Somewhere in one of some voxels, mm from the middle of the scanner."""
    voxel = spots[rng.integers(len(spots))] + rng.uniform(-0.5, 0.5, 3)
    edges = np.asarray(grid.voxel_mm)
    return np.asarray((voxel - 0.5 * (np.asarray(grid.shape) - 1)) * edges)


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
        disease: In the coordinates of the head.
        grid: The scanner's voxels.
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
