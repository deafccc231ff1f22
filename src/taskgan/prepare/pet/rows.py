"""Which images belong together: from a BIDS data set or a table."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from taskgan.cohort.pairs import DEFAULT_SHARES, SPLITS
from taskgan.core.errors import Problems, UserError
from taskgan.core.parse import quoted
from taskgan.core.settings import Settings
from taskgan.images.volumes import SUFFIXES, read_sidecar, stem
from taskgan.prepare.table import InputTable, read_table

MASKS = ("mask", "cortex", "reference")
_OWN = ("subject", "session", "case", "split", "label", "low", "standard", *MASKS)


class PetPreparation(Settings):
    """How exported PET images become a cohort. The same files and settings make the same bytes.

    Attributes:
        label: Column of the table, or of ``participants.tsv``, that is the property to keep; empty: ``label``, if
            there is one.
        low: Of a BIDS data set, what the names of low-dose images hold, e.g. ``rec-dose01``.
        standard: Likewise of standard images; empty: all other ones.
        simulate_dose: Per cent of the standard dose whose noise is made where there are no low-dose images; 0: none.
        resample: Bring the low-dose image and masks onto the grid of the standard one.
        tolerance: Difference of affines that is no difference, mm.
        frame: Of a dynamic image, the frame that is taken, from 0; None takes all of them, each as a case of its own.
        mean: Of a dynamic image, the mean of all frames.
        zero_nan: NaN and infinite voxels become 0.
        suv: Divide by injected dose and body weight, from the sidecar.
        skip: Subjects or cases that are left out.
        splits: Shares of train, val and test, where nobody says the split.
        seed: Of splits and noise.
    """

    label: str = ""
    low: str = ""
    standard: str = ""
    simulate_dose: float = Field(default=0, ge=0, lt=100)
    resample: bool = False
    tolerance: float = Field(default=0.01, gt=0)
    frame: int | None = Field(default=None, ge=0)
    mean: bool = False
    zero_nan: bool = False
    suv: bool = False
    skip: tuple[str, ...] = ()
    splits: tuple[float, float, float] = DEFAULT_SHARES
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> "PetPreparation":
        if self.mean and self.frame is not None:
            raise ValueError("mean and frame exclude each other")
        if self.simulate_dose and self.low:
            raise ValueError("low names low-dose images and simulate_dose makes them; expected one of both")
        return self


@dataclass(frozen=True)
class PetRow:
    """The images of one scan.

    Attributes:
        name: How messages call it, e.g. ``row 3 (P01)``.
        subject: Who it is, as it was written.
        session: Which scan of theirs; empty where there is one.
        low: None where it is to be simulated.
        label: The property, as text; empty where it is unknown, as the split.
        masks: By column.
        columns: Further columns.
        metadata: Fields of the sidecars of the standard and, after it, the low-dose image.
    """

    name: str
    subject: str
    session: str
    standard: Path
    low: Path | None
    label: str = ""
    split: str = ""
    masks: Mapping[str, Path] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    metadata: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {})

    @property
    def case(self) -> str:
        """Its name in the cohort."""
        return f"{self.subject}_{self.session}" if self.session else self.subject


def find_rows(source: Path, settings: PetPreparation) -> list[PetRow]:
    """The scans of a data set or table, without those that are to be skipped.

    Raises:
        UserError: If the source is neither, or holds no images of the kinds that are wanted.
        Problems: If rows are wrong.
    """
    if source.is_dir():
        rows = _data_set_rows(source, settings)
    elif source.is_file():
        rows = _table_rows(read_table(source, ("subject", "standard")), settings)
    else:
        raise UserError(f"{source} does not exist; expected a BIDS data set or a table of images")
    absent = set(settings.skip) - {name for row in rows for name in (row.subject, row.case)}
    if absent:
        raise UserError(f"{source} has no subject or case {', '.join(sorted(absent))} to skip")
    return [row for row in rows if not {row.subject, row.case} & set(settings.skip)]


def _table_rows(table: InputTable, settings: PetPreparation) -> list[PetRow]:
    if not settings.simulate_dose and "low" not in table.columns:
        raise UserError(
            f"{table.source} lacks the column low; expected low-dose images, or --simulate-dose 1 to make them"
        )
    label = settings.label or "label"
    if settings.label and label not in table.columns:
        raise UserError(f"{table.source} has no column {label} (--label); it has {', '.join(table.columns)}")
    problems, rows, before = [], [], dict[str, int]()
    further = [name for name in table.columns if name not in (*_OWN, label)]
    for line in table.lines:
        name = f"row {line.number} ({line['subject'] or 'no subject'})"
        needed = ["subject", "standard", *["low"] * (not settings.simulate_dose)]
        empty = [column for column in needed if not line[column]]
        problems += [f"{name} has no {column}" for column in empty]
        if line["split"] not in ("", *SPLITS):
            problems.append(f"{name} has split {quoted(line['split'])}, expected train, val or test")
        if empty:
            continue
        paths = {column: table.path(line[column]) for column in ("standard", "low", *MASKS) if line[column]}
        row = PetRow(
            name,
            line["subject"],
            line["session"] or line["case"],
            paths["standard"],
            None if settings.simulate_dose else paths["low"],
            line[label],
            line["split"],
            {column: paths[column] for column in MASKS if column in paths},
            {column: line[column] for column in further},
            (read_sidecar(paths["standard"]), read_sidecar(paths["low"]) if "low" in paths else {}),
        )
        other = before.setdefault(row.case.lower(), line.number)
        if other != line.number:
            problems.append(
                f"{name} lists the subject {row.subject} again, after row {other}: expected each once, or a column "
                "session that tells the scans apart"
            )
        rows.append(row)
    if problems:
        raise Problems(f"{table.source} cannot be prepared", problems)
    return rows


def _data_set_rows(root: Path, settings: PetPreparation) -> list[PetRow]:
    images = sorted(p for p in root.glob("sub-*/**/*_pet.*") if p.name.endswith(SUFFIXES) and "/." not in str(p))
    if not images:
        raise UserError(f"{root} holds no sub-*/pet/*_pet.nii.gz; expected a BIDS data set or a table of images")
    people, columns = _participants(root)
    label = settings.label or "label"
    if settings.label and label not in columns:
        raise UserError(f"{root}/participants.tsv has no column {label} (--label); it has {', '.join(columns)}")
    scans: dict[tuple[str, str], dict[str, list[Path]]] = {}
    for path in images:
        role = _role(path, settings)
        if role:
            entities = bids_entities(path)
            key = entities["sub"], entities.get("ses", "")
            scans.setdefault(key, {}).setdefault(role, []).append(path)
    problems, rows = [], []
    for (subject, session), files in scans.items():
        name = f"sub-{subject}" + f" ses-{session}" * bool(session)
        for role in ("standard", *["low"] * (not settings.simulate_dose)):
            paths = files.get(role, [])
            if len(paths) != 1:
                listed = ", ".join(path.name for path in paths) or "none"
                problems.append(f"{name} has {len(paths)} {role} images ({listed}), expected one (--{role} TEXT)")
        if any(len(paths) > 1 for paths in files.values()) or "standard" not in files:
            continue
        person = people.get(subject, {})
        standard, low = files["standard"][0], files.get("low", [None])[0]
        values = {key: text for key, text in person.items() if key not in (label, "split", "participant_id")}
        value = "" if person.get(label) == "n/a" else person.get(label, "")
        split = person.get("split", "") if person.get("split") in SPLITS else ""
        metadata = (inherited_sidecar(standard, root), inherited_sidecar(low, root) if low else {})
        rows.append(PetRow(name, subject, session, standard, low, value, split, {}, values, metadata))
    if problems:
        raise Problems(f"{root} cannot be prepared", problems)
    if not rows:
        raise UserError(f"{root} holds no image whose name has {settings.standard or settings.low}")
    return rows


def _role(path: Path, settings: PetPreparation) -> str:
    """``low``, ``standard`` or nothing, by what the name holds."""
    if settings.low and settings.low in path.name:
        return "low"
    return "standard" if not settings.standard or settings.standard in path.name else ""


def bids_entities(path: Path) -> dict[str, str]:
    """``{"sub": "01", "rec": "low"}`` of a BIDS name."""
    parts = (part.partition("-") for part in stem(path).split("_"))
    return {key: value for key, dash, value in parts if dash}


def inherited_sidecar(path: Path, root: Path) -> dict[str, Any]:
    """Fields of all sidecars that are true of an image: those of the folders above first (BIDS inheritance)."""
    own, suffix = bids_entities(path).items(), stem(path).rpartition("_")[2]
    fields: dict[str, Any] = {}
    folders = [root, *reversed([p for p in path.parents if root in p.parents])]
    for folder in folders:
        sides = [p for p in folder.glob("*.json") if p.stem.rpartition("_")[2] == suffix]
        for side in sorted(sides, key=lambda p: len(bids_entities(p))):
            if bids_entities(side).items() <= own:
                fields |= read_sidecar(side.with_suffix(""))
    return fields


def _participants(root: Path) -> tuple[dict[str, Mapping[str, str]], Sequence[str]]:
    """Rows of ``participants.tsv`` by subject (without ``sub-``), and its columns."""
    source = root / "participants.tsv"
    if not source.is_file():
        return {}, ()
    table = read_table(source, ("participant_id",))
    people = {re.sub("^sub-", "", line["participant_id"]): line.values for line in table.lines}
    return people, table.columns
