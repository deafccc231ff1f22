"""Frames of one image in the order of its slices; what cannot be a whole volume is refused."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from taskgan.core.errors import UserError
from taskgan.images.dicom.frames import Frame

_UNEVEN = 0.02  # of the distance between slices: what rounding of positions costs
_SIDEWAYS_MM = 0.1
_SPARSE = 1.5  # times the distance that the header says: at least every second slice is missing
_GAPS = 1.99  # times the thickness, where the distance is not said: gaps between slices are usual, not as wide ones
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def drop_duplicates(frames: Sequence[Frame]) -> list[Frame]:
    """Leave out files that are byte for byte another one of the same image; the one that stays has a note."""
    by_place: dict[tuple[str, int | None], Frame] = {}
    others: list[Frame] = []
    for frame in frames:
        key = (frame.instance[0], frame.index)
        first = by_place.get(key)
        if not frame.instance[0] or (first is not None and first.file.read_bytes() != frame.file.read_bytes()):
            others.append(frame)
        elif first is None:
            by_place[key] = frame
        else:
            note = f"{frame.file.name}, the same file as {first.file.name}, which is left out"
            by_place[key] = replace(first, notes=(*first.notes, note))
    return [*by_place.values(), *others]


def check_whole(members: Sequence[Frame], frames: Sequence[Frame], place: Path) -> None:
    """Refuse a series of which images are missing by its header: fewer than it says, or numbers that are left out.

    ``members`` are all images of the series, ``frames`` those of the one volume that is meant.
    """
    for frame in frames:
        if frame.expected_images is not None:
            expected, keyword = frame.expected_images
            count = len(frames) if keyword == "NumberOfSlices" else len(members)
            if count < expected:
                raise UserError(
                    f"{place} holds {count} images and its {keyword} is {expected}, expected a whole series"
                )
    numbers = {frame.instance[1] for frame in members if frame.instance[1] is not None}
    missing = sorted(set(range(min(numbers), min(max(numbers), min(numbers) + 10**5))) - numbers) if numbers else []
    if missing:
        listed = ", ".join(map(str, missing[:5])) + ", …" * (len(missing) > 5)
        raise UserError(
            f"{place} lacks the images with InstanceNumber {listed} ({len(missing)} between {min(numbers)} and "
            f"{max(numbers)}), expected a whole series"
        )


def in_slice_order(frames: Sequence[Frame], place: Path) -> list[Frame]:
    """Sort by position along the normal.

    Raises:
        UserError: If slices differ in size, direction, frame of reference or scaling, do not lie on one line,
            repeat a position or leave one out.
    """
    for frame in frames:
        _check_alike(frame, frames[0], place)
    first = frames[0]
    normal = np.cross(first.orientation[0], first.orientation[1])
    order = np.argsort([float(frame.position @ normal) for frame in frames], kind="stable")
    ordered = [frames[k] for k in order]
    if len(ordered) > 1:
        _check_distances(ordered, normal, place)
    return ordered


def _check_alike(frame: Frame, first: Frame, place: Path) -> None:
    names = f"{place}: {frame.file.name}"
    if frame.size != first.size or not np.allclose(frame.spacing, first.spacing, rtol=1e-4):
        raise UserError(f"{names} has another image size than {first.file.name}, expected one grid")
    if not np.allclose(frame.orientation, first.orientation, atol=1e-3):
        raise UserError(
            f"{names} has another orientation than {first.file.name}, expected parallel slices (a localiser?)"
        )
    if frame.reference != first.reference:
        raise UserError(
            f"{names} has another FrameOfReferenceUID than {first.file.name}, expected one (did the patient get up "
            "between them?)"
        )
    if frame.scaling.source != first.scaling.source:
        raise UserError(
            f"{names} takes its scale from {frame.scaling.source}, {first.file.name} from {first.scaling.source}; "
            "expected all slices in one unit"
        )


def _check_distances(frames: Sequence[Frame], normal: NDArray[np.float64], place: Path) -> None:
    positions = np.array([frame.position for frame in frames])
    gaps = np.diff(positions @ normal)
    usual = float(np.median(gaps))
    for before, after, gap in zip(frames[:-1], frames[1:], gaps, strict=True):
        pair = f"{before.file.name} and {after.file.name}"
        if gap < 1e-3:
            raise UserError(f"{place} holds two images at one place ({pair}), expected one a slice")
        if abs(gap - usual) > _UNEVEN * usual:
            raise UserError(
                f"{place}: {pair} are {gap:.4g} mm apart, other slices {usual:.4g} mm; expected even distances (is a "
                "slice missing?)"
            )
    between, thickness = frames[0].spacing_between, frames[0].thickness
    limits = (("SpacingBetweenSlices", between, _SPARSE), ("SliceThickness", None if between else thickness, _GAPS))
    for keyword, value, factor in limits:
        if value and usual > factor * abs(value):
            raise UserError(
                f"{place}: its slices are {usual:.4g} mm apart and {keyword} is {abs(value):g} mm, expected every "
                "slice (is every second one missing?)"
            )
    line = positions[0] + np.linspace(0, 1, len(frames))[:, None] * (positions[-1] - positions[0])
    apart = np.linalg.norm(positions - line, axis=1)
    if apart.max() > max(_SIDEWAYS_MM, _UNEVEN * usual):
        worst = int(apart.argmax())
        raise UserError(
            f"{place}: {frames[worst].file.name} lies {apart[worst]:.3g} mm beside the line of the other slices, "
            "expected positions on one line"
        )


def stack_affine(frames: Sequence[Frame], place: Path) -> NDArray[np.float64]:
    """Voxel (column, row, slice) to world, RAS mm (DICOM PS3.3 C.7.6.2.1.1, then LPS to RAS).

    Raises:
        UserError: If it is one slice of unknown thickness.
    """
    first, last = frames[0], frames[-1]
    if len(frames) > 1:
        step = (last.position - first.position) / (len(frames) - 1)
    elif thickness := first.spacing_between or first.thickness:
        step = np.cross(first.orientation[0], first.orientation[1]) * thickness
    else:
        raise UserError(f"{place} holds one slice of unknown thickness, expected SliceThickness")
    affine = np.eye(4)
    affine[:3, 0] = first.orientation[0] * first.spacing[1]
    affine[:3, 1] = first.orientation[1] * first.spacing[0]
    affine[:3, 2] = step
    affine[:3, 3] = first.position
    return np.asarray(_LPS_TO_RAS @ affine)
