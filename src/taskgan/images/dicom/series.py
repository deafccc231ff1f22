"""Frames to a volume: one series, one image a slice, sorted along its normal, in RAS."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from taskgan.core.bounds import check_voxels
from taskgan.core.errors import UserError
from taskgan.core.parse import quoted
from taskgan.images.dicom.frames import Frame, NotASlice, dicom_files, read_frames, read_pixels

_SAME_MS = 1.0
_UNEVEN = 0.02  # of the distance between slices: what rounding of positions costs
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class SeriesFilter:
    """Which of several images is meant, where a folder holds more than one. Empty fields do not pick.

    Attributes:
        series: Number, description or unique identifier of the series.
        part: ``magnitude``, ``phase``, ``real`` or ``imag``.
        delay_ms: Delay.
        echo: Echo, from 1.
    """

    series: str = ""
    part: str = ""
    delay_ms: float | None = None
    echo: int | None = None


def read_series(place: Path, pick: SeriesFilter) -> tuple[NDArray[np.float32], NDArray[np.float64], Frame]:
    """Read one image of a DICOM folder or file.

    Args:
        place: Folder of one series' files, or a multi-frame file.
        pick: Which image, where there are several.

    Returns:
        Values (columns, rows, slices) in the scanner's units, voxel to world (RAS, mm), and the first frame.

    Raises:
        UserError: If files are damaged, several series or images are left, or slices are missing.
    """
    files = tuple(dicom_files(place))
    stamps = tuple((file.stat().st_size, file.stat().st_mtime_ns) for file in files)
    candidates = _all_frames(files, stamps)
    if not candidates:
        raise UserError(f"{place} holds no DICOM image")
    frames = _one_image(_one_series(candidates, pick.series, place), pick, place)
    if pick.part and frames[0].part and frames[0].part != pick.part:
        raise UserError(f"{place} holds {frames[0].part} by its DICOM header, expected {pick.part}")
    frames = _sorted(frames, place)
    return _values(frames), _affine(frames, place), frames[0]


@lru_cache(maxsize=2)
def _all_frames(files: tuple[Path, ...], stamps: tuple[tuple[int, int], ...]) -> tuple[Frame, ...]:
    """The headers of a folder: all rows of a subject may name one, and would read it again and again.

    What is no slice is left out where it is a series of its own (a screen shot beside the images).

    Args:
        files: Of the folder.
        stamps: Their sizes and times, so that files that change are read anew.

    Raises:
        UserError: If a file is damaged, or an image of a series lies nowhere.
    """
    del stamps
    frames: list[Frame] = []
    left_out: list[NotASlice] = []
    for file in files:
        try:
            frames += read_frames(file)
        except NotASlice as error:
            left_out.append(error)
    series = {frame.series[0] for frame in frames}
    for one in left_out:
        if not series or one.series in series:
            raise one
    return tuple(frames)


def _one_series(frames: Sequence[Frame], selector: str, place: Path) -> list[Frame]:
    series: dict[str, list[Frame]] = {}
    for frame in frames:
        series.setdefault(frame.series[0], []).append(frame)
    if selector:
        named = {uid: members for uid, members in series.items() if selector.lower() in _names(members[0])}
        if not named:
            raise UserError(
                f"{place} holds no series {quoted(selector)}; it holds {_series_listing(series.values())}"
            )
        series = named
    if len(series) > 1:
        raise UserError(
            f"{place} holds {len(series)} series: {_series_listing(series.values())}; expected one: give "
            "each a folder, or "
            "say which in the column series"
        )
    (members,) = series.values()
    return members


def _names(frame: Frame) -> set[str]:
    return {text.lower() for text in frame.series}


def _series_listing(series: Iterable[Sequence[Frame]]) -> str:
    entries = []
    for frames in series:
        _, number, description = frames[0].series
        entries.append(f"{number or 'without number'} {quoted(description)} ({len(frames)} images)")
    return ", ".join(sorted(entries))


def _one_image(frames: Sequence[Frame], pick: SeriesFilter, place: Path) -> list[Frame]:
    """Of a series that holds parts, delays and echoes together, those that are meant."""
    left = list(frames)
    if pick.part and len({frame.part for frame in left}) > 1:
        left = [frame for frame in left if frame.part == pick.part]
    delays = sorted({frame.delay_ms for frame in left if frame.delay_ms is not None})
    if pick.delay_ms is not None and len(delays) > 1:
        left = [f for f in left if f.delay_ms is not None and abs(f.delay_ms - pick.delay_ms) <= _SAME_MS]
    echoes = sorted({frame.echo_ms for frame in left if frame.echo_ms is not None})
    if pick.echo is not None and len(echoes) > 1:
        left = [f for f in left if pick.echo <= len(echoes) and f.echo_ms == echoes[pick.echo - 1]]
    kinds = {(f.part, f.delay_ms, f.echo_ms) for f in left}
    if len(kinds) == 1:
        return left
    every = sorted({_image_description(frame) for frame in frames})
    listing = "; ".join(every[:4]) + (f"; and {len(every) - 4} more" if len(every) > 4 else "")
    raise UserError(
        f"{place} holds {len(every)} images in one series ({listing}), and "
        f"{'none of them is' if not left else 'more than one is'} the one that the row asks for; "
        "part, delay_ms and echo of the row pick one, or give each a folder"
    )


def _image_description(frame: Frame) -> str:
    properties = [frame.part or "part not said"]
    properties += [f"delay {frame.delay_ms:g} ms"] if frame.delay_ms is not None else []
    properties += [f"echo time {frame.echo_ms:g} ms"] if frame.echo_ms is not None else []
    return ", ".join(properties)


def _sorted(frames: Sequence[Frame], place: Path) -> list[Frame]:
    """In the order of the slices.

    Raises:
        UserError: If slices differ in size or direction, repeat a position or leave one out.
    """
    first = frames[0]
    for frame in frames:
        if frame.size != first.size or not np.allclose(frame.spacing, first.spacing, rtol=1e-4):
            raise UserError(
                f"{place}: {frame.file.name} has another image size than {first.file.name}, expected one grid"
            )
        if not np.allclose(frame.orientation, first.orientation, atol=1e-3):
            raise UserError(
                f"{place}: {frame.file.name} has another orientation than {first.file.name}, expected parallel "
                "slices (a localiser?)"
            )
    normal = np.cross(first.orientation[0], first.orientation[1])
    heights = np.array([float(frame.position @ normal) for frame in frames])
    order = np.argsort(heights, kind="stable")
    gaps = np.diff(heights[order])
    if not len(gaps):
        return list(frames)
    usual = float(np.median(gaps))
    for k, gap in enumerate(gaps):
        before, after = frames[order[k]], frames[order[k + 1]]
        if gap < 1e-3:
            raise UserError(
                f"{place} holds two images at one place ({before.file.name} and {after.file.name}), expected one "
                "a slice"
            )
        if abs(gap - usual) > _UNEVEN * usual:
            raise UserError(
                f"{place}: {before.file.name} and {after.file.name} are {gap:.4g} mm apart, other slices "
                f"{usual:.4g} mm; expected even distances (is a slice missing?)"
            )
    return [frames[k] for k in order]


def _values(frames: Sequence[Frame]) -> NDArray[np.float32]:
    check_voxels(frames[0].file.parent, (*frames[0].size, len(frames)))
    stored = {file: read_pixels(file) for file in dict.fromkeys(frame.file for frame in frames)}
    slices = []
    for frame in frames:
        pixels = stored[frame.file]
        plane = pixels[frame.index] if pixels.ndim == 3 and frame.index is not None else pixels
        if plane.shape != frame.size:
            raise UserError(f"{frame.file} holds pixels of shape {plane.shape}, expected {frame.size} by its header")
        slices.append((plane.astype(np.float64) * frame.slope + frame.intercept).astype(np.float32).T)
    return np.ascontiguousarray(np.stack(slices, axis=2))


def _affine(frames: Sequence[Frame], place: Path) -> NDArray[np.float64]:
    """Voxel (column, row, slice) to world (DICOM PS3.3 C.7.6.2.1.1, then LPS to RAS)."""
    first, last = frames[0], frames[-1]
    if len(frames) > 1:
        step = (last.position - first.position) / (len(frames) - 1)
    elif first.thickness is not None:
        step = np.cross(first.orientation[0], first.orientation[1]) * first.thickness
    else:
        raise UserError(f"{place} holds one slice of unknown thickness, expected SliceThickness")
    affine = np.eye(4)
    affine[:3, 0] = first.orientation[0] * first.spacing[1]
    affine[:3, 1] = first.orientation[1] * first.spacing[0]
    affine[:3, 2] = step
    affine[:3, 3] = first.position
    return np.asarray(_LPS_TO_RAS @ affine)
