"""A subject's files, read and checked one by one; both parts of an input joined to complex values."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from taskgan.core.errors import UserError
from taskgan.prepare.images import Image, grid_difference, read_image
from taskgan.prepare.mr.plan import SubjectImages
from taskgan.prepare.mr.rows import ImageRow, complex_from_polar, phase_unit, unit_problem, value_range
from taskgan.prepare.mr.settings import SubjectReport

_SAME_MS, _SAME = 1.0, 0.02  # a nominal time and what a scanner made of it
Images = dict[ImageRow, Image]


def read_rows(subject: SubjectImages, report: SubjectReport) -> Images:
    """Every image of a subject by its row. What cannot be read or cannot be right is a problem."""
    images: Images = {}
    parts = [row for pair in subject.inputs.values() for row in pair]
    for row in (*parts, *subject.targets.values(), *subject.masks.values()):
        try:
            images[row] = read_image(row.path, row.series_filter)
        except UserError as error:
            report.add_problem(f"row {row.number}: {error}")
    for row, image in images.items():
        for note in (*image.notes, *_time_notes(row, image)):
            report.add_note(f"row {row.number}: {row.path.name} has {note}")
        text = _value_problem(row, image)
        if text:
            report.add_problem(f"row {row.number}: {row.path} {text}")
    signed = [images[row].data for row in parts if row in images and row.part in ("real", "imag")]
    if signed and not report.problems and min(float(data.min()) for data in signed) >= 0:
        report.add_problem(
            "its real and imaginary parts have no value below 0, expected signed parts (a lost rescale intercept, "
            "or magnitudes?)"
        )
    return images


def _time_notes(row: ImageRow, image: Image) -> list[str]:
    """Where table and header say different times: folders may have been swapped."""
    times = (
        ("delay_ms", row.delay_ms if row.role == "input" else None, "InversionTime"),
        ("te_ms", row.te_ms, "EchoTime"),
        ("tr_ms", row.tr_ms, "RepetitionTime"),
    )
    notes = []
    for column, own, keyword in times:
        seconds = image.metadata.get(keyword)
        if own and isinstance(seconds, int | float) and abs(own - 1000 * seconds) > max(_SAME_MS, _SAME * own):
            notes.append(f"{keyword} {1000 * seconds:g} ms in its header and {column} {own:g} in the table")
    return notes


def digests(images: Images) -> dict[int, str]:
    """Checksum of the values of every input and target that is not constant, by the number of its row."""
    return {
        row.number: hashlib.sha256(np.ascontiguousarray(image.data).tobytes()).hexdigest()
        for row, image in images.items()
        if row.role != "mask" and float(image.data.min()) < float(image.data.max())
    }


def complex_inputs(
    subject: SubjectImages, images: Mapping[ImageRow, Image], report: SubjectReport
) -> dict[tuple[int, int], Image]:
    """Inputs by delay and echo, complex. Both parts of one must lie on one grid: a phase cannot be resampled."""
    phases = [row for pair in subject.inputs.values() for row in pair if row.part == "phase"]
    unknown = [images[row].data for row in phases if not row.units]
    unit = None
    if unknown:
        low, high = value_range(unknown)  # of all of them: one export has one unit
        unit = phase_unit(low, high)
        if unit is None:
            report.add_problem(unit_problem(low, high))
    joined = {}
    for key, (one, other) in subject.inputs.items():
        first, second = images[one], images[other]
        text = grid_difference(second.data.shape, second.affine, first.data.shape, first.affine)
        if text:
            report.add_problem(
                f"row {other.number}: {other.path} {text} like {one.path} (row {one.number}), the {one.part} of "
                "the same image"
            )
        elif one.part == "real":
            joined[key] = replace(first, data=_cartesian(first, second))
        elif stored := other.units or unit:
            report.units.add(stored)
            joined[key] = replace(first, data=complex_from_polar(first.data, second.data, stored))
    return joined


def _cartesian(real: Image, imag: Image) -> np.ndarray:
    values = np.empty(real.data.shape, dtype=np.complex64)
    values.real, values.imag = real.data, imag.data
    return values


def _value_problem(row: ImageRow, image: Image) -> str:
    """What the values of an image cannot be, as the end of a sentence."""
    low, high = float(image.data.min()), float(image.data.max())
    if row.role == "mask":
        values = np.unique(image.data)
        if len(values) > 2 or (len(values) == 2 and values[0] != 0):
            return f"holds {len(values)} values from {low:g} to {high:g}, expected a mask of 0 and one other"
        return ""
    if row.part == "magnitude" and low < 0:
        return f"has values down to {low:g}, expected a magnitude, which is not negative"
    if low == high and row.part not in ("phase", "imag"):
        return f"is {low:g} everywhere, expected an image"
    return ""
