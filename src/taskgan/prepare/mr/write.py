"""One subject's files, and those of the whole cohort."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from taskgan.cohort import folder as bids
from taskgan.cohort.pairs import write_pairs
from taskgan.core.version import __version__
from taskgan.images.volumes import write_volume
from taskgan.physics import mdme
from taskgan.prepare.mr.load import SubjectVolumes
from taskgan.prepare.mr.plan import NUMBER, CohortPlan, Protocol, SubjectImages
from taskgan.prepare.mr.rows import ImageRow

MASKS = Path("derivatives") / "masks"
_README = """\
Multi-contrast MR, made by taskgan {version} (prepare mr) from exported images.

sub-*/anat holds the input, a multi-delay multi-echo acquisition (acq-delayNNNN: delay in ms; real and imaginary
parts, which have a sign), and the conventional contrasts. Value in a file × IntensityFactor of its sidecar = value as
exported. derivatives/masks holds masks. pairs.csv lists one pair per subject and contrast, cohort.yaml how it was
made.
"""


def mask_path(subject: str, name: str) -> Path:
    """Path of a mask in the cohort."""
    return MASKS / subject / "anat" / f"{subject}_desc-{name}_mask.nii.gz"


def write_subject(folder: Path, subject: SubjectImages, protocol: Protocol, loaded: SubjectVolumes) -> None:
    """Write a subject's images and sidecars.

    Args:
        folder: The cohort.
        subject: Its rows.
        protocol: Delays and echoes.
        loaded: Its images.
    """
    for (delay, echo), image in loaded.inputs.items():
        row = subject.inputs[delay, echo][0]
        td = protocol.delays[delay - 1]
        side = {**_times(row, loaded.sidecars[row.number]), "InversionTime": td / 1000, **_units(loaded.input_factor)}
        for part in mdme.PARTS:
            values = np.ascontiguousarray(getattr(image, part)) / np.float32(loaded.input_factor)
            write_volume(folder / mdme.input_path(subject.name, td, echo, part), values, loaded.affine, side=side)
    for name, target in loaded.targets.items():
        row, scale = subject.targets[name], loaded.target_factors[name]
        path = folder / mdme.target_path(subject.name, name)
        side = {**_times(row, loaded.sidecars[row.number]), "SequenceName": name, **_units(scale)}
        write_volume(path, target / np.float32(scale), loaded.affine, side=side)
    for name, mask in loaded.masks.items():
        side = {**loaded.sidecars[subject.masks[name].number], "Type": mdme.MASK_TYPES[name]}
        write_volume(folder / mask_path(subject.name, name), mask, loaded.affine, side=side)


def write_tables(folder: Path, plan: CohortPlan) -> None:
    """Write ``pairs.csv``, the participants and the top of the data set."""
    masks = any(subject.masks for subject in plan.subjects)
    bids.write_dataset_files(
        folder,
        name="Multi-contrast MR",
        readme=_README.format(version=__version__),
        derivative=MASKS if masks else None,
        derivative_name="Masks",
    )
    descriptions = {name: f"Column {name} of the table that the cohort was made from" for name in plan.extra_columns}
    bids.write_participants(
        folder,
        {**descriptions, "split": "train, val or test"},
        [{"participant_id": s.name, **s.columns, "split": s.split} for s in plan.subjects],
    )
    write_pairs(folder / "pairs.csv", _pairs(plan))


def _pairs(plan: CohortPlan) -> Sequence[Mapping[str, object]]:
    """One row a subject and contrast.

    A subject without contrasts is only restored: it has a row, without a clean image, for every contrast that
    others have, as a model is told by the row which one to make. Where nobody has one, there is no such column.
    """
    protocol = plan.protocol
    columns = mdme.input_columns(len(protocol.delays), protocol.echoes)
    every = plan.contrasts
    masks = [name for name in mdme.MASK_TYPES if any(name in subject.masks for subject in plan.subjects)]
    rows: list[dict[str, object]] = []
    for subject in plan.subjects:
        name = subject.name
        inputs = {
            column: mdme.input_path(name, protocol.delays[delay - 1], echo, part).as_posix()
            for column, (delay, echo, part) in columns.items()
        }
        degraded = inputs.pop("degraded")
        for contrast in subject.targets or every or ("",):
            rows.append(
                {
                    "case": mdme.case_name(name, contrast) if contrast else name,
                    "subject": name,
                    "split": subject.split,
                    **({"contrast": contrast} if contrast else {}),
                    "degraded": degraded,
                    "clean": mdme.target_path(name, contrast).as_posix() if contrast in subject.targets else "",
                    "label": mdme.CONTRASTS.index(contrast) if contrast else "",
                    **({NUMBER: every.index(contrast)} if plan.numbered else {}),
                    **inputs,
                    **{
                        mdme.mask_column(mask): mask_path(name, mask).as_posix() if mask in subject.masks else ""
                        for mask in masks
                    },
                    **subject.columns,
                }
            )
    return rows


def _times(row: ImageRow, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What the file says, and what the table says in its place. Times are in seconds."""
    fields = dict(metadata)
    if row.te_ms is not None:
        fields["EchoTime"] = row.te_ms / 1000
    if row.tr_ms is not None:
        fields["RepetitionTime"] = row.tr_ms / 1000
    return fields


def _units(scale: float) -> dict[str, Any]:
    return {"Units": "arbitrary", "IntensityFactor": scale}
