"""``taskgan prepare pet``: exported PET images in, a checked cohort out."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from taskgan.cohort.folder import write_dataset_files, write_participants
from taskgan.cohort.pairing import Coarse, pairing_notes, scale_notes, scale_ratio
from taskgan.cohort.pairs import SPLITS, write_pairs
from taskgan.core.errors import Problems
from taskgan.core.files import PathLike, versions
from taskgan.core.parse import quoted
from taskgan.images.volumes import write_volume
from taskgan.prepare.output import (
    Item,
    Made,
    assign_splits,
    check_output,
    image_files,
    name_problems,
    participant,
    prepare_items,
)
from taskgan.prepare.pet.load import LoadedScan, load_scan
from taskgan.prepare.pet.rows import PetPreparation, PetRow, find_rows

MADE_BY = "taskgan prepare pet"
_MASKS = Path("derivatives") / "masks"
_README = """\
PET pairs, made by taskgan (prepare pet) from exported images.{simulated}

sub-*/pet holds the standard (rec-standard) and the low-dose image (rec-low) on one grid. pairs.csv lists the pairs
for training, cohort.yaml how it was made.
"""
_SIMULATED = """
The low-dose images are an approximation: Poisson noise of {dose:g} % of the counts was added to images."""


def prepare_pet(
    source: PathLike,
    out: PathLike,
    settings: PetPreparation | None = None,
    *,
    part: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Make a cohort of exported PET images.

    Args:
        source: A BIDS data set, or a table with a row for each scan: ``subject``, ``standard``, ``low`` (not with
            ``simulate_dose``) and, where known, ``label``, ``session``, ``split``, ``mask``, ``cortex``,
            ``reference``, ``weight`` and further columns. Paths are NIfTI files or DICOM folders.
        out: Cohort folder to make.
        settings: See :class:`~taskgan.prepare.pet.rows.PetPreparation`; None is the defaults.
        part: ``K/N``: only every N-th subject from the K-th on; the part that ends last makes the cohort.
        overwrite: Replace a cohort that this verb made before.

    Returns:
        The cohort folder.

    Raises:
        UserError: If the source cannot be read or ``out`` may not be written.
        Problems: If rows are wrong, or no scan can be prepared: nothing is written.
        LeftOut: If some scans cannot be prepared: they are named, the others are written.
    """
    source, out, settings = Path(source), Path(out), settings or PetPreparation()
    check_output(out, MADE_BY, overwrite=True)
    rows = find_rows(source, settings)
    if problems := _row_problems(rows):
        raise Problems(f"{source} cannot be prepared", problems)
    items = []
    for number, row in enumerate(rows):
        files = image_files(path for path in (row.standard, row.low, *row.masks.values()) if path is not None)
        items.append(Item(row.case, row.subject, (number, row), files, partial(_make, row, settings, number)))

    def _write(folder: Path, made: dict[str, Made], left_out: dict[str, str]) -> tuple[dict[str, Any], list[str]]:
        written = [values for one in made.values() for values in one["written"]]
        coarse = [(c, s, Coarse.load(x), Coarse.load(y)) for one in made.values() for c, s, x, y in one["coarse"]]
        notes = list(dict.fromkeys(note for one in made.values() for note in one["notes"]))
        notes += scale_notes([(c, scale_ratio(y, x)) for c, _, x, y in coarse], "the standard images", "the low ones")
        notes += pairing_notes(coarse)
        splits = _splits(rows, left_out, settings)
        _write_tables(folder, written, splits, settings, masks=any(row.masks for row in rows))
        measured = {"pairs": len(written), "subjects": len(splits)}
        measured |= {split: sum(own == split for own in splits.values()) for split in SPLITS}
        description: Made = {"kind": "pet", "made_by": MADE_BY, "seed": settings.seed, "source": source.name}
        description |= {"settings": settings.model_dump(mode="json"), "versions": versions(), "notes": notes}
        counts = ", ".join(f"{measured[name]} {name}" for name in SPLITS if measured[name])
        end = f"{out}: {len(written)} pairs of {len(splits)} subjects ({counts}) (taskgan info {out})"
        return description | {"left_out": left_out, "measured": measured}, [*(f"warning: {n}" for n in notes), end]

    table = source if source.is_file() else source / "participants.tsv"
    request = {"source": [table, str(source)], "settings": settings}
    how: Made = {"made_by": MADE_BY, "what": "scans", "source": source, "part": part, "overwrite": overwrite}
    hint = "; repair them, or leave them out with --skip"
    return prepare_items(out, items, _write, request=request, hint=hint, **how)


def _make(row: PetRow, settings: PetPreparation, number: int, folder: Path) -> Made:
    """Write the images of a scan: rows of ``pairs.csv``, images in blocks, and notes."""
    made: Made = {"written": [], "coarse": [], "notes": []}
    for scan in load_scan(row, settings, number):
        made["written"].append(values := _write_images(folder, row, scan))
        blocks = (Coarse.of(image).dump() for image in (scan.low, scan.standard))
        made["coarse"].append((values["case"], row.subject, *blocks))
        made["notes"] += scan.notes
    return made


def _row_problems(rows: Sequence[PetRow]) -> list[str]:
    problems = name_problems(list(dict.fromkeys(row.subject for row in rows)))
    splits: dict[str, str] = {}
    for row in rows:
        if splits.setdefault(row.subject, row.split) != row.split:
            problems.append(
                f"{row.name} has split {quoted(row.split)}, another scan of {row.subject} {quoted(splits[row.subject])}"
            )
        try:
            float(row.label or 0)
        except ValueError:
            problems.append(f"{row.name} has label {quoted(row.label)}, expected a number")
    if len({bool(row.split) for row in rows}) > 1:
        problems.append("some rows have a split and others none; expected all or none")
    return problems


def _write_images(folder: Path, row: PetRow, scan: LoadedScan) -> dict[str, Any]:
    """A case's images; gives its row of ``pairs.csv``, without the split."""
    name = participant(row.subject)
    stem = name + (f"_ses-{participant(row.session).removeprefix('sub-')}" if row.session else "")
    stem += f"_desc-frame{scan.frame:02d}" if scan.frame is not None else ""
    low, standard = (Path(name) / "pet" / f"{stem}_rec-{rec}_pet.nii.gz" for rec in ("low", "standard"))
    write_volume(folder / low, scan.low, scan.affine, side=scan.sidecars[0])
    write_volume(folder / standard, scan.standard, scan.affine, side=scan.sidecars[1])
    values: dict[str, Any] = {"case": stem.removeprefix("sub-"), "scan": row.case, "subject": row.subject}
    values |= {"split": "", "degraded": low.as_posix(), "clean": standard.as_posix(), "label": row.label}
    for column, mask in scan.masks.items():
        path = _MASKS / name / f"{stem}_desc-{column}_mask.nii.gz"
        write_volume(folder / path, (mask > 0.5).astype(np.uint8), scan.affine)
        values[column] = path.as_posix()
    return values | {key: text for key, text in row.columns.items() if key not in values}


def _splits(rows: Sequence[PetRow], left_out: dict[str, str], settings: PetPreparation) -> dict[str, str]:
    usable = [row for row in rows if row.case not in left_out]
    if all(row.split for row in usable):
        return {row.subject: row.split for row in usable}
    strata = {row.subject: f"{float(row.label):g}" if row.label else "" for row in usable}
    return assign_splits(strata, shares=settings.splits, seed=settings.seed)


def _write_tables(
    folder: Path, written: Sequence[dict[str, Any]], splits: dict[str, str], settings: PetPreparation, *, masks: bool
) -> None:
    columns = list(dict.fromkeys(key for values in written for key in values if key != "scan"))
    write_pairs(
        folder / "pairs.csv",
        [{key: values.get(key, "") for key in columns} | {"split": splits[values["subject"]]} for values in written],
    )
    simulated = _SIMULATED.format(dose=settings.simulate_dose) if settings.simulate_dose else ""
    derivative, readme = _MASKS if masks else None, _README.format(simulated=simulated)
    write_dataset_files(folder, name="PET pairs", readme=readme, derivative=derivative, derivative_name="Masks")
    write_participants(
        folder,
        {"split": "train, val or test"},
        [{"participant_id": participant(subject), "split": split} for subject, split in splits.items()],
    )
