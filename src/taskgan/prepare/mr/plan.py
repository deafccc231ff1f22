"""Rows to subjects: who has which images, in which split, of which protocol. No image is opened here."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import Field, model_validator

from taskgan.cohort.pairs import DEFAULT_SHARES, REQUIRED, SPLITS
from taskgan.core.errors import Problems, UserError
from taskgan.core.parse import quoted
from taskgan.core.settings import Settings
from taskgan.images.volumes import SUFFIXES
from taskgan.physics.sequences import CONTRASTS, MASK_TYPES
from taskgan.prepare.mr.rows import KNOWN, ImageRow, parse_row
from taskgan.prepare.output import assign_splits, name_problems, participant
from taskgan.prepare.table import InputTable, TableRow


class MrPreparation(Settings):
    """How exported images become a cohort. The same files and settings make the same bytes.

    Attributes:
        resample: Bring images that share a frame of reference onto one grid; without it grids must agree.
        grid: Whose grid: a contrast (``T2-FLAIR``), or ``input`` for the longest delay and first echo.
        normalise: Divide all inputs of a subject by one factor and each target by its own (see
            :mod:`taskgan.prepare.mr.load`); without it values stay as they are.
        percentile: Of the magnitude over the head that becomes 1.
        splits: Shares of train, val and test, where the table has no column ``split``.
        stratify: Column of the table whose values are spread evenly over the splits; empty for none.
        seed: Of the deal.
    """

    resample: bool = False
    grid: str = "input"
    normalise: bool = True
    percentile: float = Field(default=99.5, gt=0, le=100)
    splits: tuple[float, float, float] = DEFAULT_SHARES
    stratify: str = ""
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> "MrPreparation":
        if min(self.splits) <= 0:
            raise ValueError("splits are three shares above 0")
        if self.grid != "input" and not self.resample:
            raise ValueError("grid names whose grid images are resampled onto and needs --resample")
        return self


NUMBER = "contrast_number"
"""Column of ``pairs.csv``, where a cohort has some of the six contrasts: 0, 1, … without gaps, as classes are."""
_OWN = {*REQUIRED, "contrast", NUMBER, "mask", *MASK_TYPES, "participant_id"} - {"head"}
_OWN_INPUT = re.compile(r"delay\d+_echo\d+_\w+")
_PAIRS = (("real", "imag"), ("magnitude", "phase"))


@dataclass(frozen=True)
class Protocol:
    """Every subject's input: nominal delays in ms, the shortest first, and the number of echoes."""

    delays: tuple[float, ...]
    echoes: int


@dataclass(frozen=True)
class SubjectImages:
    """One subject's images: its name as BIDS (``sub-P01``) and as the table calls it, split, and further columns.

    Attributes:
        inputs: Rows by delay (number, from 1) and echo: real and imaginary part, or magnitude and phase.
        targets: Rows by contrast.
        masks: Rows by name.
    """

    name: str
    table_name: str
    split: str
    inputs: Mapping[tuple[int, int], tuple[ImageRow, ImageRow]]
    targets: Mapping[str, ImageRow]
    masks: Mapping[str, ImageRow]
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> tuple[ImageRow, ...]:
        """Of every image: both parts of inputs, targets, masks."""
        return (*(row for pair in self.inputs.values() for row in pair), *self.targets.values(), *self.masks.values())


@dataclass(frozen=True)
class CohortPlan:
    """All subjects in the order of the table, each with the whole protocol; the table's further columns; whether splits
    were dealt here rather than given.
    """

    subjects: tuple[SubjectImages, ...]
    protocol: Protocol
    extra_columns: tuple[str, ...]
    splits_assigned: bool

    @property
    def contrasts(self) -> tuple[str, ...]:
        """Those that any subject has, in the order of the six."""
        return tuple(name for name in CONTRASTS if any(name in subject.targets for subject in self.subjects))

    @property
    def numbered(self) -> bool:
        """Whether they have numbers of their own: labels, which are places among the six, then have gaps."""
        return 1 < len(self.contrasts) < len(CONTRASTS)


def plan_cohort(table: InputTable, settings: MrPreparation) -> CohortPlan:
    """Find out what a table describes.

    Raises:
        Problems: All that is wrong with it, each in a sentence.
    """
    problems: list[str] = []
    further = tuple(name for name in table.columns if name not in KNOWN)
    problems += [
        f"the column {quoted(name)} is one that pairs.csv has by itself, expected another name"
        for name in further
        if name in _OWN or _OWN_INPUT.fullmatch(name)
    ]
    rows: dict[str, list[ImageRow]] = {}
    lines: dict[str, list[TableRow]] = {}
    for line in table.lines:
        row = parse_row(line, table, problems)
        if line["subject"]:
            lines.setdefault(line["subject"], []).append(line)
            rows.setdefault(line["subject"], []).extend([row] if row is not None else [])
    problems += name_problems(list(lines))
    problems += _duplicate_problems(rows)
    if problems:  # what follows would only repeat them: an image is missing because its row is wrong
        raise Problems(f"{table.source} cannot be prepared", problems)
    columns = {name: _subject_columns(name, own, further, problems) for name, own in lines.items()}
    every = [row for own in rows.values() for row in own if row.role == "input"]
    delays = tuple(sorted({row.delay_ms for row in every}))
    protocol = Protocol(delays, max((row.echo for row in every), default=0))
    inputs = {name: _inputs(name, own, protocol, problems) for name, own in rows.items()}
    splits, dealt = _splits(lines, rows, columns, settings, problems)
    if problems:
        raise Problems(f"{table.source} cannot be prepared", problems)
    subjects = tuple(
        SubjectImages(
            participant(name),
            name,
            splits[name],
            inputs[name],
            {c: r for c in CONTRASTS for r in own if r.role == "target" and r.name == c},
            {m: r for m in MASK_TYPES for r in own if r.role == "mask" and r.name == m},
            columns[name],
        )
        for name, own in rows.items()
    )
    return CohortPlan(subjects, protocol, further, dealt)


def _duplicate_problems(rows: Mapping[str, Sequence[ImageRow]]) -> list[str]:
    """Images that a subject has twice, and files that are named twice."""
    problems = []
    files: dict[object, tuple[str, ImageRow]] = {}
    for subject, own in rows.items():
        row_of_key: dict[object, ImageRow] = {}
        for row in own:
            before = row_of_key.setdefault(row.key, row)
            if before is not row:
                problems.append(
                    f"row {row.number} gives subject {subject} the {row.description} ({row.path.name}), row "
                    f"{before.number} did before ({before.path.name}); a subject has each image once"
                )
                continue
            # Of a DICOM folder, rows may pick different images.
            pick = None if row.path.name.endswith(SUFFIXES) else row.series_filter
            other, first = files.setdefault((row.path.resolve(), pick), (subject, row))
            if first is not row:
                whose = "" if other == subject else f" of subject {other}"
                problems.append(
                    f"row {row.number} (subject {subject}) names {row.path}, which row {first.number} names as the "
                    f"{first.description}{whose}; a file is one image"
                )
    return problems


def _subject_columns(
    name: str, lines: Iterable[TableRow], columns: Sequence[str], problems: list[str]
) -> dict[str, str]:
    """What the further columns say of a subject: the same in every row, or empty."""
    fields: dict[str, str] = {}
    for column in columns:
        values = list(dict.fromkeys(line[column] for line in lines if line[column]))
        if len(values) > 1:
            listing = " and ".join(repr(value) for value in values[:2])
            problems.append(f"subject {name} has {column} {listing}, expected one value in all its rows")
        fields[column] = values[0] if values else ""
    return fields


def _inputs(
    name: str, rows: Sequence[ImageRow], protocol: Protocol, problems: list[str]
) -> dict[tuple[int, int], tuple[ImageRow, ImageRow]]:
    """Both parts of every delay and echo."""
    own = {(row.delay_ms, row.echo, row.part): row for row in rows if row.role == "input"}
    if not own:
        available = ", ".join(row.description for row in rows)
        problems.append(
            f"subject {name} has no input (it has {available}): expected the delays and echoes of a multi-delay "
            "multi-echo acquisition, each as real and imag or as magnitude and phase"
        )
        return {}
    pairs = {}
    lacking: list[str] = []
    for number, delay in enumerate(protocol.delays, start=1):
        for echo in range(1, protocol.echoes + 1):
            parts = {part for one, e, part in own if (one, e) == (delay, echo)}
            place = f"delay {delay:g} ms, echo {echo}"
            pair = next((p for p in _PAIRS if parts == set(p)), None)
            if pair is not None:
                pairs[number, echo] = (own[delay, echo, pair[0]], own[delay, echo, pair[1]])
            elif not parts:
                lacking.append(place)
            elif len(parts) == 1:
                (part,) = parts
                other = next(q for p in _PAIRS if part in p for q in p if q != part)
                problems.append(f"subject {name} has {part} but no {other} at {place}")
            else:
                listed = ", ".join(sorted(parts))
                problems.append(
                    f"subject {name} has {listed} at {place}, expected real and imag, or magnitude and phase"
                )
    if lacking:
        every = f"{len(protocol.delays)} delays ({', '.join(f'{d:g}' for d in protocol.delays)} ms)"
        problems.append(
            f"subject {name} has no image at {'; '.join(lacking)}: all subjects together have {every} and "
            f"{protocol.echoes} echo{'es' * (protocol.echoes > 1)}, expected all of them of each subject"
        )
    return pairs


def _splits(
    lines: Mapping[str, Sequence[TableRow]],
    rows: Mapping[str, Sequence[ImageRow]],
    columns: Mapping[str, Mapping[str, str]],
    settings: MrPreparation,
    problems: list[str],
) -> tuple[dict[str, str], bool]:
    """The split of each subject, and whether it was dealt."""
    splits: dict[str, str] = {}
    for name, own in lines.items():
        values = list(dict.fromkeys(line["split"].lower() for line in own if line["split"]))
        problems += [
            f"subject {name} has split {quoted(v)}, expected {', '.join(SPLITS)}" for v in values if v not in SPLITS
        ]
        if len(values) > 1:
            problems.append(f"subject {name} is in the splits {' and '.join(values)}: a subject belongs to one split")
        if values:
            splits[name] = values[0]
    learnt = {name for name, own in rows.items() if any(row.role == "target" for row in own)}
    if splits and settings.stratify:
        problems.append("subjects are stratified only where splits are dealt, and the table gives them")
    if splits:
        problems += [f"subject {name} has no split while others have one" for name in lines if name not in splits]
        problems += [
            f"subject {name} is in split {quoted(split)} but has no target; without one it can only be in 'test'"
            for name, split in splits.items()
            if split != "test" and name not in learnt
        ]
        return splits, False
    if settings.stratify and not all(settings.stratify in own for own in columns.values()):
        problems.append(f"there is no further column {quoted(settings.stratify)} to stratify by")
        return {}, True
    strata = {name: columns[name].get(settings.stratify, "") for name in lines if name in learnt}
    try:
        dealt = assign_splits(strata, shares=settings.splits, seed=settings.seed)
    except UserError as error:
        problems.append(f"the subjects cannot be dealt to splits: {error}")
        return {}, True
    return {name: dealt.get(name, "test") for name in lines}, True
