"""One subject, ready to be written: its images on one grid, and what each is divided by. Nothing is written here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.core.errors import UserError
from taskgan.prepare.grid import described, difference, resample
from taskgan.prepare.images import Image
from taskgan.prepare.mr.findings import Findings
from taskgan.prepare.mr.normalise import factor, foreground
from taskgan.prepare.mr.plan import Protocol, Subject
from taskgan.prepare.mr.read import Images, complex_inputs, digests, read_rows
from taskgan.prepare.mr.rows import Row
from taskgan.prepare.mr.settings import MrPreparation

_UNCORRECTED = 0.1
_COVERED = 0.9
_SAME_MS = 1.0


@dataclass(frozen=True)
class Loaded:
    """What goes into the cohort of one subject, in the units of the export.

    Attributes:
        affine: Of all images.
        inputs: Complex images by delay and echo, from 1.
        targets: By contrast.
        masks: By name, 0 or 1.
        about: Sidecar fields by the number of the row.
        input_factor: What all inputs are divided by.
        target_factors: What each target is divided by.
        digests: Checksums of the exported images, by the number of the row.
        found: Notes, units, and how many images were resampled.
    """

    affine: NDArray[np.float64]
    inputs: Mapping[tuple[int, int], NDArray[np.complex64]]
    targets: Mapping[str, NDArray[np.float32]]
    masks: Mapping[str, NDArray[np.uint8]]
    about: Mapping[int, Mapping[str, Any]]
    input_factor: float
    target_factors: Mapping[str, float]
    digests: Mapping[int, str]
    found: Findings


def load(subject: Subject, protocol: Protocol, settings: MrPreparation) -> Loaded:
    """Read a subject, check it and bring it onto one grid.

    Raises:
        Problems: Everything that is wrong with its images.
    """
    found = Findings(subject.called)
    images = read_rows(subject, found)
    found.stop_if_wrong()
    inputs = complex_inputs(subject, images, found)
    found.stop_if_wrong()
    first = (len(protocol.delays), 1)
    all_rows: Images = {
        **{subject.inputs[key][0]: image for key, image in inputs.items()},
        **{row: images[row] for row in (*subject.targets.values(), *subject.masks.values())},
    }
    lead = subject.inputs[first][0] if settings.grid == "input" else subject.targets.get(settings.grid)
    if lead is None:
        found.wrong(f"it has no {settings.grid}, whose grid was asked for")
        found.stop_if_wrong()
        raise AssertionError
    placed = _on_one_grid(all_rows, lead, settings, found)
    found.stop_if_wrong()
    complexes = {key: placed[row].data for key, (row, _) in subject.inputs.items()}
    masks = {name: np.asarray(placed[row].data > 0, np.uint8) for name, row in subject.masks.items()}
    head = masks["head"] > 0 if "head" in masks else None
    scale = {
        row: _factor(np.abs(placed[row].data), head, row, settings, found)
        for row in (subject.inputs[first][0], *subject.targets.values())
    }
    found.stop_if_wrong()
    _check_echo_times(subject, all_rows, found)
    found.stop_if_wrong()
    _note_phase(complexes[first], head, found)
    return Loaded(
        affine=images[lead].affine,
        inputs=complexes,
        targets={name: placed[row].data for name, row in subject.targets.items()},
        masks=masks,
        about={row.number: image.about for row, image in placed.items()},
        input_factor=scale[subject.inputs[first][0]],
        target_factors={name: scale[row] for name, row in subject.targets.items()},
        digests=digests(images),
        found=found,
    )


def _on_one_grid(images: Images, lead: Row, settings: MrPreparation, found: Findings) -> Images:
    """All images on the grid of one of them. Those that lie elsewhere are resampled, or a problem."""
    onto = images[lead]
    placed: Images = {}
    for row, image in images.items():
        text = difference(image.data.shape, image.affine, onto.data.shape, onto.affine)
        pair = f"row {row.number}: {row.path} {text} like {lead.path} (row {lead.number})"
        if not text:
            placed[row] = image
        elif not settings.resample:
            found.wrong(
                f"{pair}: bring them onto one grid first, or take --resample if they are registered to each other"
            )
        elif image.reference and onto.reference and image.reference != onto.reference:
            found.wrong(
                f"{pair}, and the two have different DICOM frames of reference: register one to the other first"
            )
        else:
            moved, share = _moved(image, onto, nearest=row.role == "mask")
            if share == 0:
                found.wrong(
                    f"row {row.number}: {row.path} lies wholly outside {lead.path} (row {lead.number})"
                )
            elif share < _COVERED:
                found.note(
                    f"{row.path.name} covers {share:.0%} of the grid of {lead.path.name}; the rest is 0"
                )
            found.resampled += 1
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
    how = f"{'nearest voxel' if nearest else 'linear'}, from {described(image.data.shape, image.affine)}"
    return Image(data, onto.affine, onto.reference, {**image.about, "Resampled": how}), share


def _factor(
    magnitude: NDArray[np.float32],
    head: NDArray[np.bool_] | None,
    row: Row,
    settings: MrPreparation,
    found: Findings,
) -> float:
    """1 where values stay as they are; an image without signal is a problem all the same."""
    try:
        value = factor(magnitude, head, settings.percentile)
    except UserError as error:
        found.wrong(f"row {row.number}: {row.path} {error}")
        return 1.0
    return value if settings.normalise else 1.0


def _check_echo_times(subject: Subject, images: Images, found: Findings) -> None:
    """An echo has one echo time at all delays, and later echoes have longer ones, where table or headers tell."""
    told: dict[int, list[float]] = {}
    for (_, echo), (row, _) in subject.inputs.items():
        said = images[row].about.get("EchoTime")
        ms = row.te_ms if row.te_ms is not None else 1000 * said if isinstance(said, int | float) else None
        told.setdefault(echo, []).extend([] if ms is None else [ms])
    last = 0.0
    for echo, times in sorted(told.items()):
        if not times:
            continue
        if max(times) - min(times) > _SAME_MS:
            shown = ", ".join(f"{time:g}" for time in sorted(set(times)))
            found.wrong(f"its echo {echo} has the echo times {shown} ms, expected one at all delays")
        elif min(times) <= last:
            found.wrong(
                f"its echo {echo} has the echo time {min(times):g} ms, expected more than {last:g} ms"
            )
        last = max(times)


def _note_phase(longest: NDArray[np.complex64], head: NDArray[np.bool_] | None, found: Findings) -> None:
    """After the longest delay all tissue has recovered: its real part is positive if the phase is corrected."""
    inside = head if head is not None else foreground(np.abs(longest))
    share = float((longest.real[inside] < 0).mean()) if inside.any() else 0.0
    if share > _UNCORRECTED:
        found.note(
            f"the real part after the longest delay is negative in {share:.0%} of the head, where tissue has "
            "recovered: its phase is not corrected for coils and field, or its unit is wrong"
        )
