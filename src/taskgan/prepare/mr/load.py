"""One subject, read, checked and ready to be written: its images on one grid, and what each is divided by."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.core.errors import Problems, UserError
from taskgan.prepare.images import Image, describe_grid, grid_difference, read_image, resample
from taskgan.prepare.mr.plan import MrPreparation, Protocol, SubjectImages
from taskgan.prepare.mr.rows import ImageRow, complex_from_polar, phase_unit, unit_problem


@dataclass
class SubjectReport:
    """Problems and notes of one subject, units of its phases, and how many of its images were resampled."""

    subject: str
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    units: set[str] = field(default_factory=set)
    resampled: int = 0

    def add_problem(self, text: str) -> None:
        """Add a problem."""
        self.problems.append(f"subject {self.subject}: {text}")

    def add_note(self, text: str) -> None:
        """Add a note."""
        self.notes.append(f"subject {self.subject}: {text}")

    def raise_problems(self) -> None:
        """End here with Problems if there are any, as what follows would only repeat them."""
        if self.problems:
            raise Problems(f"subject {self.subject} cannot be prepared", self.problems)


_SAME_MS, _SAME = 1.0, 0.02  # a nominal time and what a scanner made of it
Images = dict[ImageRow, Image]


def read_rows(subject: SubjectImages, report: SubjectReport) -> Images:
    """Every image of a subject by its row. What cannot be read or cannot be right is a problem."""
    images: Images = {}
    parts = [row for pair in subject.inputs.values() for row in pair]
    for row in subject.rows:
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
        # Of all of them: one export has one unit.
        low, high = min(float(data.min()) for data in unknown), max(float(data.max()) for data in unknown)
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


_AIR = 0.1


def foreground(magnitude: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Voxels that are not air: above a tenth of the 99th percentile."""
    return np.asarray(magnitude > _AIR * float(np.percentile(magnitude, 99)))


_UNCORRECTED = 0.1
_COVERED = 0.9


@dataclass(frozen=True)
class SubjectVolumes:
    """What goes into the cohort of one subject, in the units of the export, all on the grid of ``affine``.

    Attributes:
        inputs: Complex images by delay and echo, from 1.
        targets: By contrast.
        masks: By name, 0 or 1.
        sidecars: Sidecar fields by the number of the row.
        input_factor: What all inputs are divided by; ``target_factors`` has one for each target.
        digests: Checksums of the exported images, by the number of the row.
    """

    affine: NDArray[np.float64]
    inputs: Mapping[tuple[int, int], NDArray[np.complex64]]
    targets: Mapping[str, NDArray[np.float32]]
    masks: Mapping[str, NDArray[np.uint8]]
    sidecars: Mapping[int, Mapping[str, Any]]
    input_factor: float
    target_factors: Mapping[str, float]
    digests: Mapping[int, str]
    report: SubjectReport


def load_subject(subject: SubjectImages, protocol: Protocol, settings: MrPreparation) -> SubjectVolumes:
    """Read a subject, check it and bring it onto one grid.

    Raises:
        Problems: Everything that is wrong with its images.
    """
    report = SubjectReport(subject.table_name)
    images = read_rows(subject, report)
    report.raise_problems()
    inputs = complex_inputs(subject, images, report)
    report.raise_problems()
    first = (len(protocol.delays), 1)
    all_rows: Images = {
        **{subject.inputs[key][0]: image for key, image in inputs.items()},
        **{row: images[row] for row in (*subject.targets.values(), *subject.masks.values())},
    }
    lead = subject.inputs[first][0] if settings.grid == "input" else subject.targets.get(settings.grid)
    if lead is None:
        report.add_problem(f"it has no {settings.grid}, whose grid was asked for")
        report.raise_problems()
        raise AssertionError
    placed = _on_one_grid(all_rows, lead, settings, report)
    report.raise_problems()
    complexes = {key: placed[row].data for key, (row, _) in subject.inputs.items()}
    masks = {name: np.asarray(placed[row].data > 0, np.uint8) for name, row in subject.masks.items()}
    head = masks["head"] > 0 if "head" in masks else None
    scale = {
        row: _factor(np.abs(placed[row].data), head, settings)
        for row in (subject.inputs[first][0], *subject.targets.values())
    }
    for row in (row for row, factor in scale.items() if not factor):
        report.add_problem(f"row {row.number}: {row.path} has no signal in the head to scale by")
    report.raise_problems()
    _check_echo_times(subject, all_rows, report)
    report.raise_problems()
    _note_phase(complexes[first], head, report)
    return SubjectVolumes(
        affine=images[lead].affine,
        inputs=complexes,
        targets={name: placed[row].data for name, row in subject.targets.items()},
        masks=masks,
        sidecars={row.number: image.metadata for row, image in placed.items()},
        input_factor=scale[subject.inputs[first][0]],
        target_factors={name: scale[row] for name, row in subject.targets.items()},
        digests=digests(images),
        report=report,
    )


def _on_one_grid(images: Images, lead: ImageRow, settings: MrPreparation, report: SubjectReport) -> Images:
    """All images on the grid of one of them. Those that lie elsewhere are resampled, or a problem."""
    onto = images[lead]
    placed: Images = {}
    for row, image in images.items():
        text = grid_difference(image.data.shape, image.affine, onto.data.shape, onto.affine)
        pair = f"row {row.number}: {row.path} {text} like {lead.path} (row {lead.number})"
        if not text:
            placed[row] = image
        elif not settings.resample:
            report.add_problem(
                f"{pair}: bring them onto one grid first, or take --resample if they are registered to each other"
            )
        elif image.reference and onto.reference and image.reference != onto.reference:
            report.add_problem(
                f"{pair}, and the two have different DICOM frames of reference: register one to the other first"
            )
        else:
            moved, share = _moved(image, onto, nearest=row.role == "mask")
            if share == 0:
                report.add_problem(f"row {row.number}: {row.path} lies wholly outside {lead.path} (row {lead.number})")
            elif share < _COVERED:
                report.add_note(f"{row.path.name} covers {share:.0%} of the grid of {lead.path.name}; the rest is 0")
            report.resampled += 1
            placed[row] = moved
    return placed


def _moved(image: Image, onto: Image, *, nearest: bool) -> tuple[Image, float]:
    def move(data: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
        """Values on the new grid (X, Y, Z), and what share of it they cover."""
        return resample(data, image.affine, onto.data.shape, onto.affine, nearest=nearest)

    if np.iscomplexobj(image.data):
        (real, share), (imag, _) = move(image.data.real), move(image.data.imag)
        data: NDArray[Any] = np.asarray(real + 1j * imag, dtype=np.complex64)
    else:
        data, share = move(image.data)
    how = f"{'nearest voxel' if nearest else 'linear'}, from {describe_grid(image.data.shape, image.affine)}"
    return Image(data, onto.affine, onto.reference, {**image.metadata, "Resampled": how}), share


def _factor(magnitude: NDArray[np.float32], head: NDArray[np.bool_] | None, settings: MrPreparation) -> float:
    """What a magnitude image (X, Y, Z) is divided by: a percentile over the head, or without a mask of it over all that
    is not air; 1 where values stay as they are, 0 where there is no signal to scale by.
    """
    inside = magnitude[foreground(magnitude) if head is None else head]
    value = float(np.percentile(inside.astype(np.float64), settings.percentile)) if inside.size else 0.0
    if not value > 0:
        return 0.0
    # As float32, so that dividing and multiplying by what the sidecar says use the same number.
    return float(np.float32(value)) if settings.normalise else 1.0


def _check_echo_times(subject: SubjectImages, images: Images, report: SubjectReport) -> None:
    """An echo has one echo time at all delays, and later echoes have longer ones, where table or headers tell."""
    times_of_echo: dict[int, list[float]] = {}
    for (_, echo), (row, _) in subject.inputs.items():
        seconds = images[row].metadata.get("EchoTime")
        ms = row.te_ms if row.te_ms is not None else 1000 * seconds if isinstance(seconds, int | float) else None
        times_of_echo.setdefault(echo, []).extend([] if ms is None else [ms])
    last = 0.0
    for echo, times in sorted(times_of_echo.items()):
        if not times:
            continue
        if max(times) - min(times) > _SAME_MS:
            listing = ", ".join(f"{time:g}" for time in sorted(set(times)))
            report.add_problem(f"its echo {echo} has the echo times {listing} ms, expected one at all delays")
        elif min(times) <= last:
            report.add_problem(f"its echo {echo} has the echo time {min(times):g} ms, expected more than {last:g} ms")
        last = max(times)


def _note_phase(longest: NDArray[np.complex64], head: NDArray[np.bool_] | None, report: SubjectReport) -> None:
    """After the longest delay all tissue has recovered: its real part is positive if the phase is corrected."""
    inside = head if head is not None else foreground(np.abs(longest))
    share = float((longest.real[inside] < 0).mean()) if inside.any() else 0.0
    if share > _UNCORRECTED:
        report.add_note(
            f"the real part after the longest delay is negative in {share:.0%} of the head, where tissue has "
            "recovered: its phase is not corrected for coils and field, or its unit is wrong"
        )
