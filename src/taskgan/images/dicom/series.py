"""Frames to a volume: one series, one image a slice, sorted along its normal, in RAS."""

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from taskgan.core.errors import UserError
from taskgan.core.parse import check_voxels, quoted
from taskgan.images.dicom.frames import Frame, NotASlice, dicom_files, has_dicom, read_dataset, read_frames, read_pixels
from taskgan.images.dicom.stack import check_whole, drop_duplicates, in_slice_order, stack_affine

MR, ENHANCED_MR, PT, ENHANCED_PT = (f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("4", "4.1", "128", "130"))
_CLASSES = {"MR": (MR, ENHANCED_MR, "1.2.840.10008.5.1.4.1.1.4.4"), "PT": (PT, ENHANCED_PT)}
_SAME_MS = 1.0


@dataclass(frozen=True)
class SeriesFilter:
    """Which of several images is meant, where a folder holds more than one. Empty fields do not pick.

    Attributes:
        series: Number, description or unique identifier of the series.
        part: ``magnitude``, ``phase``, ``real`` or ``imag``.
        delay_ms: Delay.
        echo: Echo, from 1.
        te_ms: Echo time.
        modality: ``MR`` or ``PT``; another one is refused.
    """

    series: str = ""
    part: str = ""
    delay_ms: float | None = None
    echo: int | None = None
    te_ms: float | None = None
    modality: str = ""


@dataclass(frozen=True)
class Series:
    """One volume of a series, without its pixels: frames in the order of slices, and voxel (column, row, slice) to
    world, RAS mm. Notes say what the reader did, or did not use, of which a user should know.
    """

    frames: tuple[Frame, ...]
    affine: NDArray[np.float64]
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> Frame:
        """The first slice, for what is the same in all."""
        return self.frames[0]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Columns, rows, slices."""
        rows, columns = self.first.size
        return columns, rows, len(self.frames)


def read_series(place: Path, pick: SeriesFilter) -> tuple[NDArray[np.float32], NDArray[np.float64], Series]:
    """Read one image of a folder of one series' DICOM files or of a multi-frame file; ``pick`` says which of several.

    Returns:
        Values (columns, rows, slices) in the scanner's units, padding as 0; voxel to world (RAS, mm); and what is
        known besides.

    Raises:
        UserError: If files are damaged, several series or images are left, or slices are missing.
    """
    series = find_series(place, pick)
    values, padded = _values(series.frames)
    if padded:
        note = f"{padded} voxels of padding (PixelPaddingValue), which are 0 here"
        series = replace(series, notes=(*series.notes, note))
    return values, series.affine, series


def find_series(place: Path, pick: SeriesFilter) -> Series:
    """:func:`read_series` from the headers alone."""
    candidates = _folder_frames(place)
    if not candidates:
        raise UserError(f"{place} holds no DICOM image")
    members = _one_series(candidates, pick.series, place)
    for frame in members:
        _check_modality(frame, pick.modality, place)
    frames = _one_image(members, pick, place)
    if pick.part and frames[0].part and frames[0].part != pick.part:
        raise UserError(f"{place} holds {frames[0].part} by its DICOM header, expected {pick.part}")
    frames = in_slice_order(frames, place)
    check_whole(members, frames, place)
    notes = tuple(dict.fromkeys(note for frame in frames for note in frame.notes))
    return Series(tuple(frames), stack_affine(frames, place), notes)


def _check_modality(frame: Frame, expected: str, place: Path) -> None:
    if not expected:
        return
    if frame.modality not in ("", expected):
        raise UserError(f"{place} is {frame.modality} by its DICOM header ({frame.file.name}), expected {expected}")
    if frame.sop_class not in ("", *_CLASSES[expected]):
        raise UserError(
            f"{place} has images of the SOP class {frame.sop_class} ({frame.file.name}), expected one of {expected}"
        )


class ListedSeries(NamedTuple):
    """A series of a study: folder (or file), unique identifier, number, description and modality."""

    folder: Path
    uid: str
    number: str
    description: str
    modality: str

    def is_meant(self, selector: str) -> bool:
        """Whether a number, identifier, modality, or pattern of the description means it; capitals do not count."""
        text, own = selector.lower(), self.description.lower()
        return text in (self.number, self.uid, self.modality.lower(), own) or fnmatch.fnmatchcase(own, text)


def list_series(place: Path) -> list[ListedSeries]:
    """The series in a folder and below it, in a multi-frame file, or of a DICOMDIR, by folder and number.

    What is no slice, such as a screen shot, is left out. A UserError where files are damaged or absent.
    """
    if place.is_file() and place.name != "DICOMDIR":
        folders = [place] if has_dicom(place) else []
    elif place.is_file():
        folders = _directory_folders(place)
    else:
        below = [place, *(path for path in place.rglob("*") if path.is_dir())]
        below = [path for path in below if not any(p.startswith(".") for p in path.relative_to(place).parts)]
        folders = [path for path in sorted(below) if has_dicom(path)]
    listed: dict[tuple[Path, str], ListedSeries] = {}
    for folder in folders:
        try:
            frames = _folder_frames(folder)
        except NotASlice:
            continue
        for frame in frames:
            listed.setdefault((folder, frame.series[0]), ListedSeries(folder, *frame.series, frame.modality))
    return sorted(listed.values(), key=lambda one: (one.folder, one.number.zfill(12), one.uid))


def _folder_frames(place: Path) -> tuple[Frame, ...]:
    files = tuple(dicom_files(place))
    return _all_frames(files, tuple((file.stat().st_size, file.stat().st_mtime_ns) for file in files))


def _directory_folders(directory: Path) -> list[Path]:
    """The folders of the images that a DICOMDIR names."""
    folders: dict[Path, None] = {}
    for record in getattr(read_dataset(directory, pixels=False), "DirectoryRecordSequence", None) or ():
        parts = getattr(record, "ReferencedFileID", None)
        if str(getattr(record, "DirectoryRecordType", "")) != "IMAGE" or not parts:
            continue
        path = directory.parent.joinpath(*([parts] if isinstance(parts, str) else map(str, parts)))
        if ".." in path.relative_to(directory.parent).parts or not path.is_file():
            raise UserError(f"{directory} names {path}, expected a file that is there")
        folders[path.parent] = None
    return sorted(folders)


@lru_cache(maxsize=2)
def _all_frames(files: tuple[Path, ...], stamps: tuple[tuple[int, int], ...]) -> tuple[Frame, ...]:
    """The headers of a folder: all rows of a subject may name one, and would read it again and again.

    What is no slice is left out where it is a series of its own (a screen shot beside the images). ``stamps`` are sizes
    and times of files, so that those that change are read anew.
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
    return tuple(drop_duplicates(frames))


def _one_series(frames: Sequence[Frame], selector: str, place: Path) -> list[Frame]:
    series: dict[str, list[Frame]] = {}
    for frame in frames:
        series.setdefault(frame.series[0], []).append(frame)
    if selector:
        text = selector.lower()
        named = {uid: own for uid, own in series.items() if text in (word.lower() for word in own[0].series)}
        if not named:
            raise UserError(f"{place} holds no series {quoted(selector)}; it holds {_series_listing(series.values())}")
        series = named
    if len(series) > 1:
        raise UserError(
            f"{place} holds {len(series)} series: {_series_listing(series.values())}; expected one: give "
            "each a folder, or "
            "say which in the column series"
        )
    (members,) = series.values()
    return members


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
    if pick.te_ms is not None and len({frame.echo_ms for frame in left}) > 1:
        left = [f for f in left if f.echo_ms is not None and abs(f.echo_ms - pick.te_ms) <= _SAME_MS]
    kinds = {(f.part, f.delay_ms, f.echo_ms) for f in left}
    if len(kinds) == 1:
        return left
    every = sorted({_image_description(frame) for frame in frames})
    listing = "; ".join(every[:4]) + (f"; and {len(every) - 4} more" if len(every) > 4 else "")
    raise UserError(
        f"{place} holds {len(every)} images in one series ({listing}), and "
        f"{'none of them is' if not left else 'more than one is'} the one that the row asks for; "
        "echo or te_ms of the row (of an input also part and delay_ms) picks one, or give each a folder"
    )


def _image_description(frame: Frame) -> str:
    properties = [frame.part or "part not said"]
    properties += [f"delay {frame.delay_ms:g} ms"] if frame.delay_ms is not None else []
    properties += [f"echo time {frame.echo_ms:g} ms"] if frame.echo_ms is not None else []
    return ", ".join(properties)


def _values(frames: Sequence[Frame]) -> tuple[NDArray[np.float32], int]:
    """(columns, rows, slices), and how many voxels are padding."""
    check_voxels(frames[0].file.parent, (*frames[0].size, len(frames)))
    stored: dict[Path, NDArray[np.generic]] = {}
    slices, padded = [], 0
    for frame in frames:
        if frame.file not in stored:
            stored = {frame.file: read_pixels(frame.file)}  # one file at a time: frames of a file follow each other
        pixels = stored[frame.file]
        if pixels.ndim == 3 and frame.index is not None and frame.index < len(pixels):
            pixels = pixels[frame.index]
        if pixels.shape != frame.size:
            raise UserError(f"{frame.file} holds pixels of shape {pixels.shape}, expected {frame.size} by its header")
        values = pixels.astype(np.float64) * frame.scaling.slope + frame.scaling.intercept
        if frame.padding is not None:
            outside = _is_padding(pixels, frame.padding)
            values[outside] = 0
            padded += int(outside.sum())
        slices.append(values.astype(np.float32).T)
    return np.ascontiguousarray(np.stack(slices, axis=2)), padded


def _is_padding(pixels: NDArray[Any], padding: tuple[int, int]) -> NDArray[np.bool_]:
    """Where stored values are padding, which some write without the sign that the pixels have."""
    turn = 1 << 8 * pixels.dtype.itemsize
    low, high = (value - turn if pixels.dtype.kind == "i" and value >= turn // 2 else value for value in padding)
    return np.asarray((pixels >= min(low, high)) & (pixels <= max(low, high)))
