"""``taskgan prepare mr``: a table of exported images in, a checked cohort out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from taskgan.cohort import folder as bids
from taskgan.cohort.pairs import SPLITS, write_pairs
from taskgan.core.errors import Problems
from taskgan.core.files import PathLike, checksum, versions
from taskgan.core.version import __version__
from taskgan.images.volumes import write_volume
from taskgan.physics.sequences import (
    CONTRASTS,
    MASK_TYPES,
    PARTS,
    case_name,
    input_columns,
    input_path,
    mask_column,
    target_path,
)
from taskgan.prepare.mr.load import SubjectVolumes, load_subject
from taskgan.prepare.mr.plan import NUMBER, CohortPlan, MrPreparation, Protocol, SubjectImages, plan_cohort
from taskgan.prepare.mr.rows import REQUIRED, ImageRow
from taskgan.prepare.output import Item, Made, check_output, image_files, prepare_items
from taskgan.prepare.table import InputTable, read_table

MADE_BY = "taskgan prepare mr"
_NOTES = 8


def prepare_mr(
    source: PathLike,
    out: PathLike,
    settings: MrPreparation | None = None,
    *,
    part: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Make a cohort from a table of images.

    The cohort is built beside ``out`` and takes its place when every image was checked and it is whole. The same call
    on a finished one says so. Registration is assumed done: grids of a subject must agree, or share their world
    coordinates and be resampled on request. The same files and settings give the same bytes.

    Args:
        source: Table, one row an image: ``subject, role, path`` and, of an input, ``delay_ms, echo, part``, of a
            target or mask ``name``. Further columns go with the subject (see ``docs/prepare-mr.md``).
        out: Cohort folder to make.
        settings: See :class:`~taskgan.prepare.mr.plan.MrPreparation`; None is the defaults.
        part: ``K/N``: only every N-th subject from the K-th on; the part that ends last makes the cohort.
        overwrite: Replace a cohort that this verb made before.

    Returns:
        The cohort folder.

    Raises:
        UserError: If the table cannot be read or ``out`` may not be written.
        Problems: If rows or images are wrong: all of them, and nothing is written.
    """
    source, out, settings = Path(source), Path(out), settings or MrPreparation()
    check_output(out, MADE_BY, overwrite=True)
    table = read_table(source, REQUIRED)
    planned = plan_cohort(table, settings)
    items = []
    for one in planned.subjects:
        make = partial(_make, one, planned.protocol, settings)
        items.append(Item(one.name, one.name, (one, planned.protocol), image_files(row.path for row in one.rows), make))

    def _write(folder: Path, made: dict[str, Made], _: Mapping[str, str]) -> tuple[Made, list[str]]:
        if problems := _twins(planned, made):
            raise Problems(f"{source} cannot be prepared", problems)
        write_tables(folder, planned)
        reports = list(made.values())
        return _description(table, planned, settings, reports), _summary(out, planned, reports)

    how: Made = {"made_by": MADE_BY, "what": "subjects", "source": source, "part": part, "overwrite": overwrite}
    return prepare_items(out, items, _write, request={"table": source, "settings": settings}, **how)


def _make(subject: SubjectImages, protocol: Protocol, settings: MrPreparation, folder: Path) -> Made:
    """Write a subject's images; what there is to say of them, and their digests by row."""
    loaded = load_subject(subject, protocol, settings)
    write_subject(folder, subject, protocol, loaded)
    report = loaded.report
    made: Made = {"notes": report.notes, "units": sorted(report.units), "resampled": report.resampled}
    return made | {"digests": list(loaded.digests.items())}


def _twins(planned: CohortPlan, made: Mapping[str, Made]) -> list[str]:
    problems: list[str] = []
    first: dict[str, tuple[int, str]] = {}
    for subject in planned.subjects:
        for row, digest in made[subject.name]["digests"]:
            other, whose = first.setdefault(digest, (row, subject.table_name))
            if other != row:
                problems.append(
                    f"row {row} (subject {subject.table_name}) holds the same values as row {other} (subject "
                    f"{whose}): one image under two names"
                )
    return problems


def _description(
    table: InputTable, planned: CohortPlan, settings: MrPreparation, reports: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    protocol = planned.protocol
    contrasts = Counter(name for subject in planned.subjects for name in subject.targets)
    splits = Counter(subject.split for subject in planned.subjects)
    units = sorted({unit for one in reports for unit in one["units"]})
    return {
        "kind": "mr",
        "made_by": MADE_BY,
        "seed": settings.seed,
        "inputs": list(input_columns(len(protocol.delays), protocol.echoes)),
        "contrasts": {str(k): name for k, name in enumerate(CONTRASTS) if contrasts[name]},
        "protocol": {"delays_ms": list(protocol.delays), "echoes": protocol.echoes},
        "settings": settings.model_dump(mode="json"),
        # The table goes by its content: the folder that it lies in makes no difference to the cohort.
        "table": {"name": table.source.name, "sha256": checksum(table.source)},
        "splits_dealt": planned.splits_assigned,
        "versions": versions(),
        "measured": {
            "subjects": len(planned.subjects),
            **{split: splits[split] for split in SPLITS},
            **{name: contrasts[name] for name in CONTRASTS if contrasts[name]},
            **({"phase_units": units} if units else {}),
            "resampled_images": sum(one["resampled"] for one in reports),
        },
    }


def _summary(out: Path, planned: CohortPlan, reports: Sequence[Mapping[str, Any]]) -> list[str]:
    notes = [note for one in reports for note in one["notes"]]
    lines = notes[:_NOTES]
    if len(notes) > _NOTES:
        lines.append(f"and {len(notes) - _NOTES} more of this kind")
    units = sorted({unit for one in reports for unit in one["units"]})
    if units:
        lines.append(f"phases were taken to be in {', '.join(units)}")
    resampled = sum(one["resampled"] for one in reports)
    if resampled:
        were = "1 image was" if resampled == 1 else f"{resampled} images were"
        lines.append(f"{were} resampled onto another's grid (sidecars say which)")
    if planned.numbered:
        count = len(planned.contrasts)
        lines.append(
            f"{count} of the {len(CONTRASTS)} contrasts: a recipe whose T tells contrasts apart says "
            f"--set task.labels={NUMBER} --set task.classes={count}"
        )
    learnt = [subject for subject in planned.subjects if subject.targets]
    if planned.splits_assigned and 0 < len(learnt) < len(SPLITS):
        lines.append("fewer than three subjects with contrasts: all of them are test subjects")
    splits = Counter(subject.split for subject in planned.subjects)
    counts = ", ".join(f"{splits[split]} {split}" for split in SPLITS if splits[split])
    images = sum(len(subject.targets) for subject in planned.subjects)
    count = len(planned.subjects)
    end = f"{out}: {count} subject{'s' * (count != 1)} ({counts}), {images} contrast images of them"
    return [*(f"note: {line}" for line in lines), f"{end} (taskgan info {out})"]


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
    """Write a subject's images and sidecars."""
    for (delay, echo), image in loaded.inputs.items():
        row = subject.inputs[delay, echo][0]
        td = protocol.delays[delay - 1]
        side = {**_times(row, loaded.sidecars[row.number]), "InversionTime": td / 1000, **_units(loaded.input_factor)}
        for part in PARTS:
            values = np.ascontiguousarray(getattr(image, part)) / np.float32(loaded.input_factor)
            write_volume(folder / input_path(subject.name, td, echo, part), values, loaded.affine, side=side)
    for name, target in loaded.targets.items():
        row, scale = subject.targets[name], loaded.target_factors[name]
        path = folder / target_path(subject.name, name)
        side = {**_times(row, loaded.sidecars[row.number]), "SequenceName": name, **_units(scale)}
        write_volume(path, target / np.float32(scale), loaded.affine, side=side)
    for name, mask in loaded.masks.items():
        side = {**loaded.sidecars[subject.masks[name].number], "Type": MASK_TYPES[name]}
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
    columns = input_columns(len(protocol.delays), protocol.echoes)
    every = plan.contrasts
    masks = [name for name in MASK_TYPES if any(name in subject.masks for subject in plan.subjects)]
    rows: list[dict[str, object]] = []
    for subject in plan.subjects:
        name = subject.name
        inputs = {
            column: input_path(name, protocol.delays[delay - 1], echo, part).as_posix()
            for column, (delay, echo, part) in columns.items()
        }
        degraded = inputs.pop("degraded")
        paths = {m: mask_path(name, m).as_posix() if m in subject.masks else "" for m in masks}
        further = inputs | {mask_column(mask): path for mask, path in paths.items()} | dict(subject.columns)
        for contrast in subject.targets or every or ("",):
            row: dict[str, object] = {"case": case_name(name, contrast) if contrast else name, "subject": name}
            row |= {"split": subject.split} | ({"contrast": contrast} if contrast else {}) | {"degraded": degraded}
            row["clean"] = target_path(name, contrast).as_posix() if contrast in subject.targets else ""
            row["label"] = CONTRASTS.index(contrast) if contrast else ""
            row |= {NUMBER: every.index(contrast)} if plan.numbered else {}
            rows.append(row | further)
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
